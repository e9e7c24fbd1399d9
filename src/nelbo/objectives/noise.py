"""Noise on what the recognition model sees, while the likelihood keeps its clean targets."""

import dataclasses
from collections.abc import Callable
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Bool, Float, Key

from nelbo.core import AnyExample, Example, InputError, as_example, choice
from nelbo.models import stop_gradient
from nelbo.objectives.base import BoundKind, Loss, Objective, ObjectiveState, batch_size, over_batch

# the values that are seen, and which of them are; None: all
Seen = tuple[Float[Array, "..."], Bool[Array, "..."] | None]
Noise = Callable[[Key[Array, ""], Float[Array, "..."], float], Seen]


def _bit_flip(key: Key[Array, ""], x: Float[Array, "..."], rate: float) -> Seen:
    return jnp.where(jr.bernoulli(key, rate, x.shape), 1.0 - x, x), None


def _drop_out(key: Key[Array, ""], x: Float[Array, "..."], rate: float) -> Seen:
    # zero without rescaling: what a missing entry holds
    return jnp.where(jr.bernoulli(key, rate, x.shape), 0.0, x), None


def _gaussian(key: Key[Array, ""], x: Float[Array, "..."], rate: float) -> Seen:
    return x + rate * jr.normal(key, x.shape, x.dtype), None


def _hide(key: Key[Array, ""], x: Float[Array, "..."], rate: float) -> Seen:
    share_key, entry_key = jr.split(key)
    shown = ~jr.bernoulli(entry_key, rate * jr.uniform(share_key, dtype=jnp.float32), x.shape)
    return jnp.where(shown, x, 0.0), shown


NOISES: dict[str, Noise] = {"bit-flip": _bit_flip, "drop-out": _drop_out, "gaussian": _gaussian, "hide": _hide}


class InputNoise(Objective):
    """Any objective, with the recognition model's input corrupted anew in every step (Rezende et al. 2014).

    Each example's `seen` becomes noisy: log p reads the clean values, q the noisy ones, so whatever reads log w needs
    no change. The reported `bounds` are those without noise.

    Args:
        inner: the objective.
        noise: "bit-flip" (x becomes 1 - x), "drop-out" (x becomes 0), "gaussian" (normal noise is added), or "hide"
            (missing, for the recognition model only: it learns q(z | part of x), which fills in what is missing).
        rate: probability of each entry, or the noise's standard deviation; of "hide" the greatest probability: each
            example has one of its own, uniform from 0. Only the second half of a batch is hidden, and only the
            recognition model learns from it: latents drawn from parts of examples make a worse generative model.
    """

    references: ClassVar[tuple[str, ...]] = ("rezende2014",)
    inner: Objective
    noise: str = eqx.field(static=True, default="bit-flip")
    rate: float = eqx.field(static=True, default=0.1)

    def __check_init__(self) -> None:
        """Refuse impossible settings."""
        choice("input noise", self.noise, NOISES)
        if self.rate < 0 or (self.noise != "gaussian" and self.rate > 1):
            raise InputError(f"The rate of {self.noise} noise must be a number from 0 to 1, got {self.rate}.")

    @property
    def kind(self) -> BoundKind:
        """The inner objective's."""
        return self.inner.kind

    def init(self, key: Key[Array, ""], model: Any) -> ObjectiveState:
        """The inner objective's state."""
        return self.inner.init(key, model)

    def __call__(
        self, key: Key[Array, ""], model: Any, batch: AnyExample, state: ObjectiveState
    ) -> tuple[Loss, ObjectiveState]:
        """The inner loss of the corrupted batch."""
        if self.noise == "hide":
            return self._with_parts(key, model, batch, state)
        noise_key, inner_key = jr.split(key)
        return self.inner(inner_key, model, self._noisy(noise_key, batch), state)

    def _noisy(self, key: Key[Array, ""], batch: AnyExample) -> Example:
        def one(k: Key[Array, ""], x: AnyExample) -> Example:
            x = as_example(x)
            return dataclasses.replace(x, seen=Example(*NOISES[self.noise](k, x.values, self.rate)))

        return over_batch(one, key, batch)

    def _with_parts(
        self, key: Key[Array, ""], model: Any, batch: AnyExample, state: ObjectiveState
    ) -> tuple[Loss, ObjectiveState]:
        size = batch_size(batch)
        noise_key, whole_key, part_key = jr.split(key, 3)
        if size < 2:  # one example is both halves
            batch, size = jax.tree.map(lambda leaf: jnp.concatenate([leaf, leaf]), batch), 2
        half = size // 2
        whole, parts = jax.tree.map(lambda leaf: leaf[:half], batch), jax.tree.map(lambda leaf: leaf[half:], batch)
        first, after = self.inner(whole_key, model, whole, state)
        held = eqx.tree_at(lambda m: m.generative, model, replace_fn=stop_gradient)
        second, _ = self.inner(part_key, held, self._noisy(noise_key, parts), state)
        return jax.tree.map(lambda a, b: (half * a + (size - half) * b) / size, first, second), after

    def bounds(self, key: Key[Array, ""], model: Any, batch: AnyExample) -> Float[Array, " batch"]:
        """The inner objective's bounds of the clean batch."""
        return self.inner.bounds(key, model, batch)
