"""The contract of what all examples share, treated as random: weights, factors, topics."""

import abc
from typing import TYPE_CHECKING, Any

import equinox as eqx
from jaxtyping import Array, Float, Key

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
