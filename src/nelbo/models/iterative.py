"""Iterative amortized inference: a recognition model that refines its own answer by a learned optimizer."""

import math
from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, Key

from nelbo.core import AnyExample, InputError, as_example, choice
from nelbo.distributions import free_parameters
from nelbo.models.heads import soft_bound
from nelbo.models.recognition import Around, Posterior, Recognition
from nelbo.models.refinement import SEED, moved_posterior, no_offsets, path_bounds
from nelbo.models.stack import Stack, stop_gradient
from nelbo.nets import MLP, Network

ENCODINGS = {
    "log-sign": "log |g| / 10 and the sign of g, linear below e^-10 (Andrychowicz et al. 2016, appendix A)",
    "plain": "the gradient itself",
}
_P = 10.0
_FARTHEST = 5.0  # standard deviations, or units of a log scale, from the first answer; beyond it offsets bend


class Iterative(Around):
    """Lam <- g * lam + (1 - g) * f, a fixed number of times, from another model's answer (Marino et al. 2018).

    Lam are the parameters of each layer's normal, as offsets from the first answer (see `nelbo.distributions.moved`). A
    network gives f and the gate g from lam, from the parameters that lam stands for, and from the encoded gradient of
    the evidence lower bound for lam. That gradient comes from mirrored draws that are the same for every example and
    in every call: q stays a function of the example, as scores and codes need it.

    Args:
        inner: gives the first answer; normal in every layer.
        update: from the inputs to f and the gate, side by side.
        steps: how many.
        encoding: of gradients, see `ENCODINGS`.
        second_order: let training differentiate the gradients too.
        pairs: of draws for each gradient.
    """

    inner: Recognition
    update: Network
    steps: int = eqx.field(static=True, default=5)
    encoding: str = eqx.field(static=True, default="log-sign")
    second_order: bool = eqx.field(static=True, default=False)
    pairs: int = eqx.field(static=True, default=1)

    def __check_init__(self) -> None:
        """Refuse impossible settings."""
        choice("encoding of gradients", self.encoding, ENCODINGS)
        if min(self.steps, self.pairs) < 1:
            raise InputError(f"Iterative inference takes at least 1 step and 1 pair, got {self.steps}, {self.pairs}.")

    def path(self, x: AnyExample, generative: Stack) -> tuple[Posterior, ...]:
        """The first answer and that after each step."""
        view, start = as_example(x).view, self.inner.path(x, generative)[-1]
        held, fixed = (generative, start) if self.second_order else stop_gradient((generative, start))
        offset, unravel = ravel_pytree(no_offsets(start))
        # a codec's numbers are of 64 bits, and its example is not
        view = jax.tree.map(lambda leaf: leaf.astype(offset.dtype) if eqx.is_inexact_array(leaf) else leaf, view)
        found = [start]
        for key in jr.split(jr.key(SEED), self.steps):
            slope_key, draw_key = jr.split(key)

            def bound(flat: Float[Array, " n"], key: Key[Array, ""] = slope_key) -> Float[Array, ""]:
                return path_bounds(key, held, view, moved_posterior(fixed, unravel(flat)), pairs=self.pairs).mean()

            slope = jax.grad(bound)(offset if self.second_order else jax.lax.stop_gradient(offset))
            current = _parameters(draw_key, moved_posterior(start, unravel(offset)))
            inputs = jnp.concatenate([current, offset, self._encoded(slope)])
            target, gate = jnp.split(self.update(inputs), 2)
            keep = jax.nn.sigmoid(gate)
            offset = keep * offset + (1.0 - keep) * soft_bound(target, (-_FARTHEST, _FARTHEST))
            found.append(moved_posterior(start, unravel(offset)))
        return tuple(found)

    def _encoded(self, slope: Float[Array, " n"]) -> Float[Array, " m"]:
        slope = slope if self.second_order else jax.lax.stop_gradient(slope)
        if self.encoding == "plain":
            return slope
        size, small = jnp.abs(slope), math.exp(-_P)
        large = size >= small
        log = jnp.where(large, jnp.log(jnp.where(large, size, 1.0)) / _P, -1.0)
        return jnp.concatenate([log, jnp.where(large, jnp.sign(slope), slope / small)])


def _parameters(key: Key[Array, ""], posterior: Posterior) -> Float[Array, " n"]:
    """The free parameters of all layers, those of a hierarchy given a draw of the latents below."""
    return ravel_pytree(tuple(free_parameters(part) for part in posterior.sample(key)[1]))[0]


def iterative(
    key: Key[Array, ""], inner: Recognition, numbers: int, *, hidden: Sequence[int] = (256,), **settings: Any
) -> Iterative:
    """Iterative inference from a recognition model's answer, with a new network for the steps.

    Args:
        key: for its weights.
        inner: gives the first answer.
        numbers: how many parameters the normals of all layers have, two for each latent if they are independent.
        hidden: widths of the network's hidden layers, of exponential linear units.
        settings: see `Iterative`.
    """
    encoded = numbers if settings.get("encoding") == "plain" else 2 * numbers
    return Iterative(inner, MLP(key, (2 * numbers + encoded, *hidden, 2 * numbers), activation="elu"), **settings)
