"""How the draws of one example are made: independent of each other, or spread out evenly."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Int, Key

from nelbo.core import InputError, choice
from nelbo.distributions import example_shape, sobol_normals
from nelbo.models import Latents, Model

DRAWS = {
    "iid": "independent draws",
    "sobol": "scrambled Sobol points, a fresh scramble in every step: unbiased, and of lower variance for smooth "
    "likelihoods (Buchholz et al. 2018); a power of two of them, of normal latents",
}


def checked_draws(draws: str, num_samples: int) -> None:
    """Refuse an unknown kind of draws, and numbers of Sobol points that are not balanced.

    Raises:
        InputError: so it is.
    """
    choice("kind of draws", draws, DRAWS)
    if draws == "sobol" and (num_samples < 2 or num_samples & (num_samples - 1)):
        raise InputError(
            f"Sobol draws come in powers of two from 2 on, got {num_samples} for each example: use 8, say."
        )


def each_draw(
    function: Callable[[Key[Array, ""], Latents | None], Any],
    key: Key[Array, ""],
    model: Model,
    num_samples: int,
    draws: str = "iid",
) -> Any:
    """`function(key, noise)` for each draw of one example, stacked.

    Args:
        function: hands both on to `Model.draw`.
        key: for all draws.
        model: whose latents are drawn.
        num_samples: how many draws.
        draws: see `DRAWS`.
    """
    shapes = tuple(example_shape(part) for part in model.generative.shapes()[1:]) if draws == "sobol" else ()
    if not shapes:
        return jax.vmap(lambda k: function(k, None))(jr.split(key, num_samples))
    noise_key, key = jr.split(key)
    return jax.vmap(function)(jr.split(key, num_samples), sobol_normals(noise_key, num_samples, shapes))


def growing_power(step: Int[Array, "*steps"], growth: float, most: int) -> Int[Array, "*steps"]:
    """The power of two that is the number of draws in a step: N_t = 1 / growth^t, rounded up, at most `most`.

    With a constant learning rate, numbers that grow so make the error fall geometrically (Buchholz et al. 2018).
    """
    wanted = -step.astype(jnp.float32) * jnp.log2(jnp.float32(growth))
    return jnp.clip(jnp.ceil(wanted), 0, most.bit_length() - 1).astype(jnp.int32)
