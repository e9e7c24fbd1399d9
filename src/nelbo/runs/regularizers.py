"""What any objective can be wrapped in: noise on the recognition model's input, a prior on the decoder."""

from nelbo.core import InputError
from nelbo.objectives import InputNoise, Objective, WeightPrior


def regularized(
    inner: Objective, num_data: int, weight_prior: float | int | None, input_noise: str | None, noise_rate: float | int
) -> Objective:
    """With noise on the recognition model's input and a prior on the decoder, where they are asked for.

    Raises:
        InputError: an impossible standard deviation or noise.
    """
    if weight_prior is not None and not weight_prior > 0:
        raise InputError(f"weight_prior must be a positive standard deviation, got {weight_prior}.")
    noisy = inner if input_noise is None else InputNoise(inner, kind=input_noise, rate=float(noise_rate))
    return noisy if weight_prior is None else WeightPrior(noisy, num_data=num_data, scale=float(weight_prior))
