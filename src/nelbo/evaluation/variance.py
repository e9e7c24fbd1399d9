"""How noisy each estimator's gradient is, layer by layer, for one model and one batch."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import optax
from jaxtyping import Array, Float, Key, PyTree

from nelbo.core import InputError
from nelbo.models import Example, Model
from nelbo.nets import trainable
from nelbo.objectives import Iwae, Objective, Sgvb, Vimco, WakeSleep, half, nvil, straight_through

SIDES = (("generative", "p"), ("recognition", "q"))
SWITCHES = ("centring", "baseline", "normalization", "local")


def estimators(key: Key[Array, ""], model: Model, x: Example) -> dict[str, Objective]:
    """The objectives that suit a model's latents, by name: each variance reduction alone, all of NVIL, the others.

    Args:
        key: for baselines.
        model: what they would train.
        x: one example, to see what the latents are.
    """

    def score(*on: str) -> Objective:
        parts: dict[str, Any] = {name: name in on for name in SWITCHES}
        return nvil(key, model, **parts)

    parts = eqx.filter_eval_shape(lambda k: model.draw(k, x).parts, jr.key(0))
    found = {"plain": score(), "centring": score("centring"), "baseline": score("baseline")}
    if all(getattr(layer, "parent", "nearest") == "nearest" for layer in model.generative.layers[:-1]):
        found |= {"local signals": score("local"), "NVIL": score(*SWITCHES)}
    found |= {"VIMCO, K=5": Vimco(5), "wake-sleep": WakeSleep(), "RWS, K=5": WakeSleep(5, wake_phi=1.0, sleep_phi=0.0)}
    if any(part.is_discrete for part in parts):
        biased = {"DARN (biased)": half, "straight-through (biased)": straight_through}
        return found | {name: Sgvb("path", passage=passage) for name, passage in biased.items()}
    found |= {f"SGVB {form}": Sgvb(form) for form in ("A", "B", "path")}
    return found | {"IWAE, K=5": Iwae(5), "DReG, K=5": Iwae(5, form="dreg")}


def settled(
    key: Key[Array, ""], objective: Objective, model: Model, batch: Example, *, steps: int = 300, rate: float = 0.01
) -> tuple[Objective, PyTree]:
    """The objective with its baselines trained and its moving averages gathered, while the model stays as it is."""
    params, static = eqx.partition(objective, trainable(objective))
    optimizer = optax.adam(rate)

    def loss(p: PyTree, k: Key[Array, ""], state: PyTree) -> tuple[Array, PyTree]:
        out, state = eqx.combine(p, static)(k, model, batch, state)
        return out.surrogate, state

    def step(carry: tuple[PyTree, PyTree, PyTree], k: Key[Array, ""]) -> tuple[tuple[PyTree, PyTree, PyTree], None]:
        p, memory, state = carry
        grads, state = jax.grad(loss, has_aux=True)(p, k, state)
        updates, memory = optimizer.update(grads, memory)
        return (optax.apply_updates(p, updates), memory, state), None

    start = (params, optimizer.init(params), objective.init(model))
    (params, _, state), _ = eqx.filter_jit(lambda keys: jax.lax.scan(step, start, keys))(jr.split(key, steps))
    return eqx.combine(params, static), state


def _per_layer(gradient: Model) -> dict[str, Float[Array, " size"]]:
    """The gradient of each layer as one vector."""
    found = {}
    for side, letter in SIDES:
        for i, layer in enumerate(getattr(gradient, side).layers):
            leaves = [jnp.ravel(leaf) for leaf in jax.tree.leaves(layer)]
            if leaves:
                found[f"{letter}{i if letter == 'p' else i + 1}"] = jnp.concatenate(leaves)
    return found


def gradient_noise(
    key: Key[Array, ""], objective: Objective, model: Model, batch: Example, state: PyTree, *, draws: int
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
    params, static = eqx.partition(model, trainable(model))

    def gradient(k: Key[Array, ""]) -> dict[str, Array]:
        loss = lambda p: objective(k, eqx.combine(p, static), batch, state)[0].surrogate  # noqa: E731
        return _per_layer(jax.grad(loss)(params))

    def moments(keys: Key[Array, " draws"]) -> tuple[dict[str, Array], dict[str, Array]]:
        first = gradient(keys[0])  # deviations from one draw keep float32 exact

        def add(sums: Any, k: Key[Array, ""]) -> tuple[Any, None]:
            deviation = jax.tree.map(jnp.subtract, gradient(k), first)
            total, squares = sums
            total = jax.tree.map(jnp.add, total, deviation)
            return (total, jax.tree.map(lambda s, d: s + d**2, squares, deviation)), None

        zero = jax.tree.map(jnp.zeros_like, first)
        (total, squares), _ = jax.lax.scan(add, (zero, zero), keys[1:])
        variance = jax.tree.map(lambda t, s: ((s - t**2 / draws) / (draws - 1)).sum(), total, squares)
        means = jax.tree.map(lambda f, t: ((f + t / draws) ** 2).sum(), first, total)
        return variance, means

    variance, means = eqx.filter_jit(moments)(jr.split(key, draws))
    return {
        name: {"variance": float(variance[name]), "signal": float(means[name]) - float(variance[name]) / draws}
        for name in variance
    }


def variance_report(
    key: Key[Array, ""], model: Model, batch: Example, *, draws: int = 100, settle: int = 300
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
    make_key, settle_key, draw_key = jr.split(key, 3)
    report = {}
    for name, objective in estimators(make_key, model, jax.tree.map(lambda leaf: leaf[0], batch)).items():
        ready, state = objective, objective.init(model)
        if jax.tree.leaves(state):
            ready, state = settled(settle_key, objective, model, batch, steps=settle)
        report[name] = gradient_noise(draw_key, ready, model, batch, state, draws=draws)
    return report
