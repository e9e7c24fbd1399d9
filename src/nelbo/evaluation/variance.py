"""How noisy each estimator's gradient is, layer by layer, for one model and one batch."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import optax
from jaxtyping import Array, Float, Key, PyTree

from nelbo.core import AnyExample, InputError, compiled
from nelbo.models import Model
from nelbo.nets import trainable
from nelbo.objectives import (
    Iwae,
    Objective,
    ObjectiveState,
    ScoreFunction,
    Sgvb,
    Vimco,
    WakeSleep,
    half,
    local_signals_hold,
    straight_through,
)

SWITCHES = ("centring", "baseline", "normalization", "local")


def estimators(model: Model) -> dict[str, Objective]:
    """The objectives that suit a model's latents, by name: each variance reduction alone, all of NVIL, the others."""

    def score(*on: str) -> Objective:
        parts: dict[str, Any] = {name: name in on for name in SWITCHES}
        return ScoreFunction(**parts)

    found = {"plain": score(), "centring": score("centring"), "baseline": score("baseline")}
    if local_signals_hold(model):
        found |= {"local signals": score("local"), "NVIL": score(*SWITCHES)}
    else:
        found["NVIL, one signal"] = score("centring", "baseline", "normalization")
    found |= {"VIMCO, K=5": Vimco(5), "wake-sleep": WakeSleep(), "RWS, K=5": WakeSleep(5, wake_phi=1.0, sleep_phi=0.0)}
    if any(part.is_discrete for part in model.generative.shapes()[1:]):
        biased = {"DARN (biased)": half, "straight-through (biased)": straight_through}
        return found | {name: Sgvb("path", through=through) for name, through in biased.items()}
    found |= {f"SGVB {form}": Sgvb(form) for form in ("A", "B", "path")}
    return found | {"IWAE, K=5": Iwae(5), "DReG, K=5": Iwae(5, form="dreg")}


def settled(
    key: Key[Array, ""], objective: Objective, model: Model, batch: AnyExample, *, steps: int = 300, rate: float = 0.01
) -> ObjectiveState:
    """The objective's state with baselines trained and moving averages gathered, while the model stays as it is."""
    init_key, key = jr.split(key)
    return _settled(jr.split(key, steps), objective, model, batch, objective.init(init_key, model), rate)


@compiled
def _settled(
    keys: Key[Array, " steps"],
    objective: Objective,
    model: Model,
    batch: AnyExample,
    state: ObjectiveState,
    rate: float,
) -> ObjectiveState:
    params, static = eqx.partition(state.trained, trainable(state.trained))
    optimizer = optax.adam(rate)

    def loss(p: PyTree, k: Key[Array, ""], carried: PyTree) -> tuple[Array, PyTree]:
        out, after = objective(k, model, batch, ObjectiveState(eqx.combine(p, static), carried))
        return out.surrogate, after.carried

    def step(carry: tuple[PyTree, PyTree, PyTree], k: Key[Array, ""]) -> tuple[tuple[PyTree, PyTree, PyTree], None]:
        p, memory, carried = carry
        grads, carried = jax.grad(loss, has_aux=True)(p, k, carried)
        with jax.numpy_dtype_promotion("standard"):  # optax multiplies floats by its integer counts
            updates, memory = optimizer.update(grads, memory)
        return (optax.apply_updates(p, updates), memory, carried), None

    (params, _, carried), _ = jax.lax.scan(step, (params, optimizer.init(params), state.carried), keys)
    return ObjectiveState(eqx.combine(params, static), carried)


def _per_layer(gradient: Model) -> dict[str, Float[Array, " size"]]:
    """The gradient of each layer as one vector."""
    found = {}
    for letter, layers in (("p", gradient.generative.layers), ("q", gradient.recognition.layers)):
        for i, layer in enumerate(layers):
            leaves = [jnp.ravel(leaf) for leaf in jax.tree.leaves(layer)]
            if leaves:
                found[f"{letter}{i if letter == 'p' else i + 1}"] = jnp.concatenate(leaves)
    return found


def gradient_noise(
    key: Key[Array, ""], objective: Objective, model: Model, batch: AnyExample, state: ObjectiveState, *, draws: int
) -> dict[str, dict[str, float]]:
    """Variance and squared mean of the batch gradient of each layer over repeated draws, summed over parameters.

    Layers are named p0 (the data) to pL and q1 to qL.

    Args:
        key: for the draws.
        objective: whose surrogate is differentiated.
        model: at which.
        batch: of which examples.
        state: of the objective; it stays as it is.
        draws: how many gradients.

    Returns:
        For each layer `variance` and `signal` (the squared norm of the mean, corrected for its own noise).

    Raises:
        InputError: fewer than two draws.
    """
    if draws < 2:
        raise InputError(f"A variance needs at least 2 draws, got {draws}.")
    variance, means = _moments(jr.split(key, draws), objective, model, batch, state)
    return {
        name: {"variance": float(variance[name]), "signal": float(means[name]) - float(variance[name]) / draws}
        for name in variance
    }


@compiled
def _moments(
    keys: Key[Array, " draws"], objective: Objective, model: Model, batch: AnyExample, state: ObjectiveState
) -> tuple[dict[str, Array], dict[str, Array]]:
    """Of each layer's gradient the variance, and the squared norm of the mean."""
    params, static = eqx.partition(model, trainable(model))
    draws = keys.shape[0]

    def gradient(k: Key[Array, ""]) -> dict[str, Array]:
        loss = lambda p: objective(k, eqx.combine(p, static), batch, state)[0].surrogate  # noqa: E731
        return _per_layer(jax.grad(loss)(params))

    first = gradient(keys[0])  # deviations from one draw keep float32 exact

    def add(sums: Any, k: Key[Array, ""]) -> tuple[Any, None]:
        deviation = jax.tree.map(jnp.subtract, gradient(k), first)
        total, squares = sums
        total = jax.tree.map(jnp.add, total, deviation)
        return (total, jax.tree.map(lambda s, d: s + d**2, squares, deviation)), None

    zero = jax.tree.map(jnp.zeros_like, first)
    (total, squares), _ = jax.lax.scan(add, (zero, zero), keys[1:])
    variance = jax.tree.map(lambda t, s: ((s - t**2 / draws) / (draws - 1)).sum(), total, squares)
    return variance, jax.tree.map(lambda f, t: ((f + t / draws) ** 2).sum(), first, total)


def variance_report(
    key: Key[Array, ""], model: Model, batch: AnyExample, *, draws: int = 100, settle: int = 300
) -> dict[str, dict[str, dict[str, float]]]:
    """Gradient noise of every estimator that suits the model: `report[estimator][layer]`, see `gradient_noise`.

    Args:
        key: for baselines and draws.
        model: at which the gradients are taken.
        batch: of which examples.
        draws: gradients for each estimator.
        settle: steps for baselines and moving averages before.

    Raises:
        InputError: a model without latents, whose gradient has no noise; see also `gradient_noise`.
    """
    model.require_latents("The noise of gradients")
    settle_key, draw_key = jr.split(key)
    report = {}
    for name, objective in estimators(model).items():
        state = objective.init(jr.key(0), model)
        if jax.tree.leaves((state.trained, state.carried)):
            state = settled(settle_key, objective, model, batch, steps=settle)
        report[name] = gradient_noise(draw_key, objective, model, batch, state, draws=draws)
    return report
