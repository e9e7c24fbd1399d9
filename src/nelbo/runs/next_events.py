"""The next event of each user: when it comes, and of which kind it is."""

import dataclasses

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Key

from nelbo.core import Example, InputError, compiled
from nelbo.data import EventRows, Events, Split, last_events, read_events, source
from nelbo.evaluation import posterior_means
from nelbo.models import EventLayer, Model
from nelbo.runs.folder import Run


@dataclasses.dataclass(frozen=True)
class NextEvents:
    """What is said of the next event of users.

    Args:
        users: ids.
        since: `(users,)` the time of the last event.
        gaps: `(users, draws)` to the next one, in the user's numbers or seconds; infinite where none comes.
        marks: `(users, marks)` probabilities of its kind.
        notes: what was left out.
    """

    users: tuple[str, ...]
    since: np.ndarray
    gaps: np.ndarray
    marks: np.ndarray
    notes: tuple[str, ...] = ()


def _next(key: Key[Array, ""], model: Model, x: Example, *, draws: int) -> tuple[Array, Array]:
    """Draws of the gap to the next event, and the probabilities of its mark."""
    layer = model.generative.layers[0]
    if not isinstance(layer, EventLayer) or x.observed is None:
        raise InputError("This model is of no events.")
    observed = jnp.asarray(x.observed)
    values = jnp.where(observed[:, 1:], x.values, 0.0)
    longer = jnp.concatenate([values, jnp.zeros((1, 2), values.dtype)])
    row = observed[:, 1].sum()

    def one(draw_key: Key[Array, ""]) -> tuple[Array, Array]:
        z_key, gap_key = jr.split(draw_key)
        z = model.posterior(x).sample(z_key)[0] if model.depth else ()
        process = layer(z).process(longer)
        gap = process.next_gap(gap_key, row)
        waited = jnp.full(len(longer), jnp.where(jnp.isinf(gap), 0.0, gap))
        return gap, jax.nn.softmax(process.mark_logits(waited)[row])

    gaps, marks = jax.vmap(one)(jr.split(key, draws))
    return gaps, marks.mean(0)


_run_next = compiled(
    lambda key, model, batch, *, draws: jax.vmap(lambda k, x: _next(k, model, x, draws=draws))(
        jr.split(key, len(batch.values)), batch
    )
)
_USERS = 500  # at once


def next_events(key: Key[Array, ""], run: Run, path: str | None = None, *, draws: int = 200) -> NextEvents:
    """When the next event of each user comes, and of which kind it is.

    Args:
        key: for the draws.
        run: on events.
        path: of events like those of the run; None: the run's own.
        draws: of each next event.

    Raises:
        InputError: a run on other data, no draw, or events that it does not know.
    """
    if draws < 1:
        raise InputError(f"draws must be at least 1, got {draws}.")
    found, events, users, last = _last(run, path)
    values, observed, context = last.x, last.observed, last.context
    assert observed is not None  # of windows
    parts = []
    for start in range(0, len(users), _USERS):
        size = min(_USERS, len(users))
        rows = np.minimum(np.arange(start, start + size), len(users) - 1)
        beside = None if context is None else jnp.asarray(context[rows])
        batch = Example(jnp.asarray(values[rows]), jnp.asarray(observed[rows]), context=beside)
        gaps, marks = _run_next(jr.fold_in(key, start), run.model, batch, draws=draws)
        real = min(size, len(users) - start)
        parts.append((np.asarray(gaps, float)[:real] * events.unit, np.asarray(marks, float)[:real]))
    since = np.array([found.times[part.stop - 1] for _, part in found.bounds()])
    gaps, marks = (np.concatenate([part[i] for part in parts]) for i in (0, 1))
    return NextEvents(tuple(users), since, gaps, marks, found.notes)


def user_codes(key: Key[Array, ""], run: Run, path: str | None = None) -> tuple[tuple[str, ...], np.ndarray]:
    """What a user is like: the posterior mean given the last window of its events (or its other sequences).

    Args:
        key: for posteriors whose mean is estimated.
        run: on events, of a model with latents.
        path: of events like those of the run; None: the run's own.

    Returns:
        Ids, and `(users, latents)`.

    Raises:
        InputError: a run on other data, a model without latents, or events that it does not know.
    """
    _, _, users, last = _last(run, path)
    run.model.require_latents("An embedding")
    return tuple(users), np.concatenate(posterior_means(key, run.model, source(last, "real")), axis=1)


def _last(run: Run, path: str | None) -> tuple[EventRows, Events, list[str], Split]:
    """All events, what they are, and the last window of each user."""
    events = None if run.fitted_data.schema is None else run.fitted_data.schema.events
    if events is None:
        raise InputError(f"{run.folder} was not fitted to events of users.")
    settings = run.experiment.data
    found = read_events(path or settings["name"], events.names, header=settings.get("header"))
    users, values, observed, context = last_events(found, events, others=settings.get("experts") or 0)
    return found, events, users, Split(values, observed=observed, context=context)
