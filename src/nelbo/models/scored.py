"""The score of examples by learned transformations, in place of a density (Qiu et al. 2021)."""

import math
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from nelbo.core import Example
from nelbo.distributions import Scored
from nelbo.models.layers import Context, Latents, Layer, Reads
from nelbo.models.recognition import InputRule

_LEAST_NORM = 1e-6  # of a code whose direction is compared


class ScoreLayer(Layer):
    """The deterministic contrastive loss of one example, by which a detector is trained and rows are compared.

    With x_k = T_k(x) and h(a, b) = exp(cos(f(a), f(b)) / temperature) the score is
    -sum_k log[h(x_k, x) / (h(x_k, x) + sum_{l != k} h(x_k, x_l))] / (K log K) (Qiu et al. 2021, eqs. 2 and 3; its scale
    is that of the authors' code): about one where the K transformations are told apart no better than by chance.

    Args:
        inputs: how an example is taken in, flattened.
        down: of each transformation, the first matrix; its bias beside it. Without biases all would scale with the
            row, whose length the cosines then could not see.
        shift: the bias.
        up: the second matrix.
        encoder: matrices of f, with a rectifier between them and no biases, which would let f be constant.
        transformation: "residual", x + t_k(x), or "multiplicative", x * sigmoid(t_k(x)).
        temperature: see above.
        shape: of one example.
    """

    inputs: InputRule
    down: Float[Array, "k n hidden"]
    shift: Float[Array, "k hidden"]
    up: Float[Array, "k hidden n"]
    encoder: tuple[Float[Array, "in out"], ...]
    transformation: str = eqx.field(static=True)
    temperature: float = eqx.field(static=True)
    shape: tuple[int, ...] = eqx.field(static=True)
    reads: ClassVar[Reads] = Reads.NONE
    conditioned: ClassVar[bool] = False
    direct_weight: ClassVar[None] = None
    is_linear_gaussian: ClassVar[bool] = False

    def __call__(self, parents: Latents, context: Context = None) -> Scored:
        """The score, whatever the parents."""
        del parents, context
        return Scored(self.score, self.shape)

    def views(self, seen: Float[Array, " n"]) -> Float[Array, "views n"]:
        """The example itself, then every transformation of it."""
        inner = jax.nn.relu(jnp.einsum("n,knh->kh", seen, self.down) + self.shift)
        moved = jnp.einsum("kh,khn->kn", inner, self.up)
        made = seen[None] + moved if self.transformation == "residual" else seen[None] * jax.nn.sigmoid(moved)
        return jnp.concatenate([seen[None], made])

    def score(self, value: Float[Array, "..."], observed: Array) -> Float[Array, ""]:
        """High where an example is novel; no unit.

        Args:
            value: an example.
            observed: which of its entries are there.
        """
        codes = self.views(self.inputs(Example(jnp.ravel(value), jnp.ravel(observed))))
        for i, weight in enumerate(self.encoder):
            codes = (codes if i == 0 else jax.nn.relu(codes)) @ weight
        codes = codes / jnp.sqrt(jnp.square(codes).sum(-1, keepdims=True) + _LEAST_NORM**2)
        count = len(self.down)
        logits = codes[1:] @ codes.T / self.temperature
        others = jnp.arange(1, count + 1)[:, None] != jnp.arange(count + 1)[None]
        losses = jax.nn.logsumexp(jnp.where(others, logits, -jnp.inf), axis=1) - logits[:, 0]
        return losses.sum() / (count * math.log(count))
