"""Training of detectors, which have a score and no density."""

from typing import Any, ClassVar

import jax
from jaxtyping import Array, Float, Key

from nelbo.core import AnyExample, InputError
from nelbo.objectives.base import BoundKind, Loss, Objective, ObjectiveState, batch_mean


class MeanScore(Objective):
    """Minus the mean score of rows that are not novel; no bound on anything."""

    references: ClassVar[tuple[str, ...]] = ("qiu2021",)
    kind: ClassVar[BoundKind] = "proxy"

    def init(self, key: Key[Array, ""], model: Any) -> ObjectiveState:
        """No state.

        Raises:
            InputError: the model has a density.
        """
        del key
        if not model.is_detector:
            raise InputError("The objective mean-score trains detectors, and this model has a density: use sgvb, say.")
        return ObjectiveState()

    def __call__(
        self, key: Key[Array, ""], model: Any, batch: AnyExample, state: ObjectiveState
    ) -> tuple[Loss, ObjectiveState]:
        """Mean over the batch."""
        bound = batch_mean(self.bounds(key, model, batch), batch)
        return Loss(-bound, bound, {"score": -bound}), state

    def bounds(self, key: Key[Array, ""], model: Any, batch: AnyExample) -> Float[Array, " batch"]:
        """Minus the score of each example."""
        del key
        return jax.vmap(lambda x: model.generative.log_prob(x, ()).sum())(batch)
