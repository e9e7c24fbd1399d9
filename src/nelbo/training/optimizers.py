"""Optimizers and schedules by name, from optax; Adam in its cheaper order."""

import functools
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import PyTree

from nelbo.core import InputError, choice
from nelbo.training.natural import natural_gradient, robbins_monro


def _scale_by_adam(b1: float = 0.9, b2: float = 0.999, eps: float = 1e-8) -> optax.GradientTransformation:
    """`optax.scale_by_adam` with both bias corrections applied to the step size and not to the moments.

    The numbers are the same up to rounding. It saves two divisions per parameter, which matters for small batches.
    Source: Kingma and Ba (2015), the end of section 2.
    """
    usual = optax.scale_by_adam(b1, b2, eps)

    def update(updates: PyTree, state: Any, params: PyTree = None) -> tuple[PyTree, optax.ScaleByAdamState]:
        del params
        count = optax.safe_increment(state.count)
        steps = jnp.asarray(count, jnp.float32)
        mean = jax.tree.map(lambda m, g: b1 * m + (1 - b1) * g, state.mu, updates)
        square = jax.tree.map(lambda v, g: b2 * v + (1 - b2) * g * g, state.nu, updates)
        root = jnp.sqrt(1 - b2**steps)
        factor, floor = root / (1 - b1**steps), eps * root
        step = jax.tree.map(lambda m, v: factor * m / (jnp.sqrt(v) + floor), mean, square)
        return step, optax.ScaleByAdamState(count, mean, square)

    return optax.GradientTransformation(usual.init, update)


def _adam(rate: optax.ScalarOrSchedule) -> optax.GradientTransformation:
    return optax.chain(_scale_by_adam(), optax.scale_by_learning_rate(rate))


OPTIMIZERS: dict[str, Callable[[optax.ScalarOrSchedule], optax.GradientTransformation]] = {
    "adam": _adam,
    "adamax": optax.adamax,
    # from zero, as Duchi et al. (2011): gradients of a mean over the batch stay far under optax's starting 0.1
    "adagrad": lambda rate: optax.adagrad(rate, initial_accumulator_value=0.0, eps=1e-10),
    "rmsprop": lambda rate: optax.rmsprop(rate, decay=0.95, momentum=0.9, centered=True),
    "momentum": lambda rate: optax.sgd(rate, momentum=0.9),
    "sgd": optax.sgd,
    "natural": natural_gradient,
}

SCHEDULES: dict[str, Callable[..., optax.ScalarOrSchedule]] = {
    "constant": lambda rate, steps: rate,  # noqa: ARG005
    "cosine": lambda rate, steps: optax.cosine_decay_schedule(rate, steps, alpha=0.01),
    "linear": lambda rate, steps: optax.linear_schedule(rate, 0.01 * rate, steps),
    "robbins-monro": lambda rate, steps, delay=1.0, forgetting=0.7: robbins_monro(rate, delay, forgetting),  # noqa: ARG005
}

DEFAULT_RATES = {"adam": 1e-3, "adamax": 2e-3, "adagrad": 0.02, "rmsprop": 1e-3, "momentum": 1e-3, "sgd": 1e-3,
                 "natural": 1.0}  # fmt: skip


@functools.cache
def optimizer(
    name: str = "adam",
    *,
    learning_rate: float | int | None = None,
    schedule: str = "constant",
    steps: int = 1,
    clip: float | int | None = None,
    delay: float | int = 1.0,
    forgetting: float | int = 0.7,
    window: int = 1,
) -> optax.GradientTransformation:
    """An optax optimizer by name. Equal arguments give the same object, so that compiled functions are reused.

    Args:
        name: see `OPTIMIZERS`.
        learning_rate: initial learning rate; None takes the optimizer's usual one.
        schedule: "constant", "cosine" or "linear" down to a hundredth over `steps`, or "robbins-monro".
        steps: number of steps of the run.
        clip: largest global norm of the gradient, or None.
        delay: tau of "robbins-monro", whose rates are learning_rate (tau + t)^-kappa.
        forgetting: kappa of "robbins-monro".
        window: number of batches whose statistics "natural" averages.

    Raises:
        InputError: an unknown name or a rate that is not positive.
    """
    choice("optimizer", name, OPTIMIZERS)
    choice("schedule", schedule, SCHEDULES)
    rate = DEFAULT_RATES[name] if learning_rate is None else learning_rate
    if not 0 < rate < math.inf:
        raise InputError(f"The learning rate must be a positive number, got {rate}.")
    if clip is not None and not 0 < clip < math.inf:
        raise InputError(f"The largest norm of the gradient (clip) must be a positive number, got {clip}.")
    if not (delay >= 1 and 0 < forgetting <= 1):
        raise InputError(f"delay must be at least 1 and forgetting in (0, 1], got {delay} and {forgetting}.")
    falling = {"delay": delay, "forgetting": forgetting} if schedule == "robbins-monro" else {}
    rates = SCHEDULES[schedule](rate, steps, **falling)
    if name == "natural":
        if not rate <= 1 or clip is not None:
            raise InputError("The optimizer natural has a learning rate of at most 1, and its gradient is not clipped.")
        return natural_gradient(rates, window)
    if window != 1:
        raise InputError(f"A window of averaged statistics goes with the optimizer natural, not with {name}.")
    made = OPTIMIZERS[name](rates)
    return made if clip is None else optax.chain(optax.clip_by_global_norm(clip), made)
