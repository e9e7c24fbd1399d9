"""Non-linear Gaussian belief networks with free parameters of q for each example (Frey and Hinton 1999).

    x_l ~ N(W_l f(x_{l+1}) + b_l, s_l^2),   q(x) = prod_i N(x_i; mu_i, phi_i)

The bound needs M = E f(x) and S = E f(x)^2 alone, which are known in closed form for the functions below, so nothing is
sampled. A binary unit is the sign of such an x with s = 1, a probit unit: its best q is a truncated normal, which is
taken out in closed form and leaves log Phi(+-m) - Var / 2, with m and Var those of its input under q.

Each unit's mu and phi are raised by steps along the natural gradient, which for linear units are the maximum; the best
of several lengths is taken, zero among them, so that no step lowers the bound.
"""

import math
from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jax.scipy.special import log_ndtr
from jaxtyping import Array, Float, Key

from nelbo.core import InputError, choice
from nelbo.distributions import FUNCTIONS, MOMENTS, moments

VISIBLE = ("binary", "real")
LENGTHS = (1.0, 0.5, 0.25, 0.0625, 0.0)
INNER = 2  # steps of one unit in a sweep
Pair = tuple[Array, Array]


class GaussianBeliefNet(eqx.Module):
    """The generative parameters.

    Args:
        weights: W_0 (visible x first latent layer), W_1 (first x second), ...
        biases: of the visible layer, then of every latent layer.
        log_scales: log s in the same order; nothing is read of the first if the visible units are binary.
        functions: f of every latent layer, see `MOMENTS`.
        visible: "binary" or "real".
    """

    references: ClassVar[tuple[str, ...]] = ("frey1999",)
    weights: tuple[Float[Array, "..."], ...]
    biases: tuple[Float[Array, "..."], ...]
    log_scales: tuple[Float[Array, "..."], ...]
    functions: tuple[str, ...] = eqx.field(static=True)
    visible: str = eqx.field(static=True)

    def variance(self, layer: int) -> Array:
        """s^2 of a layer, 0 being the visible one."""
        if layer == 0 and self.visible == "binary":
            return jnp.ones_like(self.biases[0])
        return jnp.exp(2.0 * self.log_scales[layer])


def gaussian_belief_net(
    key: Key[Array, ""],
    size: int,
    layers: Sequence[int],
    *,
    functions: Sequence[str] | str = "relu",
    visible: str = "binary",
    centre: Float[Array, " d"] | None = None,
) -> GaussianBeliefNet:
    """A net with small random weights.

    Args:
        key: for the weights.
        size: visible units.
        layers: units of each latent layer, the one next to the data first.
        functions: of each layer, or one for all; see `MOMENTS`.
        visible: "binary" (probit units) or "real".
        centre: the mean of the data, from which the visible biases start.

    Raises:
        InputError: an unknown word, or a size below one.
    """
    names = (functions,) * len(layers) if isinstance(functions, str) else tuple(functions)
    for name in names:
        choice("function of a unit", name, MOMENTS)
    choice("kind of visible unit", visible, VISIBLE)
    if not layers or min(size, *layers) < 1 or len(names) != len(layers):
        raise InputError("A belief network needs sizes of at least 1, and one function for each latent layer.")
    sizes = (size, *layers)
    keys = jr.split(key, len(layers))
    weights = [
        jr.normal(k, (b, a), jnp.float32) / math.sqrt(a) for k, b, a in zip(keys, sizes[:-1], sizes[1:], strict=True)
    ]
    biases = [jnp.zeros(count, jnp.float32) for count in sizes]
    if centre is not None:
        share = jnp.clip(centre, 0.01, 0.99)
        biases[0] = jax.scipy.special.ndtri(share) if visible == "binary" else jnp.asarray(centre, jnp.float32)
    scales = [jnp.zeros(count, jnp.float32) for count in sizes]
    return GaussianBeliefNet(tuple(weights), tuple(biases), tuple(scales), names, visible)


class Beliefs(NamedTuple):
    """q of one example: a mean and a variance for each unit of each latent layer."""

    mu: tuple[Array, ...]
    phi: tuple[Array, ...]


def prior_beliefs(net: GaussianBeliefNet) -> Beliefs:
    """A start: every layer at the mean and variance that its parents' means give it."""
    mu: list[Array] = []
    for layer in range(len(net.functions), 0, -1):
        above = mu[0] if mu else None
        mean = net.biases[layer]
        if above is not None:
            mean = mean + net.weights[layer] @ FUNCTIONS[net.functions[layer]](above)
        mu.insert(0, mean)
    return Beliefs(tuple(mu), tuple(net.variance(layer) for layer in range(1, len(mu) + 1)))


def _inputs(net: GaussianBeliefNet, q: Beliefs) -> list[Pair]:
    """Mean and variance under q of the input of each layer, 0 being the visible one."""
    result = []
    for layer, bias in enumerate(net.biases):
        if layer == len(net.functions):
            result.append((bias, jnp.zeros_like(bias)))
            continue
        mean, square = moments(net.functions[layer], q.mu[layer], q.phi[layer])
        weight = net.weights[layer]
        result.append((weight @ mean + bias, weight**2 @ jnp.maximum(square - mean**2, 0.0)))
    return result


def gaussian_belief_bound(
    net: GaussianBeliefNet, x: Float[Array, " d"], q: Beliefs, observed: Array | None = None
) -> Float[Array, ""]:
    """The lower bound on log p(x) (of the observed entries) at given q [nats]."""
    inputs = _inputs(net, q)
    mean, spread = inputs[0]
    variance = net.variance(0)
    if net.visible == "binary":
        terms = log_ndtr((2.0 * x - 1.0) * mean) - 0.5 * spread
    else:
        terms = -0.5 * (((x - mean) ** 2 + spread) / variance + jnp.log(2.0 * math.pi * variance))
    total = (terms if observed is None else jnp.where(observed, terms, 0.0)).sum()
    for layer, ((mean, spread), mu, phi) in enumerate(zip(inputs[1:], q.mu, q.phi, strict=True), start=1):
        variance = net.variance(layer)
        cross = ((mu - mean) ** 2 + phi + spread) / variance + jnp.log(variance)
        total = total - 0.5 * (cross - jnp.log(phi) - 1.0).sum()
    return total


def _targets(net: GaussianBeliefNet, x: Array, mean: Array) -> Array:
    """E of the visible pre-activations given the data: x itself, or the mean of the truncated normal."""
    if net.visible == "real":
        return x
    sign = 2.0 * x - 1.0
    logarithm = -0.5 * mean**2 - 0.5 * math.log(2.0 * math.pi) - log_ndtr(sign * mean)
    return mean + sign * jnp.exp(logarithm)


def _unit(function: str, mu: Array, phi: Array, prior: Pair, curvature: Array, pull: Array) -> Pair:
    """Raise -((mu - a)^2 + phi) / 2 s^2 + log(phi) / 2 - curvature S / 2 + pull M, prior being (a, 1 / s^2)."""
    mean, precision = prior

    def gain(mu: Array, phi: Array) -> Array:
        first, second = moments(function, mu, phi)
        own = -0.5 * precision * ((mu - mean) ** 2 + phi) + 0.5 * jnp.log(phi)
        return own - 0.5 * curvature * second + pull * first

    lengths = jnp.asarray(LENGTHS)

    def climb(_: Array, point: Pair) -> Pair:
        mu, phi = point
        to_mu, to_phi = jax.grad(gain, (0, 1))(mu, phi)
        sharp = 1.0 / phi - 2.0 * lengths * to_phi
        wide = 1.0 / jnp.where(sharp > 0, sharp, 1.0)
        moved = mu + lengths * wide * to_mu
        gains = jnp.where(sharp > 0, jax.vmap(gain)(moved, wide), -jnp.inf)
        best = jnp.argmax(jnp.where(jnp.isnan(gains), -jnp.inf, gains))
        stay = best == len(LENGTHS) - 1
        return jnp.where(stay, mu, moved[best]), jnp.where(stay, phi, wide[best])

    return jax.lax.fori_loop(0, INNER, climb, (mu, phi))


def _sweep(net: GaussianBeliefNet, x: Array, q: Beliefs, observed: Array | None) -> Beliefs:
    """Every unit once, the layer next to the data first."""
    mus, phis = list(q.mu), list(q.phi)
    for layer, function in enumerate(net.functions):
        inputs = _inputs(net, Beliefs(tuple(mus), tuple(phis)))
        above, prior_precision = inputs[layer + 1][0], 1.0 / net.variance(layer + 1)
        precision = 1.0 / net.variance(layer)
        if layer == 0 and observed is not None:
            precision = jnp.where(observed, precision, 0.0)
        below = None if layer == 0 else mus[layer - 1]
        columns, curvatures = net.weights[layer].T, (net.weights[layer] ** 2).T @ precision

        def unit(
            j: Array,
            carry: tuple[Array, ...],
            function: str = function,
            below: Array | None = below,
            precision: Array = precision,
            columns: Array = columns,
            curvatures: Array = curvatures,
            above: Array = above,
            prior_precision: Array = prior_precision,
        ) -> tuple[Array, ...]:
            """One unit; the layer's parameters are bound as defaults, for the loop over layers moves on."""
            mu, phi, mean = carry
            child = _targets(net, x, mean) if below is None else below
            old = moments(function, mu[j], phi[j])[0]
            column = columns[j]
            pull = (column * precision * (child - mean + column * old)).sum()
            new = _unit(function, mu[j], phi[j], (above[j], prior_precision[j]), curvatures[j], pull)
            return mu.at[j].set(new[0]), phi.at[j].set(new[1]), mean + column * (moments(function, *new)[0] - old)

        carry = (mus[layer], phis[layer], inputs[layer][0])
        mus[layer], phis[layer], _ = jax.lax.fori_loop(0, mus[layer].shape[0], unit, carry)
    return Beliefs(tuple(mus), tuple(phis))


def fit_beliefs(
    net: GaussianBeliefNet,
    x: Float[Array, " d"],
    *,
    sweeps: int = 10,
    start: Beliefs | None = None,
    observed: Array | None = None,
) -> tuple[Beliefs, Float[Array, " sweeps"]]:
    """Q of one example by coordinate ascent, and its bound after each sweep [nats].

    Args:
        net: the generative parameters.
        x: zeros and ones, or real numbers.
        sweeps: over all units.
        start: None starts at the prior.
        observed: which entries of x count; None for all.
    """

    def step(q: Beliefs, _: None) -> tuple[Beliefs, Array]:
        q = _sweep(net, x, q, observed)
        return q, gaussian_belief_bound(net, x, q, observed)

    return jax.lax.scan(step, prior_beliefs(net) if start is None else start, length=sweeps)


def _maximized(net: GaussianBeliefNet, xs: Array, q: Beliefs) -> GaussianBeliefNet:
    """The best weights, biases and scales for given beliefs: least squares with E f f' in the normal equations."""
    count = xs.shape[0]
    inputs = jax.vmap(lambda beliefs: _inputs(net, beliefs))(q)
    weights, biases, scales = [], [], []
    for layer in range(len(net.biases)):
        child = jax.vmap(lambda x, mean: _targets(net, x, mean))(xs, inputs[0][0]) if layer == 0 else q.mu[layer - 1]
        own = jnp.zeros_like(child) if layer == 0 else q.phi[layer - 1]
        if layer == len(net.functions):
            mean, spread = jnp.broadcast_to(child.mean(0), child.shape), jnp.zeros_like(child)
            biases.append(child.mean(0))
        else:
            first, second = moments(net.functions[layer], q.mu[layer], q.phi[layer])
            variance = jnp.maximum(second - first**2, 0.0)
            design = jnp.concatenate([first, jnp.ones((count, 1), jnp.float32)], axis=1)
            extra = jnp.concatenate([variance.sum(0), jnp.zeros(1, jnp.float32)])
            # the ridge keeps a system solvable whose units are all alike
            normal = design.T @ design + jnp.diag(extra + 1e-6 * count)
            solved = jnp.linalg.solve(normal, design.T @ child).T
            weights.append(solved[:, :-1])
            biases.append(solved[:, -1])
            mean, spread = design @ solved.T, variance @ (solved[:, :-1] ** 2).T
        # no scale falls under 1e-3: constant units would drive the density to infinity
        scales.append(0.5 * jnp.log(jnp.maximum(((child - mean) ** 2 + own + spread).mean(0), 1e-6)))
    return GaussianBeliefNet(tuple(weights), tuple(biases), tuple(scales), net.functions, net.visible)


@eqx.filter_jit
def belief_network_em(
    net: GaussianBeliefNet, xs: Float[Array, "n d"], *, rounds: int = 20, sweeps: int = 2
) -> tuple[GaussianBeliefNet, Float[Array, " rounds"]]:
    """Variational EM: sweeps over the beliefs of every example, then all parameters in closed form.

    No round lowers the mean bound, up to rounding and to the ridge of 1e-6.

    Returns:
        The fitted net, and the mean bound after each round [nats per example].
    """

    def one(carry: tuple[GaussianBeliefNet, Beliefs], _: Any) -> tuple[tuple[GaussianBeliefNet, Beliefs], Array]:
        net, start = carry
        q, _ = jax.vmap(lambda x, q: fit_beliefs(net, x, sweeps=sweeps, start=q))(xs, start)
        net = _maximized(net, xs, q)
        return (net, q), jax.vmap(lambda x, q: gaussian_belief_bound(net, x, q))(xs, q).mean()

    first = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (xs.shape[0], *leaf.shape)), prior_beliefs(net))
    (net, _), bounds = jax.lax.scan(one, (net, first), length=rounds)
    return net, bounds
