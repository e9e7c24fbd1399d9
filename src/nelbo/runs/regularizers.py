"""What any objective can be wrapped in: noise on the recognition model's input, a prior on the decoder."""

import functools
import inspect
from collections.abc import Callable
from typing import Any

from nelbo.core import InputError
from nelbo.objectives import InputNoise, Objective, WeightPrior


def regularized(
    inner: Objective,
    num_data: int,
    *,
    weight_prior: float | int | None = None,
    input_noise: str | None = None,
    noise_rate: float | int = 0.1,
) -> Objective:
    """With noise on the recognition model's input and a N(0, weight_prior^2) prior on the decoder, as is asked for.

    Raises:
        InputError: an impossible standard deviation or noise.
    """
    if weight_prior is not None and not weight_prior > 0:
        raise InputError(f"weight_prior must be a positive standard deviation, got {weight_prior}.")
    noisy = inner if input_noise is None else InputNoise(inner, kind=input_noise, rate=float(noise_rate))
    return noisy if weight_prior is None else WeightPrior(noisy, num_data=num_data, scale=float(weight_prior))


_OPTIONS = {
    name: item
    for name, item in inspect.signature(regularized).parameters.items()
    if item.kind is inspect.Parameter.KEYWORD_ONLY
}


def regularizable(make: Callable[..., Objective]) -> Callable[..., Objective]:
    """The function that makes an objective, with the options of `regularized` beside its own."""

    @functools.wraps(make)
    def maker(num_data: int, epoch_steps: float, **options: Any) -> Objective:
        added = {name: options.pop(name) for name in _OPTIONS if name in options}
        return regularized(make(num_data, epoch_steps, **options), num_data, **added)

    own = inspect.signature(make)
    vars(maker)["__signature__"] = own.replace(parameters=[*own.parameters.values(), *_OPTIONS.values()])
    return maker
