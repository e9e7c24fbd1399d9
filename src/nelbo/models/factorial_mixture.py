"""A factorial mixture: each example has any set of components, whose means add up (Ghahramani 1995)."""

from collections.abc import Sequence
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jax.nn import sigmoid
from jax.scipy.special import entr
from jaxtyping import Array, Float, Key

from nelbo.core import AnyExample, Example, InputError, as_example
from nelbo.distributions import Bernoulli, log_beta, log_proportions
from nelbo.models.conjugate import ConjugateGlobals, Local, built
from nelbo.models.gaussian_mixture import Blend, Chosen, Units, check_priors, units_of
from nelbo.models.parts import drawn_at_once, positive
from nelbo.models.spec import ModelSpec
from nelbo.models.stack import Model, Stack
from nelbo.nets import Frozen


class Sets(NamedTuple):
    """Natural parameters or t(b): log chances of on and off, means, and their products summed over entries."""

    on: Float[Array, " k"]
    off: Float[Array, " k"]
    means: Float[Array, "k d"]
    products: Float[Array, "k k"]


class AnyComponents(Local):
    """An example with any set of components, whose means add up.

    Args:
        units: of the data.
        sweeps: rounds of coordinate ascent over the components.
    """

    units: Units
    sweeps: int = eqx.field(static=True, default=20)

    def generative(self, point: Sets) -> Stack:
        """The set, then the example."""
        return Stack((Blend(Frozen(point.means), self.units), Chosen(Frozen(point.on - point.off), Bernoulli)))

    def _pull(self, expected: Sets, x: Example) -> tuple[Float[Array, " k"], Float[Array, "k k"]]:
        """Linear and quadratic terms of the energy."""
        if x.observed is not None:
            raise InputError(
                "A factorial mixture needs every entry of an example: fill the missing ones in first, or use "
                "gaussian-mixture."
            )
        precision = self.units.noise**-2
        products = precision * expected.products
        along = expected.on - expected.off + precision * (expected.means @ self.units.values(x))
        return along - 0.5 * jnp.diag(products), products - jnp.diag(jnp.diag(products))

    def posterior(self, expected: Sets, x: AnyExample, power: Float[Array, ""]) -> Bernoulli:
        """The chance of each component by coordinate ascent."""
        along, products = jax.lax.stop_gradient(self._pull(expected, as_example(x)))
        power = jax.lax.stop_gradient(power)

        def update(i: Array, logits: Float[Array, " k"]) -> Float[Array, " k"]:
            k = i % len(along)
            return logits.at[k].set(power * (along[k] - products[k] @ sigmoid(logits)))

        return Bernoulli(jax.lax.fori_loop(0, self.sweeps * len(along), update, jnp.zeros_like(along)))

    def bound(self, expected: Sets, x: AnyExample, power: Float[Array, ""]) -> Float[Array, ""]:
        """At the fitted chances."""
        x, chance = as_example(x), self.posterior(expected, x, power).mean
        along, products = self._pull(expected, x)
        energy = expected.off.sum() + chance @ along - 0.5 * chance @ products @ chance + self.units.constant(x)
        return power * energy + (entr(chance) + entr(1.0 - chance)).sum()

    def volumes(self, key: Key[Array, ""], points: Sets, powers: Float[Array, " m"]) -> tuple[Array, Array]:
        """Log sums over the sets."""
        del key
        each = jnp.logaddexp(*(powers[None, :, None] * logs[:, None] for logs in (points.on, points.off)))
        return powers, each.sum(-1)

    def log_volume(self, volumes: tuple[Array, Array], x: AnyExample) -> Float[Array, "draws m"]:
        """For examples like x."""
        return volumes[1] + self.units.log_volume(as_example(x), volumes[0])[None]


class JointMeans(ConjugateGlobals):
    """q(chances) q(means): beta distributions, and a normal over all means with one covariance for every entry.

    Args:
        natural: natural parameters.
        chance: pseudo-counts of on and of off in the beta priors.
        scale: standard deviation of the means' prior, in units.
        local: of an example.
    """

    natural: Sets
    chance: float = eqx.field(static=True)
    scale: float = eqx.field(static=True)
    local: AnyComponents

    @property
    def prior(self) -> Sets:
        """Natural parameters of the prior."""
        on, off, means, products = self.natural
        flat = -0.5 / self.scale**2 * jnp.eye(len(products), dtype=products.dtype)
        return Sets(jnp.full_like(on, self.chance), jnp.full_like(off, self.chance), jnp.zeros_like(means), flat)

    def log_normalizer(self, natural: Sets) -> Float[Array, ""]:
        """Of the beta distributions and the normal."""
        lower = jnp.linalg.cholesky(-2.0 * natural.products)
        whitened = jax.scipy.linalg.solve_triangular(lower, natural.means, lower=True)
        log_det = 2.0 * jnp.log(jnp.diagonal(lower)).sum()
        normal = 0.5 * (whitened**2).sum() - 0.5 * natural.means.shape[1] * log_det
        return log_beta(jnp.stack([natural.on, natural.off], -1)).sum() + normal

    def mean(self) -> Sets:
        """At the mean chances and means."""
        on, off, means, products = self.natural
        total = jnp.log(on + off)
        centre = jnp.linalg.solve(-2.0 * products, means)
        return Sets(jnp.log(on) - total, jnp.log(off) - total, centre, centre @ centre.T)

    def draw(self, key: Key[Array, ""], natural: Sets) -> Sets:
        """At a draw of both."""
        chance_key, mean_key = jr.split(key)
        logs = log_proportions(chance_key, jnp.stack([natural.on, natural.off], -1))
        lower = jnp.linalg.cholesky(-2.0 * natural.products)
        noise = jr.normal(mean_key, natural.means.shape, jnp.float32)
        centre = jax.scipy.linalg.cho_solve((lower, True), natural.means)
        means = centre + jax.scipy.linalg.solve_triangular(lower.T, noise)
        return Sets(logs[:, 0], logs[:, 1], means, means @ means.T)


@drawn_at_once
def factorial_mixture(
    key: Key[Array, ""],
    shape: Sequence[int],
    *,
    components: int = 10,
    noise: float | int = 0.5,
    scale: float | int = 1.0,
    chance: float | int = 1.0,
    sweeps: int = 20,
    centre: Array | bool = False,
    spread: Array | bool = False,
) -> Model:
    """Factorial mixture: x = sum of the means of any set of components + noise, with a posterior over all means.

    Args:
        key: for the means of the initial posterior.
        shape: of one example, (entries,).
        components: number of components.
        noise: standard deviation of an entry around the sum, in units of `spread`.
        scale: standard deviation of the means' prior, in the same units.
        chance: both parameters of the beta prior of the probability that a component is on.
        sweeps: rounds of coordinate ascent over the components of an example.
        centre: the training data's mean, which is the mean of the prior; `True` leaves its place to be filled from a
            file.
        spread: the training data's standard deviation, the unit of everything; `True` as for `centre`.

    Raises:
        InputError: examples that are no vectors, or a number that makes no sense.
    """
    shape = tuple(shape)
    units = units_of(shape, noise, centre, spread)
    check_priors(components, scale=scale, chance=chance)
    positive("sweeps", (sweeps,))
    spec = ModelSpec.of("factorial-mixture", shape=shape, components=components, noise=noise, scale=scale,
                        chance=chance, sweeps=sweeps, centre=centre is not False,
                        spread=spread is not False)  # fmt: skip
    precision = 1.0 / scale**2 + 1.0 / noise**2  # as if each component had one example
    means = precision * scale * jr.normal(key, (components, *shape), jnp.float32)
    counts = jnp.full(components, chance + 1.0, jnp.float32)
    natural = Sets(counts, counts, means, -0.5 * precision * jnp.eye(components, dtype=jnp.float32))
    return built(JointMeans(natural, float(chance), float(scale), AnyComponents(units, sweeps)), spec)
