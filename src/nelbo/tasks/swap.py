"""What stays and what changes: static and dynamic codes of sequences, the content of one in the motion of another."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from nelbo.core import Example, InputError, compiled
from nelbo.data import Source
from nelbo.models import Latents, Model, check_source
from nelbo.tasks.rows import in_shape_of, rows_as_seen
from nelbo.training import padded_batches

_AT_ONCE = 64  # sequences


def _codes(model: Model, x: Example) -> Latents:
    """E[f | x], and E[z | f, x] at that f."""
    q = model.posterior(x)
    static = jnp.asarray(q.part(0, ()).mean)
    return static, jnp.asarray(q.part(1, (static,)).mean)


def _codes_of_batch(model: Model, x: Example) -> Latents:
    return jax.vmap(lambda row: _codes(model, row))(x)


def _swapped_batch(model: Model, content: Example, motion: Example) -> Array:
    def one(content: Example, motion: Example) -> Array:
        static, dynamic = _codes(model, content)[0], _codes(model, motion)[1]
        return jnp.asarray(model.generative.likelihood((static, dynamic), motion.context).mean)

    return jax.vmap(one)(content, motion)


_run_codes, _run_swapped = compiled(_codes_of_batch), compiled(_swapped_batch)


def require_static(model: Model, task: str) -> None:
    """Refuse a model whose sequences have no code of their own beside those of their frames.

    Raises:
        InputError: so it is; `task` begins the sentence.
    """
    if not model.has_static_code:
        raise InputError(f"{task} needs a model with a static code of each sequence and dynamic ones of its frames: "
                         "this one has no static code: fit dsae, or sequence-flow with --base dsae.")  # fmt: skip


def sequence_codes(
    model: Model, data: Source
) -> tuple[Float[np.ndarray, "n static"], Float[np.ndarray, "n time latents"]]:
    """Static and dynamic codes: means of q(f | x), and of q(z | f, x) given that mean.

    Raises:
        InputError: a model without a static code, or sequences of another shape than its own.
    """
    require_static(model, "Static and dynamic codes")
    data = in_shape_of(model, data)
    check_source(model, data)
    rows, real = padded_batches(len(data), _AT_ONCE)
    parts = [_run_codes(model, rows_as_seen(data, places)) for places in rows]
    kept = [[np.asarray(part)[there] for part in found] for found, there in zip(parts, real, strict=True)]
    static, dynamic = (np.concatenate(part) for part in zip(*kept, strict=True))
    return static, dynamic


def swap(model: Model, content: Example, motion: Example) -> Float[np.ndarray, "n time *frame"]:
    """Sequences with the content of some and the motion of others, E[x | f, z] at the means of both codes.

    Args:
        model: with static and dynamic codes.
        content: `(n, time, *frame)` as the model sees them (`rows_as_seen`); their static codes are used.
        motion: as many; their dynamic codes are used.

    Raises:
        InputError: a model without a static code, or not as many of one as of the other.
    """
    require_static(model, "A swap")
    count = len(content.values)
    if count != len(motion.values):
        raise InputError(f"A swap takes as many sequences for content as for motion, got {count} and "
                         f"{len(motion.values)}.")  # fmt: skip
    found = []
    for places, real in zip(*padded_batches(count, min(count, _AT_ONCE)), strict=True):
        parts = (jax.tree.map(lambda leaf, at=places: jnp.asarray(leaf)[at], one) for one in (content, motion))
        found.append(np.asarray(_run_swapped(model, *parts))[real])
    return np.concatenate(found)
