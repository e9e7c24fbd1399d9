"""The named family `factorization`: probabilistic matrix factorization of the values of pairs."""

import dataclasses
import math
from collections.abc import Sequence

import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, Key

from nelbo.core import InputError, choice
from nelbo.models.factors import FactorLayer, FactorPosterior, FactorPrior, NormalFactors, PointFactors, layer_of
from nelbo.models.parts import constant_array, drawn_at_once, positive
from nelbo.models.rating_heads import RATING_LIKELIHOODS, rating_head
from nelbo.models.recognition import Amortized
from nelbo.models.spec import ModelSpec
from nelbo.models.stack import Model, Stack
from nelbo.nets import Frozen

FIRST_SPREAD = 0.1  # of the factors at the start: at zero both sides' gradients vanish
FIRST_LOG_SCALE = -2.0
FACTOR_POSTERIORS = ("mean-field", "point")


@drawn_at_once
def factorization(
    key: Key[Array, ""],
    shape: Sequence[int],
    *,
    pairs: Sequence[int] = (1, 1),
    rank: int | str = "auto",
    likelihood: str = "gaussian",
    factor_posterior: str = "mean-field",
    prior_scale: float | int = 0.5,
    learn_prior: bool = True,
    noise_scale: float | int | None = None,
    levels: Sequence[float] = (),
    physical: bool = False,
    distilled: bool = False,
    centre: Array | bool = False,
    spread: Array | bool = False,
) -> Model:
    """Probabilistic matrix factorization of the values of pairs (Salakhutdinov and Mnih 2008; Jirasek et al. 2020).

    Args:
        key: for the initial factors.
        shape: of one value, (1,).
        pairs: numbers of rows and columns.
        rank: number of factors of a row or a column, beside its bias; or "auto", which tries a few and takes the one
            that scores best on the validation entries.
        likelihood: "gaussian", "cauchy" (robust against outliers) or "ordinal" (levels, by cumulative logits).
        factor_posterior: "mean-field" (independent normals), or "point" (the maximum a posteriori estimate).
        prior_scale: initial standard deviation of the factors' prior, in units of the data's spread.
        learn_prior: learn the prior's standard deviation for each factor, of rows and of columns, by the bound.
        noise_scale: fixed scale of a gaussian or cauchy likelihood, in units of the data's spread; null: learned.
        levels: the increasing levels of an ordinal likelihood, which a run takes from the data.
        physical: whether each pair comes with a physical prediction, around which the residual is modelled.
        distilled: whether each factor has a prior of its own, from another fit: see `distilled_prior`.
        centre: the training data's mean; `True` leaves its place to be filled from a file.
        spread: the training data's standard deviation; the same.

    Raises:
        InputError: an unknown name, or a size that makes no sense.
    """
    if tuple(shape) != (1,):
        raise InputError(f"factorization takes the value of one pair at a time, got examples of shape {list(shape)}.")
    choice("likelihood of factorization", likelihood, RATING_LIKELIHOODS)
    choice("posterior of factors", factor_posterior, FACTOR_POSTERIORS)
    (rows, columns) = positive("pairs", pairs)
    if isinstance(rank, str):
        raise InputError(f"rank must be a whole number or auto, got {rank!r}: auto is settled by `nelbo fit` alone.")
    if not 0 <= rank < 2**16 or not 0.0 < prior_scale < math.inf or (noise_scale is not None and noise_scale <= 0.001):
        raise InputError(
            "rank is zero or more, prior_scale positive and noise_scale, where it is given, above 0.001; got "
            f"{rank}, {prior_scale} and {noise_scale}."
        )
    if physical and likelihood == "ordinal":
        raise InputError("A physical prediction is in the units of measurements: use gaussian or cauchy with it.")
    moments = [constant_array(value, (1,)) for value in (centre, spread)]
    middle, unit = (jnp.full(1, usual) if m is None else m for m, usual in zip(moments, (0.0, 1.0), strict=True))
    head = rating_head(
        likelihood, middle, unit, levels, noise_scale=None if noise_scale is None else float(noise_scale)
    )
    sides = [_side(one, count, rank, float(prior_scale), factor_posterior, learn=learn_prior, distilled=distilled)
             for one, count in zip(jr.split(key), (rows, columns), strict=True)]  # fmt: skip
    layer = FactorLayer(sides[0][0], sides[1][0], jnp.zeros((), jnp.float32), head)
    posterior = FactorPosterior(sides[0][1], sides[1][1], sides[0][2], sides[1][2])
    spec = ModelSpec.of(
        "factorization", shape=(1,), pairs=(rows, columns), rank=rank, likelihood=likelihood, physical=physical,
        factor_posterior=factor_posterior, prior_scale=prior_scale, learn_prior=learn_prior, noise_scale=noise_scale,
        levels=list(levels), distilled=distilled, centre=moments[0] is not None, spread=moments[1] is not None,
    )  # fmt: skip
    return Model(Stack((layer,), 3 if physical else 2), Amortized(()), spec, posterior)


def _side(
    key: Key[Array, ""], count: int, rank: int, prior_scale: float, posterior: str, *, learn: bool, distilled: bool
) -> tuple[PointFactors, Float[Array, "n entries"] | None, FactorPrior]:
    """Means, log standard deviations and prior of one side."""
    spread = jnp.full(rank + 1, FIRST_SPREAD).at[-1].set(0.0)  # biases start at zero
    mean = spread[None] * jr.normal(key, (count, rank + 1), jnp.float32)
    log_scale = jnp.full((count, rank + 1), FIRST_LOG_SCALE, jnp.float32) if posterior == "mean-field" else None
    usual = jnp.full(rank + 1, math.log(prior_scale), jnp.float32)
    own = (Frozen(jnp.zeros_like(mean)), Frozen(jnp.zeros_like(mean))) if distilled else (None, None)
    # at a point the bound is no bound: scales would be learned to be infinitely small
    learned = learn and posterior == "mean-field" and not distilled
    prior = FactorPrior(usual if learned else Frozen(usual), *own)
    return PointFactors(mean), log_scale, prior


def distilled_prior(
    model: Model, taught: Model, rows: Sequence[int], columns: Sequence[int], *, inflate: float = 1.0
) -> Model:
    """A factorization whose prior is another one's posterior N(m, inflate^2 S), and which starts at its means.

    This is the second stage of the "whisky" hybrid (Jirasek et al. 2020, Hybridizing physical and data-driven
    prediction methods): a first fit distils a physical model's predictions, a second one matures on measurements. The
    start keeps the first fit's rotation of the factors.

    Args:
        model: the second stage, of equal rank, made with `distilled=True`.
        taught: the first stage, with a mean-field posterior.
        rows: for each row of `model` its number in `taught`, -1 where it has none: then its prior is that of a new row.
        columns: the same of columns.
        inflate: factor on the first stage's standard deviations.

    Raises:
        InputError: models that do not fit each other.
    """
    new, old = layer_of(model), layer_of(taught)
    own, first = model.globals, taught.globals
    if not isinstance(own, FactorPosterior) or not isinstance(first, FactorPosterior) or first.row_log_scale is None:
        raise InputError("A distilled prior needs two factorizations, the first with a mean-field posterior.")
    if new.rows.mean.shape[1] != old.rows.mean.shape[1]:
        raise InputError(
            f"The first stage has rank {old.rows.mean.shape[1] - 1}, the second {new.rows.mean.shape[1] - 1}: they "
            "must be equal."
        )
    if not 0.0 < inflate < math.inf:
        raise InputError(f"inflate is a factor on standard deviations above zero, got {inflate}.")
    averaged = layer_of(first.averaged(taught))
    sides = []
    for factors, numbers, prior in (
        (averaged.rows, rows, own.row_prior),
        (averaged.columns, columns, own.column_prior),
    ):
        assert isinstance(factors, NormalFactors)
        known = jnp.asarray(numbers)
        new_row, old_row = known[:, None] < 0, jnp.maximum(known, 0)
        mean = jnp.where(new_row, 0.0, factors.mean[old_row])
        widened = jnp.where(new_row, factors.unseen[None], factors.log_scale[old_row] + math.log(inflate))
        sides.append((mean, widened, dataclasses.replace(prior, log_scale=Frozen(factors.unseen), mean=Frozen(mean),
                                                         own_log_scale=Frozen(widened))))  # fmt: skip
    layer = FactorLayer(PointFactors(sides[0][0]), PointFactors(sides[1][0]), old.intercept, new.head)
    scales = (None, None) if own.row_log_scale is None else (sides[0][1], sides[1][1])
    posterior = FactorPosterior(*scales, sides[0][2], sides[1][2])
    return Model(Stack((layer,), model.generative.context_size), model.recognition, model.spec, posterior)
