"""Conditionally conjugate models: shared variables b with a posterior in natural parameters, and z of each example.

    log p(x, z | b) = <s(x, z), t(b)> + constant(x),    p(b) = exp(<eta, t(b)> - A(eta)),

and q(b) the same with other natural parameters. Base measures are left out. Source: Hoffman, Blei, Wang and Paisley
(2013), section 2.
"""

import abc
from typing import TYPE_CHECKING, Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, Key, PyTree

from nelbo.core import AnyExample, as_example
from nelbo.distributions import Distribution
from nelbo.models.globals import Globals
from nelbo.models.layers import Context, Latents, Layer, Reads
from nelbo.models.recognition import InputRule, Posterior, Recognition
from nelbo.models.spec import ModelSpec
from nelbo.models.stack import Model, Stack
from nelbo.nets import Frozen

if TYPE_CHECKING:
    # a checker takes Equinox's marker for a field, and asks every subclass's __init__ for it
    from typing import ClassVar as AbstractVar
else:
    from equinox import AbstractVar


class Local(eqx.Module):
    """Abstract: p(x, z | b) of one example, and q(z).

    It takes b as t(b): at a point, or in expectation over q(b).
    """

    @abc.abstractmethod
    def generative(self, point: PyTree) -> Stack:
        """p(x, z | b)."""

    @abc.abstractmethod
    def posterior(self, expected: PyTree, x: AnyExample, power: Float[Array, ""]) -> Distribution:
        """The q(z) that is best for `bound`, fitted with no gradient; at a point b it is q(z | x).

        Args:
            expected: t(b), or its expectation.
            x: the example.
            power: 1 / temperature.
        """

    @abc.abstractmethod
    def bound(self, expected: PyTree, x: AnyExample, power: Float[Array, ""]) -> Float[Array, ""]:
        """The largest value over q(z) of power * E log p(x, z | b) + H(q(z)) of one example [nats].

        q(z) is held constant once it is fitted, or maximized over in closed form. So the slope along `expected` is
        power * E s(x, z), and that along `power` the energy E log p(x, z | b).
        """

    @abc.abstractmethod
    def volumes(self, key: Key[Array, ""], points: PyTree, powers: Float[Array, " m"]) -> PyTree:
        """What `log_volume` needs of draws of b.

        Args:
            key: for draws of z, where they are needed.
            points: t(b) of each draw.
            powers: 1 / temperatures.
        """

    @abc.abstractmethod
    def log_volume(self, volumes: PyTree, x: AnyExample) -> Float[Array, "draws m"]:
        """Log of the sum over x and z of p(x, z | b)^power, for examples of x's kind, of each draw of b [nats]."""


class Known(Layer):
    """A distribution that was fitted to one example and depends on no node.

    Args:
        distribution: of one node.
    """

    distribution: Distribution
    reads: ClassVar[Reads] = Reads.NONE
    conditioned: ClassVar[bool] = False
    direct_weight: ClassVar[None] = None
    is_linear_gaussian: ClassVar[bool] = False

    def __call__(self, parents: Latents, context: Context = None) -> Distribution:
        """The distribution, whatever the parents."""
        del parents, context
        return self.distribution


class FittedRecognition(Recognition):
    """q(z | x) by coordinate ascent for every example; nothing is amortized.

    Args:
        point: t(b).
        local: p(x, z | b) and the fit.
    """

    point: Frozen
    local: Local
    layers: ClassVar[tuple[Layer, ...]] = ()
    reads: ClassVar[tuple[Reads, ...]] = (Reads.FURTHEST,)

    def see(self, x: AnyExample) -> Array:
        """The values, with zero in the place of a missing one."""
        return InputRule()(as_example(x))

    def __call__(self, x: AnyExample) -> Posterior:
        """The posterior of one example."""
        fitted = self.local.posterior(self.point(), as_example(x).view, jnp.ones((), jnp.float32))
        return Posterior((Known(fitted),), self.see(x))


class ConjugateGlobals(Globals):
    """Abstract: shared variables with a conjugate prior and a posterior of its form."""

    # natural parameters of the posterior, a tree like t(b): what is trained
    natural: AbstractVar[PyTree]
    local: AbstractVar[Local]
    in_bound: ClassVar[bool] = True
    of_family: ClassVar[bool] = True

    @property
    @abc.abstractmethod
    def prior(self) -> PyTree:
        """Eta, the natural parameters of the prior."""

    @abc.abstractmethod
    def log_normalizer(self, natural: PyTree) -> Float[Array, ""]:
        """A, up to a constant; its gradient is E t(b)."""

    @abc.abstractmethod
    def mean(self) -> PyTree:
        """t(b) at the posterior mean of b."""

    @abc.abstractmethod
    def draw(self, key: Key[Array, ""], natural: PyTree) -> PyTree:
        """t(b) of a draw of b."""

    def expected(self) -> PyTree:
        """E t(b) under the posterior."""
        return jax.grad(self.log_normalizer)(self.natural)

    def cost(self, key: Key[Array, ""], model: Any) -> Float[Array, ""]:
        """The divergence."""
        del key, model
        return self.divergence()

    def divergence(self) -> Float[Array, ""]:
        """KL(posterior || prior) = <natural - eta, E t(b)> - A(natural) + A(eta) [nats]."""
        normalizer, expected = jax.value_and_grad(self.log_normalizer)(self.natural)
        inner = jax.tree.map(lambda q, p, t: ((q - p) * t).sum(), self.natural, self.prior, expected)
        return jnp.stack(jax.tree.leaves(inner)).sum() - normalizer + self.log_normalizer(self.prior)

    def at(self, point: PyTree, spec: ModelSpec | None, shared: "ConjugateGlobals | None") -> Model:
        """The model at t(b)."""
        return Model(self.local.generative(point), FittedRecognition(Frozen(point), self.local), spec, shared)

    def sample(self, key: Key[Array, ""], model: Model) -> Model:
        """The model at a draw of b from its posterior, and no globals."""
        return self.at(self.draw(key, self.natural), model.spec, None)

    def settled(self, model: Model) -> Model:
        """The model at the posterior mean of b, with its posterior."""
        return self.at(self.mean(), model.spec, self)

    def volumes(self, key: Key[Array, ""], powers: Float[Array, " m"], draws: int) -> PyTree:
        """What `Local.log_volume` needs, for draws of b from its prior."""
        prior_key, local_key = jr.split(key)
        points = jax.vmap(lambda k: self.draw(k, self.prior))(jr.split(prior_key, draws))
        return self.local.volumes(local_key, points, powers)


def built(shared: ConjugateGlobals, spec: ModelSpec | None = None) -> Model:
    """The model of a posterior, at its mean."""
    return shared.at(shared.mean(), spec, shared)
