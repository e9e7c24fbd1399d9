"""Events in a run: how they are read, what they decide about a model, and the numbers of its test set."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from nelbo.core import Example, InputError, compiled
from nelbo.data import Cuts, Data, Schema, Source, load_events
from nelbo.evaluation import quantile_reliability
from nelbo.models import EventLayer, Model


def read_event_data(settings: Mapping[str, Any], schema: Schema | None = None, *, whole: bool = False) -> Data:
    """The data of a run on events.

    Args:
        settings: of the data.
        schema: of the data that a model was fitted to.
        whole: all users of the file as one split "rows".

    Raises:
        InputError: see `nelbo.data.load_events`; settings that are about other data.
    """
    asked = {name for name, value in settings.items() if value is not None}
    if odd := asked & {"context", "ignore", "split_by", "layout"}:
        raise InputError(f"A table of events is read whole and split by user, so leave {', '.join(sorted(odd))} out.")
    if (settings.get("experts") or 0) < 0:
        raise InputError(f"experts is a number of other sequences, got {settings['experts']}: give 0 for none.")
    if whole and schema is not None and schema.events is not None:
        schema = dataclasses.replace(schema, events=dataclasses.replace(schema.events, held=((), ())))
    parts = (settings.get("split_seed") or 0, settings.get("valid_fraction"), settings.get("test_fraction"))
    data = load_events(
        Path(settings["name"]).expanduser(),
        settings.get("columns") or (),
        cuts=Cuts(*((0, 0.0, 0.0) if whole else parts)),
        window=settings.get("window"),
        others=settings.get("experts") or 0,
        header=settings.get("header"),
        like=schema,
    )
    return dataclasses.replace(data, splits={"rows": data.train}) if whole else data


def event_arguments(data: Data) -> dict[str, Any]:
    """What the data decide about a model of events.

    Raises:
        InputError: other data.
    """
    if data.schema.events is None:
        raise InputError(f"{data.name} holds no events.")
    return {"marks": len(data.schema.events.marks)}


def _numbers(model: Model, x: Example) -> tuple[Array, Array, Array, Array]:
    """Of one sequence at the posterior mean of its user's latents: residuals, where events are, right marks, marks."""
    layer = model.generative.layers[0]
    if not isinstance(layer, EventLayer) or x.observed is None:
        raise InputError("This model is of no events.")
    z = (model.posterior(x).part(0, ()).mean,) if model.depth else ()
    observed = jnp.asarray(x.observed)
    process = layer(z).process(jnp.where(observed[:, 1:], x.values, 0.0))
    gap = jnp.where(observed[:, 0], x.values[:, 0], 0.0)
    residuals, events = process.residuals(x.values, observed)
    marked = observed[:, 1] & (x.values[:, 1] >= 0.0) & (jnp.arange(len(x.values)) > 0)
    right = marked & (process.mark_logits(gap).argmax(-1) == x.values[:, 1].astype(jnp.int32))
    return residuals, events, right, marked


_GIVEN_OTHERS = (
    "q sees other sequences of the user alone, so the reconstruction, E_q log p(x | z), is by itself a lower bound on "
    "log p(x | these), and nats an event are of it. The ELBO takes KL(q || p) off as well, as if nothing were given."
)
_run_numbers = compiled(lambda model, batch: jax.vmap(lambda x: _numbers(model, x))(batch))


def event_numbers(
    model: Model, source: Source, row: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Float[np.ndarray, "levels 3"]]]:
    """What is said of a split beside its bound: nats an event, how often the likeliest mark comes, and residuals.

    Residuals are the integrals of the intensity between events, Exp(1) where the process is that of the data; their
    distance from it is Kolmogorov and Smirnov's. Of models with latents they are at the posterior mean, which has seen
    the sequence: their residuals look better than they are. Where q has seen other sequences of the user alone, nats an
    event are of E_q log p(x | z), a lower bound on log p(x | these).

    Args:
        model: of events.
        source: the sequences.
        row: of the split's bound or log-likelihood.

    Returns:
        The numbers, and the points of a diagram of the residuals by name (none where there is no event): predicted and
        observed shares below each quantile, and how many there are.
    """
    from scipy.stats import kstest

    arrays = source.arrays
    context = None if arrays.context is None else jnp.asarray(arrays.context)
    batch = Example(jnp.asarray(arrays.values), jnp.asarray(arrays.observed), context=context)
    parts = _run_numbers(model, batch)
    residuals, events, right, marked = (np.asarray(part) for part in parts)
    count = int(np.asarray(arrays.observed)[..., 1].sum())
    test = kstest(residuals[events], "expon") if events.any() else None
    given_others = model.recognition.sees_context_alone
    numbers = {
        "events": count,
        "nats_per_event": row["reconstruction" if given_others else "nats"] * len(source) / max(1, count),
        "mark_accuracy": float(right.sum() / max(1, marked.sum())),
        "residual_distance": None if test is None else float(test.statistic),
        "residual_p": None if test is None else float(test.pvalue),
    }
    if given_others:
        numbers["warning"] = _GIVEN_OTHERS
    if test is None:
        return numbers, {}
    points = quantile_reliability(-np.expm1(-residuals[events].astype(float)))
    drawn = np.stack([points.predicted, points.observed, points.count], 1).astype(np.float32)
    return numbers, {"time_rescaling": drawn}
