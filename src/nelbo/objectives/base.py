"""The contract of an objective: what is reported and what is differentiated are two numbers."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, Key, PyTree

from nelbo.core import InputError
from nelbo.distributions import Distribution
from nelbo.models import Draw, Example


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


class Objective(eqx.Module):
    """Abstract: a bound and its gradient rule. Its own arrays (baselines) train with the model."""

    def init(self, model: Any) -> PyTree:
        """State that is carried from step to step and not trained (counters, moving averages)."""
        raise NotImplementedError

    def __call__(self, key: Key[Array, ""], model: Any, batch: Example, state: PyTree) -> tuple[Loss, PyTree]:
        """The loss of a batch (leaves have a leading batch dimension) and the next state."""
        raise NotImplementedError

    def bounds(self, key: Key[Array, ""], model: Any, batch: Example) -> Float[Array, " batch"]:
        """The reported bound of each example of a batch, with no annealing [nats]."""
        raise NotImplementedError


def batch_size(batch: Example) -> int:
    """The leading dimension of a batch."""
    return jax.tree.leaves(batch)[0].shape[0]


def mean_loss(losses: Loss) -> Loss:
    """Average of per-example losses."""
    return jax.tree.map(jnp.mean, losses)


def over_batch(function: Any, key: Key[Array, ""], batch: Example) -> Any:
    """`function(key, example)` for each example of a batch, each with its own key."""
    return jax.vmap(function)(jr.split(key, batch_size(batch)), batch)


def bound_metrics(draw: Draw) -> dict[str, Float[Array, ""]]:
    """The two parts of a draw's log w: log p(x|z), and log q(z|x) - log p(z) [nats]."""
    return {"reconstruction": draw.log_p[0], "kl": draw.log_q.sum() - draw.log_p[1:].sum()}


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
