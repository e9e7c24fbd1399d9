"""Upper and lower bounds on the rate-distortion function of a source from samples (Yang and Mandt 2022).

Distortion is squared error, summed over the entries of an example. The upper bound is a variational auto-encoder whose
KL part weighs 1 / lambda: any q(y | x) and q(y) have a rate of at least R(D) at their distortion, and the rate of its
latents is at least that of its reproductions. The lower bound is in `rate_lower.py`.
"""

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, Key

from nelbo.core import Example, InputError, compiled
from nelbo.data import Source
from nelbo.evaluation.rate_distortion import gaussian_rate
from nelbo.evaluation.rate_lower import DualBound, LogU, LowerLine, lower_line
from nelbo.evaluation.score import over_batches
from nelbo.models import Model, build
from nelbo.objectives import Sgvb
from nelbo.training import examples, fit, optimizer

DEVIATION = 0.1  # of the likelihood gaussian-fixed
LEVELS = (0.5, 0.2, 0.1, 0.05)  # water levels of the usual slopes, in units of the mean variance of an entry
_BATCH, _LOWER_BATCH, _DRAWS = 200, 1024, 20
MOST_ENTRIES = 4096  # of an example: their covariance is taken apart
_ROWS_FOR_COVARIANCE = 5  # for each entry
_FAR = 1e30  # of a slope times the mean variance, from one; what is further away is no float32


@dataclasses.dataclass(frozen=True)
class SandwichSettings:
    """How bounds are found.

    Args:
        latents: of the auto-encoder; None takes as many as entries, at most 50.
        hidden: widths of the networks.
        steps: of training, of each bound and slope.
        group_size: k, samples that share a supremum; None takes half of the held-out ones, at most 4096.
        learning_rate: of Adam, falling by a cosine.
    """

    latents: int | None = None
    hidden: Sequence[int] = (128, 128)
    steps: int = 2000
    group_size: int | None = None
    learning_rate: float = 2e-3


@dataclasses.dataclass(frozen=True)
class UpperPoint:
    """A rate that is enough for a distortion.

    Args:
        rate: nats for an example.
        rate_error: its standard error over held-out samples.
        distortion: squared error of an example.
        distortion_error: its standard error.
    """

    rate: float
    rate_error: float
    distortion: float
    distortion_error: float


@dataclasses.dataclass(frozen=True)
class Sandwiched:
    """Both bounds at a slope.

    Args:
        slope: lambda, nats for a unit of squared error.
        upper: by the auto-encoder.
        lower: the line below R(D).
        gaussian: R(D) at the same distortion of a Gaussian source with the covariance of the samples, another upper
            bound [nats]; None where there are too few samples for a covariance.
    """

    slope: float
    upper: UpperPoint
    lower: LowerLine
    gaussian: float | None

    @property
    def lower_rate(self) -> float:
        """The lower bound at the upper point's distortion, at least zero [nats]."""
        return max(self.lower.intercept - self.slope * self.upper.distortion, 0.0)

    @property
    def gap(self) -> float:
        """Between the two bounds [nats]."""
        return self.upper.rate - self.lower_rate


@dataclasses.dataclass(frozen=True)
class Sandwich:
    """Both bounds at several slopes.

    Args:
        points: in the order of the slopes.
        fitted: samples that networks were fitted to.
        held_out: samples that the bounds were evaluated on.
        entries: of an example.
        variances: along the principal axes of the samples; None of too few samples.
    """

    points: tuple[Sandwiched, ...]
    fitted: int
    held_out: int
    entries: int
    variances: np.ndarray | None = dataclasses.field(default=None, repr=False)


def _number(key: Key[Array, ""], model: Model, source: Source, raw: Any) -> dict[str, Float[Array, " batch"]]:
    data_key, key = jr.split(key)
    batch = examples(data_key, source, raw)
    size = batch.values.shape[0]
    constant = batch.values[0].size * math.log(DEVIATION * math.sqrt(2.0 * math.pi))

    def one(key: Key[Array, ""], x: Example) -> tuple[Float[Array, ""], Float[Array, ""]]:
        draws = jax.vmap(lambda k: model.draw(k, x))(jr.split(key, _DRAWS))
        kl = jax.vmap(model.kl)(draws).sum(-1).mean()
        return kl, -2.0 * DEVIATION**2 * (draws.log_p[:, 0].mean() + constant)

    kl, distortion = jax.vmap(one)(jr.split(key, size), batch)
    return {"rate": kl, "distortion": distortion}


_numbers = compiled(_number)


def _source(x: np.ndarray) -> Source:
    return Source(Example(jnp.asarray(x, jnp.float32)), "real", dynamic=False)


def upper_point(
    key: Key[Array, ""], fitted: np.ndarray, held_out: np.ndarray, slope: float, settings: SandwichSettings
) -> UpperPoint:
    """The rate and distortion of an auto-encoder with a standard normal prior, trained at a slope.

    Args:
        key: for weights and training.
        fitted: `(n, d)`, centred, with entries of a variance near one.
        held_out: `(m, d)`, which the numbers are of.
        slope: lambda.
        settings: of the networks.
    """
    model_key, fit_key, score_key = jr.split(key, 3)
    entries = fitted.shape[1]
    latents = min(entries, 50) if settings.latents is None else settings.latents
    arguments = {"shape": [entries], "latents": latents, "hidden": list(settings.hidden), "activation": "silu"}
    model = build(model_key, "vae", arguments | {"likelihood": "gaussian-fixed"})
    # -ELBO is KL + ||x - y||^2 / (2 deviation^2), so that lambda = 1 / (2 beta deviation^2)
    objective = Sgvb("B", beta=0.5 / (slope * DEVIATION**2))
    found = fit(fit_key, model, objective, _source(fitted), _adam(settings), steps=settings.steps,
                batch_size=min(_BATCH, len(fitted)), keep="last")  # fmt: skip
    source = _source(held_out)
    number = lambda k, raw: _numbers(k, found.model, source.head(0), raw)  # noqa: E731
    scores = over_batches(score_key, found.model, source, 1000, number, "rate", None)
    error = lambda one: float(one.std(ddof=1) / math.sqrt(one.size)) if one.size > 1 else 0.0  # noqa: E731
    rate, distortion = scores["rate"], scores["distortion"]
    return UpperPoint(float(rate.mean()), error(rate), float(distortion.mean()), error(distortion))


def _adam(settings: SandwichSettings) -> Any:
    return optimizer("adam", learning_rate=settings.learning_rate, schedule="cosine", steps=settings.steps)


def fitted_line(
    key: Key[Array, ""], fitted: np.ndarray, held_out: np.ndarray, slope: float, settings: SandwichSettings
) -> LowerLine:
    """The lower bound at a slope, by a trained `LogU`; arguments as of `upper_point`."""
    model_key, fit_key, line_key = jr.split(key, 3)
    size = min(len(fitted), max(len(held_out) // 2, 1), 4096) if settings.group_size is None else settings.group_size
    covariance = fitted.T @ fitted / len(fitted)
    start = LogU(model_key, covariance, slope, settings.hidden, size)
    found = fit(fit_key, start, DualBound(jnp.asarray(slope, jnp.float32)), _source(fitted), _adam(settings),
                steps=settings.steps, batch_size=min(_LOWER_BATCH, size), keep="last")  # fmt: skip
    return lower_line(line_key, found.model, slope, fitted, held_out, group_size=size)


def usual_slopes(x: np.ndarray) -> tuple[float, ...]:
    """Slopes at which a Gaussian source of the same mean variance would keep 50 to 5 per cent of it as error.

    Args:
        x: `(n, d)`.
    """
    variance = float(x.var(0).mean())
    return tuple(float(f"{0.5 / (level * variance):.3g}") for level in LEVELS)


def sandwich(
    key: Key[Array, ""],
    x: Float[np.ndarray, "n d"],
    held_out: Float[np.ndarray, "m d"],
    slopes: Sequence[float] | None = None,
    settings: SandwichSettings = SandwichSettings(),
    progress: Callable[[str], None] | None = None,
) -> Sandwich:
    """Bounds on R(D) from samples, from both sides.

    Args:
        key: for everything random.
        x: samples to fit to.
        held_out: independent samples to evaluate on.
        slopes: lambda, nats for a unit of squared error; None takes `usual_slopes`.
        settings: of the networks.
        progress: told what is being done.

    Raises:
        InputError: too few samples, samples without spread, or settings that make no sense.
    """
    x, held_out = np.asarray(x, float), np.asarray(held_out, float)
    _check(x, held_out, slopes, settings)
    mean, unit = x.mean(0), float(np.sqrt(x.var(0).mean()))
    own_key, other_key, key = jr.split(key, 3)
    own, others = ((_shuffled(k, part) - mean) / unit for k, part in ((own_key, x), (other_key, held_out)))
    enough = len(x) >= _ROWS_FOR_COVARIANCE * x.shape[1]
    variances = unit**2 * np.maximum(np.linalg.eigvalsh(own.T @ own / len(own)), 0.0) if enough else None
    points = []
    for i, slope in enumerate(usual_slopes(x) if slopes is None else slopes):
        upper_key, lower_key = jr.split(jr.fold_in(key, i))
        inner = slope * unit**2
        if progress is not None:
            progress(f"slope {slope:g}: upper bound")
        upper = upper_point(upper_key, own, others, inner, settings)
        upper = dataclasses.replace(
            upper, distortion=unit**2 * upper.distortion, distortion_error=unit**2 * upper.distortion_error
        )
        if progress is not None:
            progress(f"slope {slope:g}: lower bound")
        line = dataclasses.replace(fitted_line(lower_key, own, others, inner, settings), slope=slope)
        gaussian = None if variances is None else gaussian_rate(variances, upper.distortion)
        points.append(Sandwiched(slope, upper, line, gaussian))
    return Sandwich(tuple(points), len(x), len(held_out), x.shape[1], variances)


def _shuffled(key: Key[Array, ""], rows: np.ndarray) -> np.ndarray:
    """Rows in random order: a group is of neighbours, which in a file may be alike."""
    return rows[np.asarray(jr.permutation(key, len(rows)))]


def _check(x: np.ndarray, held_out: np.ndarray, slopes: Sequence[float] | None, settings: SandwichSettings) -> None:
    if len(x) < 20 or len(held_out) < 20:
        raise InputError(f"Bounds on R(D) need 20 samples to fit and 20 held out at least, got {len(x)} and "
                         f"{len(held_out)}: give more rows.")  # fmt: skip
    if x.shape[1] > MOST_ENTRIES:
        raise InputError(f"Bounds on R(D) take examples of at most {MOST_ENTRIES} entries, these {x.shape[1]}: give "
                         "smaller crops.")  # fmt: skip
    if not np.isfinite(x).all() or not np.isfinite(held_out).all() or not np.ptp(x, axis=0).any():
        raise InputError("Bounds on R(D) need finite samples that are not all equal: look at the data.")
    if slopes is not None and (not len(slopes) or not all(0 < slope < math.inf for slope in slopes)):
        raise InputError("Slopes are nats for a unit of squared error, numbers above zero: give 0.5,2,10, say.")
    variance = float(x.var(0).mean())
    if slopes is not None and (far := [slope for slope in slopes if not 1.0 / _FAR < slope * variance < _FAR]):
        raise InputError(f"A slope of {far[0]:g} is far from samples whose entries have a variance of {variance:.3g}: "
                         f"give slopes near {0.5 / variance:.2g}, or leave them out.")  # fmt: skip
    size = settings.group_size
    if size is not None and not 2 <= size <= min(len(x), len(held_out)):
        raise InputError(f"A group has from 2 to {min(len(x), len(held_out))} samples here, got {size}.")
    if settings.steps < 1 or (settings.latents is not None and settings.latents < 1):
        raise InputError("Steps of training and latents are whole numbers above zero.")
