"""A mixture of normals whose weights and means have a conjugate posterior."""

import math
from collections.abc import Callable, Sequence
from typing import ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jax.scipy.special import logsumexp
from jaxtyping import Array, Float, Key

from nelbo.core import AnyExample, Example, InputError, as_example
from nelbo.distributions import Distribution, Normal, OneHot, log_beta, log_proportions
from nelbo.models.conjugate import ConjugateGlobals, Local, built
from nelbo.models.layers import Context, Latents, Layer, Reads
from nelbo.models.parts import constant_array, drawn_at_once, positive
from nelbo.models.spec import ModelSpec
from nelbo.models.stack import Model, Stack
from nelbo.nets import Frozen

_LOG_TWO_PI = math.log(2.0 * math.pi)


class Units(eqx.Module):
    """The units in which means are, and the known standard deviation around them.

    Args:
        centre: of the data.
        spread: one unit.
        noise: standard deviation of an entry around its mean, in units.
    """

    centre: Frozen
    spread: Frozen
    noise: float = eqx.field(static=True)

    def values(self, x: Example) -> Float[Array, " d"]:
        """The example in units, zero where it is missing."""
        values = (x.values - self.centre()) / self.spread()
        return values if x.observed is None else jnp.where(x.observed, values, jnp.zeros_like(values))

    def present(self, x: Example) -> Float[Array, " d"]:
        """One where an entry is observed."""
        return jnp.ones_like(self.spread()) if x.observed is None else jnp.asarray(x.observed, jnp.float32)

    def scale(self) -> Float[Array, " d"]:
        """The standard deviation in the data's own units."""
        return self.noise * self.spread()

    def constant(self, x: Example) -> Float[Array, ""]:
        """What of log p(x | z, b) depends on x alone [nats]."""
        square = (self.values(x) / self.noise) ** 2
        return -0.5 * (self.present(x) * (square + _LOG_TWO_PI + 2.0 * jnp.log(self.scale()))).sum()

    def log_volume(self, x: Example, powers: Float[Array, " m"]) -> Float[Array, " m"]:
        """Log of the integral over x of p(x | z, b)^power, whatever z and b [nats]."""
        present = self.present(x)
        whole = (present * (0.5 * _LOG_TWO_PI + jnp.log(self.scale()))).sum()
        return (1.0 - powers) * whole - 0.5 * present.sum() * jnp.log(powers)


class Blend(Layer):
    """p(x | z) = N(z means, noise^2) in units: z picks one mean, or adds several.

    Args:
        means: in units.
        units: of the data.
    """

    means: Frozen
    units: Units
    reads: ClassVar[Reads] = Reads.NEAREST
    conditioned: ClassVar[bool] = False
    is_linear_gaussian: ClassVar[bool] = True

    def __call__(self, parents: Latents, context: Context = None) -> Normal:
        """Distribution of the example given the components."""
        del context
        mean = self.units.centre() + self.units.spread() * (parents[0] @ self.means())
        return Normal(mean, self.units.scale())

    @property
    def direct_weight(self) -> Float[Array, "d k"]:
        """The means, in the data's own units."""
        return (self.units.spread()[None] * self.means()).T


class Chosen(Layer):
    """p(z) with frozen logits.

    Args:
        logits: of the components.
        family: `OneHot` or `Bernoulli`.
    """

    logits: Frozen
    family: Callable[[Array], Distribution] = eqx.field(static=True)
    reads: ClassVar[Reads] = Reads.NONE
    conditioned: ClassVar[bool] = False
    direct_weight: ClassVar[None] = None
    is_linear_gaussian: ClassVar[bool] = False

    def __call__(self, parents: Latents, context: Context = None) -> Distribution:
        """The distribution, whatever the parents."""
        del parents, context
        return self.family(self.logits())


class Mixture(NamedTuple):
    """Natural parameters or t(b) of a mixture: log weights, means, and their squares."""

    weights: Float[Array, " k"]
    means: Float[Array, "k d"]
    squares: Float[Array, "k d"]


class OneComponent(Local):
    """An example with one component.

    Args:
        units: of the data.
    """

    units: Units

    def generative(self, point: Mixture) -> Stack:
        """The component, then the example."""
        return Stack((Blend(Frozen(point.means), self.units), Chosen(Frozen(point.weights), OneHot)))

    def energies(self, expected: Mixture, x: AnyExample) -> Float[Array, " k"]:
        """E log p(x, z = k | b) of each component [nats]."""
        x, precision = as_example(x), self.units.noise**-2
        along, across = expected.means @ self.units.values(x), expected.squares @ self.units.present(x)
        return expected.weights + precision * (along - 0.5 * across) + self.units.constant(x)

    def posterior(self, expected: Mixture, x: AnyExample, power: Float[Array, ""]) -> OneHot:
        """Responsibilities, in closed form."""
        return OneHot(jax.lax.stop_gradient(power * self.energies(expected, x)))

    def bound(self, expected: Mixture, x: AnyExample, power: Float[Array, ""]) -> Float[Array, ""]:
        """Log of the sum over components."""
        return logsumexp(power * self.energies(expected, x))

    def volumes(self, key: Key[Array, ""], points: Mixture, powers: Float[Array, " m"]) -> tuple[Array, Array]:
        """Log sums over the component."""
        del key
        return powers, logsumexp(powers[None, :, None] * points.weights[:, None], axis=-1)

    def log_volume(self, volumes: tuple[Array, Array], x: AnyExample) -> Float[Array, "draws m"]:
        """For examples with x's entries observed."""
        return volumes[1] + self.units.log_volume(as_example(x), volumes[0])[None]


class Means(ConjugateGlobals):
    """q(weights) q(means): a Dirichlet, and independent normals.

    Args:
        natural: natural parameters.
        concentration: of the symmetric Dirichlet prior.
        scale: standard deviation of the means' prior, in units.
        local: of an example.
    """

    natural: Mixture
    concentration: float = eqx.field(static=True)
    scale: float = eqx.field(static=True)
    local: OneComponent

    @property
    def prior(self) -> Mixture:
        """Natural parameters of the prior."""
        weights, means, squares = self.natural
        flat = jnp.full_like(squares, -0.5 / self.scale**2)
        return Mixture(jnp.full_like(weights, self.concentration), jnp.zeros_like(means), flat)

    def log_normalizer(self, natural: Mixture) -> Float[Array, ""]:
        """Of the Dirichlet distribution and the normals."""
        weights, means, squares = natural
        return log_beta(weights) + (-0.25 * means**2 / squares - 0.5 * jnp.log(-2.0 * squares)).sum()

    def mean(self) -> Mixture:
        """At the mean weights and means."""
        weights, means, squares = self.natural
        centre = -0.5 * means / squares
        return Mixture(jnp.log(weights) - jnp.log(weights.sum()), centre, centre**2)

    def draw(self, key: Key[Array, ""], natural: Mixture) -> Mixture:
        """At a draw of both."""
        weight_key, mean_key = jr.split(key)
        noise = jr.normal(mean_key, natural.means.shape, jnp.float32)
        means = -0.5 * natural.means / natural.squares + noise * jnp.sqrt(-0.5 / natural.squares)
        return Mixture(log_proportions(weight_key, natural.weights), means, means**2)


def units_of(shape: Sequence[int], noise: float | int, centre: Array | bool, spread: Array | bool) -> Units:  # noqa: FBT001
    """The units of examples of a shape; zero and one for what is left out.

    Raises:
        InputError: examples that are no vectors, or a noise that is not positive.
    """
    if len(positive("shape", shape)) != 1:
        raise InputError(f"Mixtures of normals take examples as vectors, got the shape {list(shape)}.")
    if not 0.0 < noise < math.inf:
        raise InputError(f"noise must be a positive standard deviation, got {noise}.")
    middle, unit = constant_array(centre, tuple(shape)), constant_array(spread, tuple(shape))
    middle = jnp.zeros(tuple(shape), jnp.float32) if middle is None else middle
    return Units(Frozen(middle), Frozen(jnp.ones(tuple(shape), jnp.float32) if unit is None else unit), float(noise))


def check_priors(components: int, **numbers: float) -> None:
    """Refuse impossible priors.

    Raises:
        InputError: fewer than one component, or a number that is not positive.
    """
    positive("components", (components,))
    for name, value in numbers.items():
        if not 0.0 < value < math.inf:
            raise InputError(f"{name} must be a positive number, got {value}.")


@drawn_at_once
def gaussian_mixture(
    key: Key[Array, ""],
    shape: Sequence[int],
    *,
    components: int = 10,
    noise: float | int = 0.5,
    scale: float | int = 1.0,
    concentration: float | int = 1.0,
    centre: Array | bool = False,
    spread: Array | bool = False,
) -> Model:
    """Mixture of normals of known standard deviation, with a posterior over weights and means (Bishop 2006, 10.2).

    Args:
        key: for the means of the initial posterior.
        shape: of one example, (entries,).
        components: number of components.
        noise: standard deviation of an entry around its component's mean, in units of `spread`.
        scale: standard deviation of the means' prior, in the same units.
        concentration: parameter of the Dirichlet prior of the weights.
        centre: the training data's mean, which is the mean of the prior; `True` leaves its place to be filled from a
            file.
        spread: the training data's standard deviation, the unit of everything; `True` as for `centre`.

    Raises:
        InputError: examples that are no vectors, or a number that makes no sense.
    """
    shape = tuple(shape)
    units = units_of(shape, noise, centre, spread)
    check_priors(components, scale=scale, concentration=concentration)
    spec = ModelSpec.of("gaussian-mixture", shape=shape, components=components, noise=noise, scale=scale,
                        concentration=concentration, centre=centre is not False,
                        spread=spread is not False)  # fmt: skip
    precision = 1.0 / scale**2 + 1.0 / noise**2  # as if each component had one example
    means = precision * scale * jr.normal(key, (components, *shape), jnp.float32)
    weights = jnp.full(components, concentration + 1.0, jnp.float32)
    natural = Mixture(weights, means, jnp.full_like(means, -0.5 * precision))
    return built(Means(natural, float(concentration), float(scale), OneComponent(units)), spec)
