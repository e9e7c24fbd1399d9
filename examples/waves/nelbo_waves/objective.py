"""An objective: the evidence lower bound with free bits (Kingma et al. 2016)."""

from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from nelbo.core import AnyExample
from nelbo.models import Model
from nelbo.objectives import BoundKind, Loss, Objective, ObjectiveState, Setting, Sgvb, batch_mean, over_batch


class FreeBits(Objective):
    """SGVB whose KL part costs nothing below a floor, so that latents are not given up early.

    The reported bound is the evidence lower bound itself.

    Args:
        floor: nats of KL, as a mean over the batch, that are free.
    """

    references: ClassVar[tuple[str, ...]] = ()
    kind: ClassVar[BoundKind] = "lower"
    floor: float = eqx.field(static=True, default=1.0)

    def init(self, key: Key[Array, ""], model: Model) -> ObjectiveState:
        """No state."""
        del key, model
        return ObjectiveState()

    def __call__(
        self, key: Key[Array, ""], model: Model, batch: AnyExample, state: ObjectiveState
    ) -> tuple[Loss, ObjectiveState]:
        """Mean over the batch."""

        def parts(k: Key[Array, ""], x: Any) -> tuple[Float[Array, ""], Float[Array, ""]]:
            draw = model.draw(k, x)
            return draw.log_p[0], model.kl(draw).sum()

        reconstruction, kl = batch_mean(over_batch(parts, key, batch), batch)
        surrogate = jnp.maximum(kl, self.floor) - reconstruction
        return Loss(surrogate, reconstruction - kl, {"reconstruction": reconstruction, "kl": kl}), state

    def bounds(self, key: Key[Array, ""], model: Model, batch: AnyExample) -> Float[Array, " batch"]:
        """The evidence lower bound of each example."""
        return Sgvb("B").bounds(key, model, batch)


def free_bits(setting: Setting, *, floor: float | int = 1.0) -> Objective:
    """The evidence lower bound with free bits.

    Args:
        setting: of the run.
        floor: nats of KL that cost nothing.
    """
    del setting
    return FreeBits(float(floor))
