"""Langevin and Hamiltonian dynamics with minibatch gradients: SGLD and SGHMC as optax transformations.

Both take a learning rate l that multiplies the gradient of the mean loss, as descent does: at temperature zero SGLD is
gradient descent and SGHMC is descent with momentum.
"""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, PyTree

from nelbo.bayes.sampler import (
    SamplerState,
    Temperatures,
    check_common,
    check_momentum,
    configurational,
    first_state,
    noise_like,
    size,
    total,
)
from nelbo.core import InputError, choice

SGLD_PRECONDITIONERS = ("none", "rms")
SGHMC_PRECONDITIONERS = ("none", "layerwise")
_RMS_DECAY, _RMS_FLOOR = 0.99, 1e-5
_LAYER_BATCHES, _LAYER_FLOOR = 32, 1e-7


def sgld(
    num_data: int,
    *,
    learning_rate: float | int = 1e-3,
    temperature: float | int = 1.0,
    decay_steps: float | int | None = None,
    power: float | int = 0.55,
    preconditioner: str = "none",
    seed: int = 0,
) -> optax.GradientTransformation:
    """Stochastic gradient Langevin dynamics: theta <- theta - l g + sqrt(2 l T / N) n.

    In the form of Welling and Teh (2011), theta <- theta - (e / 2) N g + sqrt(e T) n, the step is e = 2 l / N. With
    `decay_steps` b it shrinks as l (1 + t / b)^-power. A constant step leaves a bias of order e, see
    `stationary_covariance`. The preconditioner "rms" multiplies step and noise variance by
    G = 1 / (1e-5 + sqrt(running mean of g^2)), leaving out its divergence (Li et al. 2016).

    Args:
        num_data: N, the number of training examples.
        learning_rate: l.
        temperature: T of the posterior exp(-N L / T); 0 injects nothing.
        decay_steps: b, steps after which the step size begins to decay; None keeps it constant.
        power: exponent of the decay, above 0.5 and at most 1.
        preconditioner: "none" or "rms".
        seed: of the injected noise, where no `fit` gives a key.

    Raises:
        InputError: a number out of its range.
    """
    check_common(num_data, temperature, learning_rate)
    choice("preconditioner", preconditioner, SGLD_PRECONDITIONERS)
    if decay_steps is not None and not (0 < decay_steps < math.inf and 0.5 < power <= 1):
        raise InputError(f"decay_steps must be positive and power over 0.5 to 1, got {decay_steps} and {power}.")
    rms = preconditioner == "rms"

    def init(params: PyTree) -> Any:
        return first_state(
            seed if temperature else None, None, jax.tree.map(jnp.zeros_like, params) if rms else None, kinetic=False
        )

    def rate_at(count: Int[Array, ""]) -> Float[Array, ""] | float:
        if decay_steps is None:
            return float(learning_rate)
        return learning_rate * (1.0 + jnp.asarray(count, jnp.float32) / decay_steps) ** -power

    def update(updates: PyTree, state: Any, params: PyTree = None) -> tuple[PyTree, Any]:
        rate, key, squares, scales = rate_at(state.count), state.key, state.adaptation, None
        if rms:
            squares = jax.tree.map(lambda v, g: _RMS_DECAY * v + (1 - _RMS_DECAY) * g * g, squares, updates)
            unbiased = 1.0 - _RMS_DECAY ** jnp.asarray(state.count + 1, jnp.float32)
            scales = jax.tree.map(lambda v: 1.0 / (_RMS_FLOOR + jnp.sqrt(v / unbiased)), squares)
        change = jax.tree.map(lambda g: -rate * g, updates)
        if rms:
            change = jax.tree.map(lambda c, s: s * c, change, scales)
        if temperature:
            spread = jnp.sqrt(rate * (2.0 * temperature / num_data))
            noise, key = noise_like(key, updates)
            noise = noise if not rms else jax.tree.map(lambda n, s: jnp.sqrt(s) * n, noise, scales)
            change = jax.tree.map(lambda c, n: c + spread * n, change, noise)
        heat = Temperatures(None, configurational(updates, params, num_data))
        return change, SamplerState(state.count + 1, key, None, squares, heat)

    return optax.GradientTransformation(init, update)


class LayerMasses(NamedTuple):
    """The layerwise preconditioner of SGHMC: a mass for each array.

    Args:
        masses: M, a scalar for each array, the least of them 1.
        squares: running mean of each array's mean squared gradient.
    """

    masses: PyTree
    squares: PyTree


def sghmc(
    num_data: int,
    *,
    learning_rate: float | int = 0.01,
    momentum: float | int = 0.9,
    temperature: float | int = 1.0,
    cycle: int | None = None,
    preconditioner: str = "none",
    seed: int = 0,
) -> optax.GradientTransformation:
    """Stochastic gradient Hamiltonian Monte Carlo by symplectic Euler steps (Wenzel et al. 2020, algorithm 1).

    m <- (1 - h gamma) m - h N g + sqrt(2 gamma h T) M^1/2 n, theta <- theta + h M^-1 m, with h = sqrt(l / N) and
    gamma = (1 - momentum) sqrt(N / l). With `cycle` steps h is multiplied by C(t) = (cos(pi (t mod cycle) / cycle) +
    1) / 2, and draws are taken at the ends of cycles (Zhang et al. 2020). The preconditioner "layerwise" gives each
    array a mass proportional to the root of its mean squared gradient over about 32 minibatches, set anew at the start
    of each cycle; the momentum is scaled with it, so that the kinetic energy is not changed.

    The state holds t = -m / (h N), the trace of `optax.sgd`: with temperature 0, no cycle and no preconditioner the
    parameters are those of `optax.sgd(l, momentum)` to the last bit.

    Args:
        num_data: N, the number of training examples.
        learning_rate: l.
        momentum: factor by which the velocity is multiplied in every step.
        temperature: T of the posterior exp(-N L / T); 0 injects nothing.
        cycle: steps in a cycle of the step size; None keeps it constant.
        preconditioner: "none" or "layerwise".
        seed: of the injected noise, where no `fit` gives a key.

    Raises:
        InputError: a number out of its range, or a layerwise preconditioner without cycles.
    """
    check_common(num_data, temperature, learning_rate)
    check_momentum(momentum)
    choice("preconditioner", preconditioner, SGHMC_PRECONDITIONERS)
    layerwise = preconditioner == "layerwise"
    if cycle is not None and cycle < 2:
        raise InputError(f"A cycle takes at least 2 steps, got {cycle}.")
    if layerwise and cycle is None:
        raise InputError("The layerwise preconditioner is set at the start of each cycle: give cycle, in steps.")

    def init(params: PyTree) -> Any:
        ones = jax.tree.map(lambda leaf: jnp.ones((), leaf.dtype), params)
        masses = LayerMasses(ones, jax.tree.map(jnp.zeros_like, ones)) if layerwise else None
        return first_state(seed if temperature else None, jax.tree.map(jnp.zeros_like, params), masses, kinetic=True)

    def update(updates: PyTree, state: Any, params: PyTree = None) -> tuple[PyTree, Any]:
        key, trace, adaptation, masses = state.key, state.momentum, state.adaptation, None
        if cycle is not None and layerwise:
            adaptation, trace = _at_cycle_start(adaptation, trace, state.count, cycle)
            masses = adaptation.masses
            adaptation = adaptation._replace(squares=_mean_squares(adaptation.squares, updates))
        part = None if cycle is None else _cosine(state.count, cycle)
        if part is None:
            trace = jax.tree.map(lambda g, t: g + momentum * t, updates, trace)
        else:
            keep = 1.0 - part * (1.0 - momentum)
            trace = jax.tree.map(lambda g, t: part * g + keep * t, updates, trace)
        if temperature:
            spread = math.sqrt(2.0 * (1.0 - momentum) * temperature / (learning_rate * num_data))
            spread = spread if part is None else spread * jnp.sqrt(part)
            noise, key = noise_like(key, updates)
            noise = noise if masses is None else jax.tree.map(lambda n, m: n * jnp.sqrt(m), noise, masses)
            trace = jax.tree.map(lambda t, n: t - spread * n, trace, noise)
        scale = -learning_rate if part is None else -learning_rate * part
        pulled = trace if masses is None else jax.tree.map(lambda t, m: t / m, trace, masses)
        energy = total(jax.tree.map(lambda t, p: t * p, trace, pulled)) * (learning_rate * num_data / size(params))
        heat = Temperatures(energy, configurational(updates, params, num_data))
        change = jax.tree.map(lambda p: scale * p, pulled)
        return change, SamplerState(state.count + 1, key, trace, adaptation, heat)

    return optax.GradientTransformation(init, update)


def _cosine(count: Int[Array, ""], cycle: int) -> Float[Array, ""]:
    """C(t), from 1 at the start of a cycle down to nearly 0."""
    return 0.5 * (1.0 + jnp.cos(jnp.asarray(count % cycle, jnp.float32) * (math.pi / cycle)))


def _mean_squares(squares: PyTree, gradient: PyTree) -> PyTree:
    rate = 1.0 / _LAYER_BATCHES
    return jax.tree.map(lambda s, g: s + rate * (jnp.mean(g * g) - s), squares, gradient)


def _at_cycle_start(
    adaptation: LayerMasses, trace: PyTree, count: Int[Array, ""], cycle: int
) -> tuple[LayerMasses, PyTree]:
    """New masses at the start of every cycle but the first, whose gradients nobody has seen."""
    roots = jax.tree.map(lambda s: jnp.sqrt(s + _LAYER_FLOOR), adaptation.squares)
    least = jnp.min(jnp.stack(jax.tree.leaves(roots)))
    starts = (count % cycle == 0) & (count > 0)
    masses = jax.tree.map(lambda r, old: jnp.where(starts, r / least, old), roots, adaptation.masses)
    trace = jax.tree.map(lambda t, new, old: t * jnp.sqrt(new / old), trace, masses, adaptation.masses)
    return adaptation._replace(masses=masses), trace
