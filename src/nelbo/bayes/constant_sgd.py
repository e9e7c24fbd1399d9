"""Constant stochastic gradient descent as approximate Bayesian inference (Mandt, Hoffman, Blei 2017).

Near an optimum with Hessian A the minibatch gradient is A theta plus noise of covariance V = C / S (C of one example's
gradient, S the size of the minibatch). Descent with a constant step matrix K is then an Ornstein-Uhlenbeck process with
stationary covariance A Sigma + Sigma A = K V for K of the right form, and K can be chosen so that Sigma is that of the
posterior, (N A)^-1. Nothing but V has to be known, and V can be measured while the parameters move.
"""

import dataclasses
import math
from typing import Any, Literal, NamedTuple, get_args

import jax
import jax.numpy as jnp
import optax
from jax.flatten_util import ravel_pytree
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

Preconditioner = Literal["scalar", "diagonal", "full"]
MOST_FULL = 2000  # parameters of which a full covariance is kept
_DAMPING = 1e-6  # of the mean variance, added to every variance


class GradientNoise(NamedTuple):
    """A running estimate of V, the covariance of the minibatch gradient.

    Half the squared difference of successive gradients, averaged: E (g_t - g_s)(g_t - g_s)' / 2 is V where batches are
    independent, and C / S too where they are drawn without replacement from one pass: there a gradient has covariance
    C / S - C / N and two of them -C / N. A moving mean gradient leaves only its change in one step. C here is the
    covariance with N - 1 in its denominator.

    Args:
        count: gradients seen.
        previous: the last one.
        second: the average; a tree of arrays, or a matrix for the full covariance.
    """

    count: Int[Array, ""]
    previous: PyTree
    second: PyTree


def _first_noise(params: PyTree, kind: str) -> GradientNoise:
    zeros = jax.tree.map(jnp.zeros_like, params)
    if kind != "full":
        return GradientNoise(jnp.zeros((), jnp.int32), zeros, zeros)
    flat, _ = ravel_pytree(zeros)
    return GradientNoise(jnp.zeros((), jnp.int32), zeros, jnp.zeros((flat.size, flat.size), flat.dtype))


def _measured(noise: GradientNoise, gradient: PyTree, memory: int) -> GradientNoise:
    """The estimate with one gradient more: an average over all differences, at last over about `memory` of them."""
    change = jax.tree.map(lambda g, p: g - p, gradient, noise.previous)
    seen = jnp.asarray(noise.count, jnp.float32)  # differences so far, this one counted
    rate = jnp.where(noise.count == 0, 0.0, jnp.maximum(1.0 / jnp.maximum(seen, 1.0), 1.0 / memory))
    if isinstance(noise.second, jax.Array):
        flat, _ = ravel_pytree(change)
        square = jnp.outer(flat, flat)
    else:
        square = jax.tree.map(jnp.square, change)
    second = jax.tree.map(lambda old, new: old + rate * (0.5 * new - old), noise.second, square)
    return GradientNoise(noise.count + 1, gradient, second)


def _mean_variance(noise: GradientNoise, params: PyTree) -> Float[Array, ""]:
    """Tr V / d; never zero, so that it can be divided by."""
    whole = jnp.trace(noise.second) if isinstance(noise.second, jax.Array) else total(noise.second)
    return jnp.maximum(whole / size(params), jnp.finfo(jnp.float32).tiny)


def _inverses(noise: GradientNoise, tree: PyTree, injected: PyTree, kind: str) -> tuple[PyTree, PyTree]:
    """V^-1 g, and V^-1/2 n for some root, for a gradient g and noise n."""
    mean = _mean_variance(noise, tree)
    if kind == "scalar":
        return jax.tree.map(lambda g: g / mean, tree), jax.tree.map(lambda n: n / jnp.sqrt(mean), injected)
    if kind == "diagonal":
        variance = jax.tree.map(lambda v: v + _DAMPING * mean, noise.second)
        return (
            jax.tree.map(lambda g, v: g / v, tree, variance),
            jax.tree.map(lambda n, v: n / jnp.sqrt(v), injected, variance),
        )
    flat, back = ravel_pytree(tree)
    n, _ = ravel_pytree(injected)
    factor = jnp.linalg.cholesky(noise.second + _DAMPING * mean * jnp.eye(flat.size, dtype=flat.dtype))
    whole = jax.scipy.linalg.cho_solve((factor, True), flat)
    # V = F F', so F'^-1 n has covariance V^-1
    return back(whole), back(jax.scipy.linalg.solve_triangular(factor, n, trans=1, lower=True))


@dataclasses.dataclass(frozen=True)
class _NoiseScaled:
    """Constant SGD (share 1) or Fisher scoring; for the settings see these."""

    num_data: int
    learning_rate: float
    preconditioner: str
    temperature: float
    momentum: float
    share: float
    plain_steps: int
    noise_memory: int
    max_rate: float
    seed: int

    def __post_init__(self) -> None:
        check_common(self.num_data, self.temperature, self.learning_rate)
        check_momentum(self.momentum)
        choice("preconditioner", self.preconditioner, get_args(Preconditioner))
        if self.plain_steps < 2 or self.noise_memory < 2:
            found = f"{self.plain_steps} and {self.noise_memory}"
            raise InputError(f"plain_steps and noise_memory must be at least 2 steps, got {found}.")
        if not 0 < self.share <= 1:
            raise InputError(f"minibatch_share is a part of the noise, over 0 to 1, got {self.share}.")
        if not self.max_rate > 0:
            raise InputError(f"max_rate, the longest step, must be a positive number, got {self.max_rate}.")

    @property
    def along(self) -> float:
        """What V^-1 g is multiplied with: 2 r mu T / N, mu = 1 - momentum, which lengthens every step by 1 / mu."""
        return 2.0 * (1.0 - self.momentum) * self.temperature / self.num_data * self.share

    @property
    def across(self) -> float:
        """What V^-1/2 n is multiplied with."""
        return self.along * math.sqrt((1.0 - self.share) / self.share)

    def transformation(self) -> optax.GradientTransformation:
        """For optax. Those of equal settings are equal, so what was compiled with one is found for the other."""
        return optax.GradientTransformation(self.init, self.update)

    def init(self, params: PyTree) -> Any:
        if self.preconditioner == "full" and size(params) > MOST_FULL:
            raise InputError(
                f"A full preconditioner keeps a matrix of all pairs of parameters, and {size(params):,} of them are "
                f"more than {MOST_FULL:,}: take diagonal or scalar."
            )
        velocity = jax.tree.map(jnp.zeros_like, params) if self.momentum else None
        noise = _first_noise(params, self.preconditioner)
        return first_state(self.seed if self.across else None, velocity, noise, kinetic=False)

    def update(self, updates: PyTree, state: Any, params: PyTree = None) -> tuple[PyTree, Any]:
        noise = _measured(state.adaptation, updates, self.noise_memory)
        rate = (1.0 - self.momentum) * self.learning_rate
        injected, key = noise_like(state.key, updates)
        change = jax.lax.cond(
            state.count < self.plain_steps,
            lambda: jax.tree.map(lambda g: -rate * g, updates),
            lambda: self._step(noise, updates, injected),
        )
        velocity = state.momentum
        if velocity is not None:
            change = velocity = jax.tree.map(lambda v, c: self.momentum * v + c, velocity, change)
        heat = Temperatures(None, configurational(updates, params, self.num_data))
        return change, SamplerState(state.count + 1, key, velocity, noise, heat)

    def _step(self, noise: GradientNoise, gradient: PyTree, injected: PyTree) -> PyTree:
        drift, random = _inverses(noise, gradient, injected, self.preconditioner)
        if self.preconditioner == "full":
            return jax.tree.map(lambda d, r: self.across * r - self.along * d, drift, random)

        def bounded(d: Array, g: Array) -> Array:
            # where minibatches hardly differ, the step that the theory asks for is longer than descent can bear
            return jnp.sign(d) * jnp.minimum(self.along * jnp.abs(d), self.max_rate * jnp.abs(g))

        return jax.tree.map(lambda d, r, g: self.across * r - bounded(d, g), drift, random, gradient)


def constant_sgd(
    num_data: int,
    *,
    learning_rate: float | int = 0.01,
    preconditioner: str = "scalar",
    temperature: float | int = 1.0,
    momentum: float | int = 0.0,
    plain_steps: int = 500,
    noise_memory: int = 2000,
    max_rate: float | int = 1.0,
    seed: int = 0,
) -> optax.GradientTransformation:
    """Constant SGD whose iterates are draws from an approximate posterior.

    theta <- theta - K g with K = (2 / N) d / tr V, (2 / N) diag(V)^-1 or (2 / N) V^-1, which for V = C / S are the
    equations for the scalar, diagonal and full preconditioner: the step that minimizes KL(stationary || posterior),
    assuming a quadratic loss. With momentum the step is (1 - momentum) times as long, and the draws are the same.

    Source: Mandt, Hoffman, Blei (2017), theorem 1, theorem 2, corollary 4 and section 5.1.

    Args:
        num_data: N, the number of training examples.
        learning_rate: of the plain descent in the first steps, while the noise is measured.
        preconditioner: "scalar", "diagonal" or "full".
        temperature: T of the posterior exp(-N L / T); the step is proportional to it.
        momentum: factor by which the velocity is multiplied in every step.
        plain_steps: steps of plain descent before the measured gradient noise sets the step size.
        noise_memory: number of differences of gradients over which the gradient noise is averaged.
        max_rate: largest scalar or diagonal step size.
        seed: not used: nothing is injected.

    Raises:
        InputError: a number out of its range; `init`: too many parameters for a full preconditioner.
    """
    settings = (plain_steps, noise_memory, max_rate, seed)
    return _NoiseScaled(num_data, learning_rate, preconditioner, temperature, momentum, 1.0, *settings).transformation()


def sgfs(
    num_data: int,
    *,
    learning_rate: float | int = 0.01,
    preconditioner: str = "diagonal",
    temperature: float | int = 1.0,
    minibatch_share: float | int = 0.5,
    plain_steps: int = 500,
    noise_memory: int = 2000,
    max_rate: float | int = 1.0,
    seed: int = 0,
) -> optax.GradientTransformation:
    """Stochastic gradient Fisher scoring: theta <- theta - e H g + sqrt(e) H E n, H = (2 / N) (e V + E E')^-1.

    The injected noise has the form of the minibatches' own, E E' = c V. Only r = e / (e + c) is then left of the two
    numbers, the share of the noise that minibatches make: theta <- theta - (2 r / N) V^-1 g + (2 / N) sqrt(r (1 - r))
    V^-1/2 n. With r = 1 this is constant SGD; smaller r takes smaller steps, so that less is lost to their length.

    Source: Ahn, Korattikara, Welling (2012); Mandt, Hoffman, Blei (2017), section 4.3.

    Args:
        num_data: N, the number of training examples.
        learning_rate: of the plain descent in the first steps, while the noise is measured.
        preconditioner: "scalar", "diagonal" or "full".
        temperature: T of the posterior exp(-N L / T).
        minibatch_share: r, the share of the noise that comes from minibatches; the rest is injected.
        plain_steps: steps of plain descent before the measured gradient noise sets the step size.
        noise_memory: number of differences of gradients over which the gradient noise is averaged.
        max_rate: largest scalar or diagonal step size.
        seed: of the injected noise, where no `fit` gives a key.

    Raises:
        InputError: as for `constant_sgd`.
    """
    settings = (minibatch_share, plain_steps, noise_memory, max_rate, seed)
    return _NoiseScaled(num_data, learning_rate, preconditioner, temperature, 0.0, *settings).transformation()
