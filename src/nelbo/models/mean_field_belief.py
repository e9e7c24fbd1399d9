"""Classical variational Bayes for a sigmoid belief net: free parameters of q for each example, and variational EM.

q(z) = prod_j Bern(z_j; mu_j) with its own mu for every example. Three lower bounds on E_q log p(x|z) lead to three
bounds on log p(x); each is raised by updates of one coordinate at a time,

    mu_j <- sigmoid(d energy / d mu_j),

where the energy is the bound without q's entropy. The exact and the quadratic energies are linear in mu_j, so this is
the maximum; Saul's is convex in mu_j, so this is the maximum of the bound with the energy's tangent in its place, which
lies below it and touches it at the present mu_j. So no update lowers a bound.
"""

import functools
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.nn import log_sigmoid, sigmoid
from jax.scipy.special import entr, logsumexp
from jaxtyping import Array, Float

from nelbo.core import InputError, choice, softplus
from nelbo.distributions import Bernoulli
from nelbo.models.stack import Model

MEAN_FIELD_BOUNDS = {
    "exact": "the sum over all 2^J states of z",
    "saul": "E softplus(a) <= xi E a + log(E e^{-xi a} + E e^{(1-xi) a}) (Saul, Jaakkola and Jordan 1996, eq. 10)",
    "quadratic": "log sigma(a) >= log sigma(xi) + (a - xi) / 2 - lambda(xi) (a^2 - xi^2) (Jaakkola and Jordan 2000)",
}
MOST_ENUMERATED = 16


class BeliefNet(eqx.Module):
    """The generative parameters of a sigmoid belief net with one latent layer.

    Args:
        weight: of each latent (column) on each visible unit (row).
        bias: of the visible units.
        prior: logits of the latents.
    """

    references: ClassVar[tuple[str, ...]] = ("saul1996", "neal1992")
    weight: Float[Array, "d j"]
    bias: Float[Array, " d"]
    prior: Float[Array, " j"]

    @classmethod
    def of(cls, model: Model) -> "BeliefNet":
        """Of a model made by `sbn` with one layer.

        Raises:
            InputError: the model is no such net.
        """
        weight, layers = model.generative.layers[0].direct_weight, model.generative.layers
        top = model.generative.root(1) if model.depth == 1 else None
        if weight is None or not isinstance(top, Bernoulli):
            raise InputError("Classical mean field needs a sigmoid belief net with one latent layer: use sbn.")
        below = layers[0]((jnp.zeros_like(jnp.asarray(top.logits)),))
        if not isinstance(below, Bernoulli):
            raise InputError("Classical mean field needs binary data: use sbn with a bernoulli likelihood.")
        return cls(weight, jnp.ravel(below.logits), jnp.asarray(top.logits))


class FittedMeanField(eqx.Module):
    """q of one example and how its bound rose.

    Args:
        mu: P(z_j = 1).
        xi: the bound's own parameters, one for each visible unit; nothing to the exact one.
        bounds: after each sweep [nats].
    """

    mu: Float[Array, " j"]
    xi: Float[Array, " d"]
    bounds: Float[Array, " sweeps"]


@functools.cache
def _states(size: int) -> np.ndarray:
    if size > MOST_ENUMERATED:
        raise InputError(
            f"Exact enumeration is for at most {MOST_ENUMERATED} latents, got {size}: use saul or quadratic."
        )
    return ((np.arange(2**size)[:, None] >> np.arange(size)) & 1).astype(np.float32)


def _exact(net: BeliefNet, x: Float[Array, " d"], mu: Float[Array, " j"]) -> Float[Array, ""]:
    states = jnp.asarray(_states(mu.shape[0]))
    chance = jnp.prod(jnp.where(states > 0, mu[None, :], 1.0 - mu[None, :]), axis=1)
    logits = states @ net.weight.T + net.bias[None, :]
    return chance @ (x[None, :] * logits - softplus(logits)).sum(1)


def _log_moment(net: BeliefNet, mu: Float[Array, " j"], t: Float[Array, " d"]) -> Float[Array, " d"]:
    """Log E exp(t_m a_m)."""
    return t * net.bias + jnp.log1p(mu[None, :] * jnp.expm1(t[:, None] * net.weight)).sum(1)


def _saul(net: BeliefNet, x: Float[Array, " d"], mu: Float[Array, " j"], xi: Float[Array, " d"]) -> Float[Array, ""]:
    mean = net.weight @ mu + net.bias
    moments = jnp.stack([_log_moment(net, mu, -xi), _log_moment(net, mu, 1.0 - xi)])
    return (x * mean - xi * mean - logsumexp(moments, axis=0)).sum()


def _quadratic(
    net: BeliefNet, x: Float[Array, " d"], mu: Float[Array, " j"], xi: Float[Array, " d"]
) -> Float[Array, ""]:
    mean = net.weight @ mu + net.bias
    square = _square(net, mu)
    return ((x - 0.5) * mean + log_sigmoid(xi) - 0.5 * xi - curvature(xi) * (square - xi**2)).sum()


def _square(net: BeliefNet, mu: Float[Array, " j"]) -> Float[Array, " d"]:
    """E a_m^2, linear in each mu_j as z_j^2 = z_j."""
    off = jnp.outer(mu, mu) - jnp.diag(mu**2)
    pairs = jnp.einsum("mj,jk,mk->m", net.weight, off, net.weight)
    return net.bias**2 + 2.0 * net.bias * (net.weight @ mu) + net.weight**2 @ mu + pairs


def curvature(xi: Float[Array, "*d"]) -> Float[Array, "*d"]:
    """lambda(xi) = tanh(xi / 2) / (4 xi), 1/8 at zero."""
    safe = jnp.where(jnp.abs(xi) < 1e-3, 1.0, xi)
    return jnp.where(jnp.abs(xi) < 1e-3, 0.125 - xi**2 / 96.0, jnp.tanh(safe / 2.0) / (4.0 * safe))


def energy(
    net: BeliefNet, x: Float[Array, " d"], mu: Float[Array, " j"], xi: Float[Array, " d"], bound: str
) -> Float[Array, ""]:
    """The bound without q's entropy: a lower bound on E_q log p(x, z) [nats]."""
    prior = (mu * net.prior - softplus(net.prior)).sum()
    if bound == "exact":
        return prior + _exact(net, x, mu)
    return prior + (_saul if bound == "saul" else _quadratic)(net, x, mu, xi)


def mean_field_bound(
    net: BeliefNet, x: Float[Array, " d"], mu: Float[Array, " j"], xi: Float[Array, " d"], *, bound: str = "exact"
) -> Float[Array, ""]:
    """A lower bound on log p(x) at given mu and xi, see `MEAN_FIELD_BOUNDS` [nats]."""
    choice("mean-field bound", bound, MEAN_FIELD_BOUNDS)
    return energy(net, x, mu, xi, bound) + (entr(mu) + entr(1.0 - mu)).sum()


def tightened(net: BeliefNet, mu: Float[Array, " j"], *, bound: str) -> Float[Array, " d"]:
    """The best xi for given mu: in closed form (quadratic), by bisection of a convex function on [0, 1] (Saul)."""
    if bound == "quadratic":
        return jnp.sqrt(jnp.maximum(_square(net, mu), 0.0))
    zero = jnp.zeros_like(net.bias)
    slope = jax.grad(lambda xi: _saul(net, zero, mu, xi))

    def halve(_: Array, ends: tuple[Array, Array]) -> tuple[Array, Array]:
        low, high = ends
        middle = 0.5 * (low + high)
        rising = slope(middle) > 0
        return jnp.where(rising, middle, low), jnp.where(rising, high, middle)

    low, high = jax.lax.fori_loop(0, 24, halve, (zero, zero + 1.0))
    return 0.5 * (low + high)


def mean_field(
    net: BeliefNet,
    x: Float[Array, " d"],
    *,
    bound: str = "exact",
    sweeps: int = 50,
    start: Float[Array, " j"] | None = None,
) -> FittedMeanField:
    """Fit q of one example by sequential coordinate ascent (no step lowers the bound).

    Args:
        net: the generative parameters.
        x: zeros and ones.
        bound: see `MEAN_FIELD_BOUNDS`.
        sweeps: over all latents; xi is fitted after each.
        start: first mu; None starts at the prior.

    Raises:
        InputError: an unknown bound, or too many latents to enumerate.
    """
    choice("mean-field bound", bound, MEAN_FIELD_BOUNDS)
    slope = jax.grad(lambda mu, xi: energy(net, x, mu, xi, bound))

    def fit_xi(mu: Float[Array, " j"]) -> Float[Array, " d"]:
        return jnp.zeros_like(net.bias) if bound == "exact" else tightened(net, mu, bound=bound)

    def sweep(carry: tuple[Array, Array], _: None) -> tuple[tuple[Array, Array], Array]:
        mu, xi = carry
        mu = jax.lax.fori_loop(0, mu.shape[0], lambda j, m: m.at[j].set(sigmoid(slope(m, xi)[j])), mu)
        xi = fit_xi(mu)
        return (mu, xi), mean_field_bound(net, x, mu, xi, bound=bound)

    mu = sigmoid(net.prior) if start is None else start
    (mu, xi), bounds = jax.lax.scan(sweep, (mu, fit_xi(mu)), length=sweeps)
    return FittedMeanField(mu, xi, bounds)


class VariationalEm(eqx.Module):
    """What variational EM found.

    Args:
        net: the fitted parameters.
        bounds: mean over examples after each round [nats per example].
    """

    net: BeliefNet
    bounds: Float[Array, " rounds"]


def variational_em(
    net: BeliefNet, xs: Float[Array, "n d"], *, bound: str = "exact", rounds: int = 20, sweeps: int = 5
) -> VariationalEm:
    """Alternate mean-field fits of every example and a maximization of the parameters; the bound never falls.

    The prior has a closed form; weights and biases have one under the quadratic bound (a weighted least squares for
    each visible unit) and take gradient steps, each the best of several lengths, under the others.
    Source: Saul, Jaakkola and Jordan (1996), section 4.
    """
    choice("mean-field bound", bound, MEAN_FIELD_BOUNDS)

    def total(net: BeliefNet, q: FittedMeanField) -> Float[Array, ""]:
        return jax.vmap(lambda x, mu, xi: mean_field_bound(net, x, mu, xi, bound=bound))(xs, q.mu, q.xi).mean()

    def climb(net: BeliefNet, q: FittedMeanField) -> BeliefNet:
        slopes = jax.grad(total)(net, q)
        lengths = jnp.concatenate([jnp.zeros(1, jnp.float32), 4.0 * 2.0 ** -jnp.arange(12, dtype=jnp.float32)])
        moved = jax.vmap(lambda t: jax.tree.map(lambda a, b: a + t * b, net, slopes))(lengths)
        best = jnp.argmax(jax.vmap(lambda candidate: total(candidate, q))(moved))
        return jax.tree.map(lambda leaf: leaf[best], moved)

    def one_round(carry: tuple[BeliefNet, Array], _: None) -> tuple[tuple[BeliefNet, Array], Array]:
        net, start = carry
        q = jax.vmap(lambda x, mu: mean_field(net, x, bound=bound, sweeps=sweeps, start=mu))(xs, start)
        share = jnp.clip(q.mu.mean(0), 1e-6, 1.0 - 1e-6)
        net = eqx.tree_at(lambda n: n.prior, net, jnp.log(share) - jnp.log1p(-share))
        if bound == "quadratic":
            net = _least_squares(net, xs, q)
        else:
            net = jax.lax.fori_loop(0, 5, lambda _, n: climb(n, q), net)
        return (net, q.mu), total(net, q)

    start = jnp.broadcast_to(sigmoid(net.prior), (xs.shape[0], net.prior.shape[0]))
    (net, _), bounds = jax.lax.scan(one_round, (net, start), length=rounds)
    return VariationalEm(net, bounds)


def _least_squares(net: BeliefNet, xs: Float[Array, "n d"], q: FittedMeanField) -> BeliefNet:
    """For each unit m: [sum_n 2 lambda_nm E(z~ z~')] (w_m, c_m) = sum_n (x_nm - 1/2) E z~, z~ = (z, 1)."""
    ones = jnp.ones((xs.shape[0], 1), jnp.float32)
    means = jnp.concatenate([q.mu, ones], axis=1)
    extra = jnp.concatenate([q.mu * (1.0 - q.mu), 0.0 * ones], axis=1)
    second = means[:, :, None] * means[:, None, :] + jax.vmap(jnp.diag)(extra)
    left = jnp.einsum("nm,njk->mjk", 2.0 * curvature(q.xi), second)
    # the ridge keeps a system solvable whose latents are all alike
    left = left + 1e-6 * jnp.broadcast_to(jnp.eye(means.shape[1], dtype=jnp.float32), left.shape)
    solved = jnp.linalg.solve(left, ((xs - 0.5).T @ means)[:, :, None])[:, :, 0]
    return BeliefNet(solved[:, :-1], solved[:, -1], net.prior)


def amortization_gap(model: Model, x: Float[Array, "..."], *, sweeps: int = 50) -> Float[Array, ""]:
    """How much the evidence lower bound of one example rises when q gets free parameters for it [nats, >= 0].

    Coordinate ascent starts from the recognition model's q, so the gap is that to a local maximum.

    Raises:
        InputError: the model is no belief net with one latent layer of at most 16 units and a factorial q.
    """
    net = BeliefNet.of(model)
    q = model.recognition(x).part(0, ())
    if not isinstance(q, Bernoulli):
        raise InputError("The amortization gap is for a factorial recognition model: fit with recognition=factorial.")
    flat, mu = jnp.ravel(x), q.mean
    amortized = mean_field_bound(net, flat, mu, jnp.zeros_like(flat))
    return mean_field(net, flat, sweeps=sweeps, start=mu).bounds[-1] - amortized
