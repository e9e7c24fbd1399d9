"""Fill in what is missing: draws from p(x_missing | x_observed) with means, standard deviations and intervals."""

import dataclasses
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, Int, Key

from nelbo.core import Example, InputError, choice, log_mean_exp
from nelbo.data import Source
from nelbo.models import Latents, Model
from nelbo.tasks.given import Given, check_noise, check_values, latent_shapes
from nelbo.tasks.moves import State, hamiltonian, resampled
from nelbo.training import examples, padded_batches

METHODS = {
    "chain": "z ~ q(z|x), x_missing ~ p(x|z), again and again; right if q is exact (Rezende et al. 2014, section 6)",
    "metropolis": "the chain with z accepted or refused, right for any q (Mattei and Frellsen 2018, section 3.3)",
    "resample": "proposals of chains, resampled by importance weights; right for any q as their number grows",
    "importance": "the same without chains: z ~ q(z | what is observed) (Mattei and Frellsen 2019, section 4)",
    "hmc": "these, each moved on by Hamiltonian dynamics under p(z | what is observed); right for any q (Neal 2011)",
}
_WEIGHTED = {"resample", "importance", "hmc"}
COVERAGE = 0.9
ROWS = 2000  # chains run at once


@dataclasses.dataclass(frozen=True)
class Imputation:
    """Completed data. Where an entry was observed, everything is its value and the spread is zero.

    Args:
        mean: E[x | observed], estimated by the mean of E[x | z] over the draws, by its weighted mean over all
            proposals where there are weights, or by its mean over the second half of every chain ("hmc").
        std: standard deviation over the draws.
        low: lower end of the 90 % interval.
        high: its upper end; low and high are order statistics of the draws, so that 19 exact draws cover 90 % (fewer
            draws give all they can, from the smallest to the largest).
        draws: (draws, examples, ...), each one a whole completion.
        observed: which entries were given.
        accepted: share of proposals accepted ("metropolis", "hmc"), or effective share of them ("resample",
            "importance"); else None.
        empty: examples with no observed entry; their draws are draws from the model's prior.
        entry_nats: where the truth was given, for each example the sum over hidden entries of log p(entry | observed),
            estimated by the log of the mean of p(entry | z) over the draws [nats].
        joint_nats: the same with all hidden entries of an example together [nats].
    """

    mean: np.ndarray
    std: np.ndarray
    low: np.ndarray
    high: np.ndarray
    draws: np.ndarray
    observed: np.ndarray
    accepted: float | None
    empty: int
    entry_nats: np.ndarray | None = None
    joint_nats: np.ndarray | None = None


def _tree_where(condition: Any, yes: Any, no: Any) -> Any:
    return jax.tree.map(lambda a, b: jnp.where(condition, a, b), yes, no)


def _start(key: Key[Array, ""], model: Model, given: Given) -> State:
    """Latents from the model's prior, and what is not known given them."""
    z_key, x_key = jr.split(key)
    _, z = model.generative.sample(z_key, given.x.context)
    return State(given.completed(x_key, given.likelihood(model.generative, z)), z)


def _step(
    key: Key[Array, ""], model: Model, given: Given, state: State, *, corrected: bool
) -> tuple[State, Float[Array, ""]]:
    """One move of z, then of what is not known of x; also the share accepted."""
    z_key, accept_key, x_key = jr.split(key, 3)
    whole = Example(state.x, context=given.x.context)
    draw = model.draw(z_key, whole)
    accept = jnp.any(given.x.observed)  # with nothing observed the start is an exact draw already: keep its z
    if corrected:
        old_q = model.recognition(whole).log_prob(state.z).sum()
        old = model.generative.log_prob(whole, state.z).sum() - old_q
        accept &= jnp.log(jr.uniform(accept_key)) < draw.log_w - old
    z = _tree_where(accept, draw.z, state.z)
    return State(given.completed(x_key, given.likelihood(model.generative, z)), z), accept.astype(jnp.float32)


def _chain(
    key: Key[Array, ""], model: Model, given: Given, *, steps: int, corrected: bool
) -> tuple[State, Float[Array, ""]]:
    start_key, step_key = jr.split(key)

    def body(state: State, i: Int[Array, ""]) -> tuple[State, Float[Array, ""]]:
        return _step(jr.fold_in(step_key, i), model, given, state, corrected=corrected)

    state, accepted = jax.lax.scan(body, _start(start_key, model, given), jnp.arange(steps))
    return state, accepted.mean()


def _chains(
    key: Key[Array, ""], model: Model, given: Given, count: int, *, steps: int, corrected: bool
) -> tuple[State, Float[Array, ""]]:
    chain = lambda k: _chain(k, model, given, steps=steps, corrected=corrected)  # noqa: E731
    states, accepted = jax.vmap(chain)(jr.split(key, count))
    return states, accepted.mean()


def _interval(draws: Float[Array, "draws *shape"]) -> tuple[Array, Array]:
    """Order statistics that hold a new draw of the same law with probability 0.9, interpolated."""
    ordered, count = jnp.sort(draws, axis=0), draws.shape[0]

    def at(probability: float) -> Array:
        place = min(max(probability * (count + 1) - 1.0, 0.0), count - 1.0)
        below = int(place)
        above = min(below + 1, count - 1)
        return ordered[below] + (place - below) * (ordered[above] - ordered[below])

    return at((1.0 - COVERAGE) / 2.0), at((1.0 + COVERAGE) / 2.0)


def _hidden_nats(model: Model, given: Given, z: Latents, truth: Example) -> dict[str, Array]:
    """Log density of the hidden entries, each by itself and all together, from several draws of z."""
    hidden = truth.observed & ~given.known

    def log_density(one: Latents) -> Array:
        return jnp.where(hidden, given.clean(given.likelihood(model.generative, one)).log_prob(truth.values), 0.0)

    logs = jax.vmap(log_density)(z)
    together = logs.reshape(logs.shape[0], -1).sum(1)
    return {"entry_nats": jnp.where(hidden, log_mean_exp(logs), 0.0).sum(), "joint_nats": log_mean_exp(together)}


@eqx.filter_jit
def _batch(
    key: Key[Array, ""],
    model: Model,
    data: Source,
    raw: Any,
    truth: Example | None,
    method: str,
    steps: int,
    draws: int,
    proposals: int,
    noise: str | None,
    rate: float,
) -> dict[str, Array]:
    data_key, chain_key = jr.split(key)
    batch = examples(data_key, data, raw)

    def one(k: Key[Array, ""], x: Example, known: Example | None) -> dict[str, Array]:
        given = Given(x, noise, rate)
        if method in _WEIGHTED:
            chain_key, k = jr.split(k)
            centres: Any = jax.tree.map(lambda leaf: jnp.asarray(leaf)[None], x)
            if method == "resample":
                chained = _chains(chain_key, model, given, proposals, steps=steps, corrected=False)[0].x
                centres = jax.vmap(lambda one: Example(one, context=x.context))(chained)
            states, accepted, mean = resampled(k, model, given, centres, draws, proposals=proposals)
            if method == "hmc":
                move = lambda key, z: hamiltonian(key, model, given, z, steps=steps)  # noqa: E731
                states, accepted, means = jax.vmap(move)(jr.split(chain_key, draws), states.z)
                accepted, mean = accepted.mean(), means.mean(0)
        else:
            states, accepted = _chains(k, model, given, draws, steps=steps, corrected=method == "metropolis")
            mean = jax.vmap(lambda z: given.clean(given.likelihood(model.generative, z)).mean)(states.z).mean(0)
        low, high = _interval(states.x)
        spread = states.x.std(0, ddof=1) if draws > 1 else jnp.zeros_like(x.values)
        # a mean of equal numbers can miss them by a rounding error
        std = jnp.where(given.known, 0.0, spread)
        result = {
            "mean": given.filled(mean),
            "std": std,
            "low": low,
            "high": high,
            "draws": states.x,
            "accepted": accepted,
        }
        return result if known is None else result | _hidden_nats(model, given, states.z, known)

    return jax.vmap(one)(jr.split(chain_key, jax.tree.leaves(batch)[0].shape[0]), batch, truth)


def impute(
    key: Key[Array, ""],
    model: Model,
    data: Source,
    *,
    method: str = "metropolis",
    steps: int = 50,
    draws: int = 19,
    proposals: int = 100,
    truth: Source | None = None,
    noise: str | None = None,
    rate: float | int = 0.0,
    progress: Callable[[int], None] | None = None,
) -> Imputation:
    """Complete a data set, from several independent draws of its missing entries.

    Denoising (mark doubtful entries as missing, or say what noise all entries have) and super-resolution
    (`missing_grid`) are the same call. All chains start from draws of the model's prior.

    Args:
        key: for the draws.
        model: with its recognition model; the likelihood must be elementwise.
        data: rows with a mask; rows without one have nothing missing and come back as they are.
        method: see `METHODS`.
        steps: moves of each chain before its draw is taken; trajectories ("hmc").
        draws: independent completions of each example.
        proposals: draws of q to resample from, beside as many from the prior ("resample", "importance" and "hmc").
        truth: the same rows before entries were hidden, for the log density of what was hidden.
        noise: None if the entries that are there are exact, or the kind of noise that all of them have, see
            `READINGS`; then nothing is known exactly, and everything is filled in.
        rate: of the noise.
        progress: called with the number of examples done.

    Raises:
        InputError: a model without latents, an unknown method, a count below one, or values that the likelihood
            cannot give.
    """
    model.require_latents("Filling in")
    choice("method of imputation", method, METHODS)
    for name, count in (("steps", steps), ("draws", draws), ("proposals", proposals)):
        if count < 1:
            raise InputError(f"Imputation needs at least 1 for {name}, got {count}.")
    if method == "hmc" and any(layer.is_discrete for layer in latent_shapes(model)):
        raise InputError("hmc moves real-valued latents, but the model's are discrete: use metropolis or importance.")
    check_noise(model, noise, rate)
    check_values(model, data)
    if truth is not None and (len(truth), *truth.shape) != (len(data), *data.shape):
        raise InputError(
            f"The truth must have the shape of the data, {[len(data), *data.shape]}, got {[len(truth), *truth.shape]}."
        )
    mask = data.arrays.observed
    if noise is None and (mask is None or bool(np.asarray(mask).all())):
        return _unchanged(data, draws)
    if mask is None:
        data = hide(data, np.ones(data.shape, bool))
    chains = max(draws, proposals) if method in _WEIGHTED else draws
    indices, real = padded_batches(len(data), max(1, min(ROWS // chains, len(data))))
    parts: list[dict[str, np.ndarray]] = []
    for i, (rows, mask) in enumerate(zip(indices, real, strict=True)):
        known = None if truth is None else _known(truth, rows)
        result = _batch(jr.fold_in(key, i), model, data, data.take(rows), known, method, steps, draws, proposals,
                        noise, float(rate))  # fmt: skip
        parts.append({name: np.asarray(value)[mask] for name, value in result.items()})
        if progress is not None:
            progress(int(real[: i + 1].sum()))
    whole = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    observed = np.asarray(data.arrays.observed)
    empty = ~observed.reshape(len(observed), -1).any(1)
    observed = observed if noise is None else np.zeros_like(observed)
    moving = ~empty & ~observed.reshape(len(observed), -1).all(1)
    accepted = None if method == "chain" or not moving.any() else float(whole["accepted"][moving].mean())
    names = ("mean", "std", "low", "high", "entry_nats", "joint_nats")
    fields = {name: whole[name] for name in names if name in whole}
    return Imputation(**fields, draws=np.moveaxis(whole["draws"], 1, 0), observed=observed, accepted=accepted,
                      empty=int(empty.sum()))  # fmt: skip


def _known(truth: Source, rows: np.ndarray) -> Example:
    """Rows as the model sees them, with the mask of what they had."""
    batch = jax.vmap(truth.example)(jr.split(jr.key(0), len(rows)), truth.take(rows))
    observed = jnp.ones(batch.values.shape, bool) if batch.observed is None else batch.observed
    return Example(batch.values, observed, context=batch.context)


def _unchanged(data: Source, draws: int) -> Imputation:
    """What is complete stays as it is."""
    batch = jax.vmap(data.example)(jr.split(jr.key(0), len(data)), data.take(np.arange(len(data))))
    values = np.asarray(batch.values)
    repeated = np.broadcast_to(values, (draws, *values.shape))
    return Imputation(values, np.zeros_like(values), values, values, repeated, np.ones(values.shape, bool), None, 0)


@eqx.filter_jit
def _film(key: Key[Array, ""], model: Model, batch: Example, steps: int, *, corrected: bool) -> Array:
    def one(k: Key[Array, ""], x: Example) -> Array:
        start_key, step_key = jr.split(k)
        given = Given(x)
        first = _start(start_key, model, given)

        def body(state: State, i: Int[Array, ""]) -> tuple[State, Array]:
            state, _ = _step(jr.fold_in(step_key, i), model, given, state, corrected=corrected)
            return state, given.filled(given.likelihood(model.generative, state.z).mean)

        _, frames = jax.lax.scan(body, first, jnp.arange(steps))
        return jnp.concatenate([first.x[None], frames])

    return jax.vmap(one)(jr.split(key, batch.values.shape[0]), batch)


def chain_film(
    key: Key[Array, ""], model: Model, batch: Example, *, steps: int = 15, corrected: bool = False
) -> Float[np.ndarray, "examples frames ..."]:
    """The start of one chain for each example of a batch, then E[x | z] in the missing entries after every step."""
    return np.asarray(_film(key, model, batch, steps, corrected=corrected))


def hide(data: Source, observed: np.ndarray) -> Source:
    """The same rows with more entries missing: those where `observed` is False.

    Args:
        data: rows, with a mask or without.
        observed: booleans (or 0 and 1), True where an entry stays: of all rows, or of one example.

    Raises:
        InputError: another shape, or other values.
    """
    observed = np.asarray(observed)
    whole = (len(data), *data.shape)
    if observed.dtype != np.bool_:
        if not np.isin(observed, (0, 1)).all():
            raise InputError("A mask holds True or 1 where an entry is observed, False or 0 where it is missing.")
        observed = observed.astype(bool)
    for wanted in (whole, data.shape):
        if observed.shape == wanted[:-1] and wanted[-1] == 1:  # grey images without their channel axis
            observed = observed[..., None]
    if observed.shape not in (whole, data.shape):
        raise InputError(
            f"The mask has shape {list(observed.shape)}; {list(whole)}, or {list(data.shape)} for all rows alike, was "
            "expected."
        )
    observed = np.broadcast_to(observed, whole)
    held = data.arrays
    if held.observed is not None:
        observed = observed & np.asarray(held.observed)
    values = np.where(observed, np.asarray(held.values), 0).astype(held.values.dtype)
    convert = np.asarray if data.on_host else jnp.asarray
    rows = Example(convert(values), convert(observed), context=held.context)
    return Source(rows, data.values, data.dynamic, data.pixels)
