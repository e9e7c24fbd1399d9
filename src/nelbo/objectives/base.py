"""The contract of an objective: what is reported and what is differentiated are two numbers."""

import abc
from typing import TYPE_CHECKING, Any, Literal

import equinox as eqx
import jax
import jax.random as jr
from jaxtyping import Array, Float, Key, PyTree

from nelbo.core import AnyExample, InputError, as_example
from nelbo.distributions import Distribution
from nelbo.models import Draw

if TYPE_CHECKING:
    # a checker takes Equinox's marker for a field, and asks every subclass's __init__ for it
    from typing import ClassVar as AbstractVar
else:
    from equinox import AbstractVar

BoundKind = Literal["exact", "lower", "upper", "estimate", "proxy"]


class Loss(eqx.Module):
    """`grad(surrogate)` is the gradient estimate; `bound` is what is reported.

    Args:
        surrogate: to be minimized; its value means nothing.
        bound: nats per example, the higher the better.
        metrics: named parts of the bound [nats per example].
    """

    surrogate: Float[Array, ""]
    bound: Float[Array, ""]
    metrics: dict[str, Float[Array, ""]]


class ObjectiveState(eqx.Module):
    """What an objective has of its own while a model trains.

    Args:
        trained: arrays that the optimizer changes together with the model's (baselines).
        carried: what is handed from step to step and not trained (counters, moving averages).
    """

    trained: PyTree = None
    carried: PyTree = None


class Objective(eqx.Module):
    """Abstract: a bound and its gradient rule."""

    # what the reported number is to log p(x): its value, a bound from below or above, an estimate, or none of these
    kind: AbstractVar[BoundKind]

    @abc.abstractmethod
    def init(self, key: Key[Array, ""], model: Any) -> ObjectiveState:
        """The state before the first step.

        Raises:
            InputError: the objective cannot train such a model.
        """

    @abc.abstractmethod
    def __call__(
        self, key: Key[Array, ""], model: Any, batch: AnyExample, state: ObjectiveState
    ) -> tuple[Loss, ObjectiveState]:
        """The loss of a batch (leaves have a leading batch dimension) and the next state."""

    @abc.abstractmethod
    def bounds(self, key: Key[Array, ""], model: Any, batch: AnyExample) -> Float[Array, " batch"]:
        """The reported bound of each example of a batch, with no annealing [nats]."""


def batch_size(batch: AnyExample) -> int:
    """The leading dimension of a batch."""
    return jax.tree.leaves(batch)[0].shape[0]


def batch_mean(terms: Any, batch: AnyExample) -> Any:
    """The mean over a batch of what there is for each example: the one place where an example's weight counts.

    Args:
        terms: a tree of arrays with a leading batch dimension, a `Loss` of every example for one.
        batch: the examples, see `Example.weight`.
    """
    weight = as_example(batch).weight
    if weight is None:
        return jax.tree.map(lambda leaf: leaf.mean(0), terms)
    return jax.tree.map(lambda leaf: (weight.reshape(-1, *(1,) * (leaf.ndim - 1)) * leaf).mean(0), terms)


def over_batch(function: Any, key: Key[Array, ""], batch: AnyExample) -> Any:
    """`function(key, example)` for each example of a batch, each with its own key."""
    return jax.vmap(function)(jr.split(key, batch_size(batch)), batch)


class ExampleObjective(Objective):
    """Abstract: the mean over a batch of the loss of each example; nothing is carried from step to step."""

    @abc.abstractmethod
    def example(self, key: Key[Array, ""], model: Any, x: AnyExample) -> Loss:
        """The loss of one example."""

    def init(self, key: Key[Array, ""], model: Any) -> ObjectiveState:
        """No state."""
        del key, model
        return ObjectiveState()

    def __call__(
        self, key: Key[Array, ""], model: Any, batch: AnyExample, state: ObjectiveState
    ) -> tuple[Loss, ObjectiveState]:
        """The mean over the batch."""
        return batch_mean(over_batch(lambda k, x: self.example(k, model, x), key, batch), batch), state

    def bounds(self, key: Key[Array, ""], model: Any, batch: AnyExample) -> Float[Array, " batch"]:
        """The bound of each example."""
        return over_batch(lambda k, x: self.example(k, model, x).bound, key, batch)


def bound_metrics(draw: Draw) -> dict[str, Float[Array, ""]]:
    """The two parts of a draw's log w: log p(x|z), and log q(z|x) - log p(z) [nats]; their means over stacked draws."""
    kl = draw.log_q.sum(-1) - draw.log_p[..., 1:].sum(-1)
    return {"reconstruction": draw.log_p[..., 0].mean(), "kl": kl.mean()}


def require_reparameterized(parts: tuple[Distribution, ...]) -> None:
    """Refuse discrete latents where gradients must pass through the draws.

    Raises:
        InputError: a layer of the recognition model is discrete.
    """
    if any(part.is_discrete for part in parts):
        raise InputError(
            "This objective needs latents that can be reparameterized, but these are discrete: use nvil, vimco, "
            "wake-sleep, rws or darn."
        )
