"""What a detector has in place of a distribution: a score of whole examples, and no density."""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float, Key
from numpyro.distributions import constraints

from nelbo.core import InputError
from nelbo.distributions.elementary import Marginalizable


class Scored(Marginalizable):
    """Examples that are scored and not given a density: `log_prob` is minus the score, normalized by nothing.

    It stands where a likelihood stands, so that training and the comparison of rows need not know the difference; a
    model that has it says so (`Model.is_detector`), and what needs a density refuses it.

    Args:
        score: from an example and the mask of what is observed to a number, high where it is novel.
        shape: of one example.
    """

    arg_constraints: Any = {}
    support: Any = constraints.real
    pytree_data_fields = ("score",)

    def __init__(self, score: Callable[[Array, Array], Float[Array, ""]], shape: tuple[int, ...]) -> None:
        self.score = score
        super().__init__(batch_shape=(), event_shape=shape)

    def log_prob(self, value: Float[Array, "..."]) -> Float[Array, ""]:  # pyright: ignore
        """Minus the score of an example with every entry observed."""
        return self.observed_log_prob(value, jnp.ones(jnp.shape(value), bool))

    def observed_log_prob(self, value: Float[Array, "..."], observed: Array) -> Float[Array, ""]:
        """Minus the score of an example with gaps."""
        return -self.score(value, observed)

    def sample(self, key: Key[Array, ""], sample_shape: tuple[int, ...] = ()) -> Array:  # pyright: ignore
        """Refuse: a score has no samples.

        Raises:
            InputError: always.
        """
        del key, sample_shape
        raise InputError("This model scores examples and has no samples of them: use a vae or a table, say.")
