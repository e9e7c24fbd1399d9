"""The contract of what all examples share, treated as random: weights, factors, topics."""

import abc
from typing import TYPE_CHECKING, Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key, PyTree

from nelbo.core import AnyExample

if TYPE_CHECKING:
    # a checker takes Equinox's marker for a field, and asks every subclass's __init__ for it
    from typing import ClassVar as AbstractVar
else:
    from equinox import AbstractVar


class Globals(eqx.Module):
    """Abstract: a prior and a posterior over some of a model's arrays. Families are in `nelbo.bayes`."""

    # whether `cost` belongs to a bound on the evidence (a divergence), or is a penalty alone
    in_bound: AbstractVar[bool]

    @abc.abstractmethod
    def sample(self, key: Key[Array, ""], model: Any) -> Any:
        """The model with its shared arrays drawn from their posterior, reparameterized, and no globals."""

    @abc.abstractmethod
    def cost(self, model: Any) -> Float[Array, ""]:
        """KL(posterior || prior), or -log prior up to a constant at a point: once for a whole data set [nats]."""

    @abc.abstractmethod
    def settled(self, model: Any) -> Any:
        """The trained model at its posterior mean, as it is scored and saved."""


class ConjugateGlobals(Globals):
    """Abstract: shared variables b whose prior is conjugate to log p(x, z | b) = <s(x, z), t(b)>.

    Prior and posterior are p(b) = exp(<eta, t(b)> - A(eta)) and the same with `natural` in the place of eta (base
    measure left out), trees of one structure. The model's own arrays hold a point, which `settled` sets.
    Source: Hoffman, Blei, Wang and Paisley (2013), section 2.
    """

    # natural parameters of the posterior: what is trained
    natural: AbstractVar[PyTree]
    in_bound: ClassVar[bool] = True

    @property
    @abc.abstractmethod
    def prior(self) -> PyTree:
        """Eta, the natural parameters of the prior."""

    @abc.abstractmethod
    def log_normalizer(self, natural: PyTree) -> Float[Array, ""]:
        """A, up to a constant; its gradient is E t(b)."""

    @abc.abstractmethod
    def local_bound(self, expected: PyTree, x: AnyExample, power: Float[Array, ""]) -> Float[Array, ""]:
        """The largest value over q(z) of power * <E s(x, z), expected> + H(q(z)) of one example [nats].

        q(z) is fitted by coordinate ascent and then held constant (or maximized over in closed form), so that the slope
        along `expected` is power * E s(x, z), and that along `power` the energy <E s(x, z), expected>.

        Args:
            expected: E t(b).
            x: the example.
            power: 1 / temperature; 1 gives the evidence lower bound without the divergence of b.
        """

    @abc.abstractmethod
    def volumes(self, key: Key[Array, ""], powers: Float[Array, " powers"], draws: int) -> PyTree:
        """What `log_volume` needs of draws of b from its prior."""

    @abc.abstractmethod
    def log_volume(self, volumes: PyTree, x: AnyExample) -> Float[Array, "draws powers"]:
        """Log of the sum over x and z of p(x, z | b)^power, for examples of x's kind, of each draw of b [nats]."""

    def expected(self) -> PyTree:
        """E t(b) under the posterior."""
        return jax.grad(self.log_normalizer)(self.natural)

    def cost(self, model: Any = None) -> Float[Array, ""]:
        """KL(posterior || prior) = <natural - eta, E t(b)> - A(natural) + A(eta) [nats]."""
        del model
        normalizer, expected = jax.value_and_grad(self.log_normalizer)(self.natural)
        inner = jax.tree.map(lambda q, p, t: ((q - p) * t).sum(), self.natural, self.prior, expected)
        return jnp.stack(jax.tree.leaves(inner)).sum() - normalizer + self.log_normalizer(self.prior)
