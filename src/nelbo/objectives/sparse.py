"""The bound of models whose examples share a sparse Gaussian process, estimated from minibatches."""

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from nelbo.core import AnyExample, InputError, as_example
from nelbo.models import Model, Together
from nelbo.objectives.base import BoundKind, Loss, Objective, ObjectiveState, batch_mean, batch_size


class SparseProcess(Objective):
    """E_q log p(x | z) less KL(q(u) || p(u)) / N, with the q(u) that a batch's own readings give (Jazbec et al. 2021).

    For a batch that is the whole data set it is a lower bound; of a smaller one q(u) has seen the very examples that it
    is scored on, so that the number is an estimate, too high rather than too low.

    Args:
        num_data: N, the number of training examples.
        beta: weight of the KL part.
    """

    references: ClassVar[tuple[str, ...]] = ("jazbec2021",)
    kind: ClassVar[BoundKind] = "estimate"
    num_data: int = eqx.field(static=True)
    beta: float = eqx.field(static=True, default=1.0)

    def __check_init__(self) -> None:
        """Refuse a negative weight."""
        if not self.beta >= 0.0:
            raise InputError(f"beta must be zero or positive, got {self.beta}.")

    def init(self, key: Key[Array, ""], model: Model) -> ObjectiveState:
        """No state."""
        del key, model
        return ObjectiveState()

    def __call__(
        self, key: Key[Array, ""], model: Model, batch: AnyExample, state: ObjectiveState
    ) -> tuple[Loss, ObjectiveState]:
        """Mean over the batch."""
        found = _together(model, batch, self.num_data)
        reconstruction = batch_mean(_reconstructions(key, model, batch, found), batch)
        kl = found.kl / self.num_data
        metrics = {"reconstruction": reconstruction, "kl": kl}
        return Loss(self.beta * kl - reconstruction, reconstruction - kl, metrics), state

    def bounds(self, key: Key[Array, ""], model: Model, batch: AnyExample) -> Float[Array, " batch"]:
        """The bound of each example of a batch that is a data set of its own: nothing else is known of its process."""
        size = batch_size(batch)
        found = _together(model, batch, size)
        return _reconstructions(key, model, batch, found) - found.kl / size


def _together(model: Model, batch: AnyExample, num_data: int) -> Together:
    found = model.recognition.together(as_example(batch), model.generative, num_data)
    if found is None:
        raise InputError("sparse-process is for models whose examples share a process (svgp-vae): use sgvb here.")
    return found


def _reconstructions(key: Key[Array, ""], model: Model, batch: AnyExample, found: Together) -> Float[Array, " batch"]:
    """Log p(x | z) of one draw for each example [nats]."""
    z = jnp.asarray(found.q.sample(key))
    return jax.vmap(lambda x, z: model.generative.log_prob(x, (z,))[0])(batch, z)
