"""Rows of a table whose columns are of different kinds: numbers, positive numbers, bits, words, and ordered levels."""

import math
from collections.abc import Sequence
from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jax.scipy.special import logit
from jaxtyping import Array, Float, Key

from nelbo.core import InputError, choice
from nelbo.distributions import LEVELS, ONE_NUMBER, Columns, Ordinal, by_kind, column_widths
from nelbo.models.heads import LOG_FACTOR, Head, soft_bound
from nelbo.models.parts import constant_array, drawn_at_once, frozen, one_layer, positive
from nelbo.models.posteriors import posterior_head
from nelbo.models.recognition import InputRule
from nelbo.models.spec import ModelSpec
from nelbo.models.stack import Model
from nelbo.nets import Frozen, SkipMLP

MIN_SCALE = 0.01  # of a column's spread: a number that the others give away would drive its density to infinity
# factor by which a row's noise may differ from its column's: a column of few values would otherwise have rows of none
_ROW_FACTOR = (-2.0, 2.0)
_FIRST_SCALE = 0.5
_COUNT_FACTOR = 5.0  # how far the logarithm of a count's mean can be from that of all rows
_SURE = 1e-3  # the least probability that a bit, word or level begins with
_STEP_FACTOR = (-5.0, 5.0)  # log of the factor by which the step between two cuts can differ from its start


class TableHead(Head):
    """A distribution for each column, in units of the training data.

    Args:
        raw_scale: log of the noise of each entry's number, in units of its spread; of ordered levels what moves the
            cuts between them: the first by so much, the steps after it by factors.
        centre: mean of each entry, of its logarithm where it is positive; not trained.
        spread: standard deviation, the same.
        kinds: of the columns, see `nelbo.distributions.Columns`.
        by_row: whether the network gives the noise of every row too.
    """

    raw_scale: Float[Array, " d"]
    centre: Frozen
    spread: Frozen
    kinds: tuple[str, ...] = eqx.field(static=True)
    shape: tuple[int, ...] = eqx.field(static=True)
    by_row: bool = eqx.field(static=True, default=False)
    is_homoscedastic: ClassVar[bool] = False

    @property
    def planes(self) -> int:
        """One location for each entry, and a scale where rows have their own."""
        return 2 if self.by_row else 1

    def __call__(self, raw: Float[Array, " raw"]) -> Columns:
        """What the network gives for each entry is how far it is from what all rows have in common."""
        planes, widths = self._split(raw), column_widths(self.kinds)
        centre, spread = self.centre(), self.spread()
        rules = {
            ("real", "positive", "student"): lambda raw, centre, spread: centre + spread * raw,
            # of counts the logarithm of the mean is what moves, and their s is a number without a unit
            ("count",): lambda raw, centre, _: (
                jnp.log(jnp.maximum(centre, _SURE)) + soft_bound(raw, (-_COUNT_FACTOR, _COUNT_FACTOR))
            ),
            ("binary",): lambda raw, centre, _: logit(jnp.clip(centre, _SURE, 1.0 - _SURE)) + raw,
            LEVELS: lambda raw, centre, _: jnp.log(jnp.clip(centre, _SURE, 1.0 - _SURE)) + raw,
        }
        loc = by_kind(self.kinds, rules, planes[0], centre, spread)
        measured = np.asarray([name in ONE_NUMBER and name != "count" for name, width in widths for _ in range(width)])
        unit = jnp.where(measured, spread, jnp.ones_like(spread))
        log_scale = soft_bound(self.raw_scale, LOG_FACTOR)
        if self.by_row:
            log_scale = log_scale + soft_bound(planes[1], _ROW_FACTOR)
        scale = unit * (MIN_SCALE + _FIRST_SCALE * jnp.exp(log_scale))
        if any(name == "ordinal" for name, _ in widths):
            loc = self._with_levels(loc, planes[0])
        return Columns(loc, jnp.broadcast_to(scale, loc.shape), self.kinds)

    def _with_levels(self, loc: Float[Array, " d"], shift: Float[Array, " d"]) -> Float[Array, " d"]:
        """Log probabilities of ordered levels by cumulative logits (McCullagh 1980), the other entries as they are.

        P(level k or below) = sigmoid(cut_k - f), where f is what the network gives for the column's first entry. For
        f = 0 the cuts begin at the shares of the training rows.
        """
        parts, at = [], 0
        for name, width in column_widths(self.kinds):
            own = slice(at, at + width)
            at += width
            if name != "ordinal":
                parts.append(loc[own])
                continue
            share = jnp.maximum(self.centre()[own], _SURE)
            start = logit(jnp.cumsum(share / share.sum())[:-1])
            moved = self.raw_scale[own]
            steps = jnp.diff(start) * jnp.exp(soft_bound(moved[1 : width - 1], _STEP_FACTOR))
            cuts = start[0] + moved[0] + jnp.concatenate([jnp.zeros(1, loc.dtype), jnp.cumsum(steps)])
            parts.append(Ordinal(shift[own.start], cuts, jnp.arange(width, dtype=loc.dtype)).log_probs)
        return jnp.concatenate(parts)


@drawn_at_once
def table(
    key: Key[Array, ""],
    shape: Sequence[int],
    *,
    latents: int = 10,
    hidden: Sequence[int] = (64,),
    kinds: Sequence[str] = (),
    noise: str = "column",
    posterior: str = "diagonal",
    rank: int = 5,
    activation: str = "relu",
    init: str | float | int = "glorot",
    missing: str = "mask",
    centre: Array | bool = False,
    spread: Array | bool = False,
) -> Model:
    """Rows of a table with columns of different kinds, and gaps (Nazabal et al. 2020; Mattei and Frellsen 2019).

    Both networks have a linear map beside their hidden layers, so that a table that is close to factor analysis is
    fitted as well as by it.

    Args:
        key: for the weights.
        shape: of one row, a column of words or levels counting as many entries as it has of them.
        latents: number of latents.
        hidden: widths of the hidden layers of the recognition network; reversed, of the generative one.
        kinds: of the columns: "real", "positive" (a log-normal), "count" (negative binomial), "student" (heavy tails),
            "binary", "words:5" or "ordinal:5" (five ordered levels); () makes all of them real.
        noise: standard deviation of numbers: "column" (one for each column) or "row" (given by the latents of each
            row).
        posterior: covariance of q(z | x): "diagonal", "rank-one", "low-rank" (precisions) or "full".
        rank: of a "low-rank" posterior.
        activation: of the hidden units.
        init: "glorot", or a standard deviation.
        missing: what the recognition model sees for missing entries: "mean" (that of the training data), or "mask" (the
            mean, and the mask as additional inputs).
        centre: the training data's mean of each entry (of its logarithm, where it is positive); `True` leaves its
            place to be filled from a file.
        spread: the training data's standard deviation; the same.

    Raises:
        InputError: an unknown name, or a size that makes no sense.
    """
    shape, hidden, (latents,) = positive("shape", shape), positive("hidden", hidden), positive("latents", (latents,))
    choice("noise of a table", noise, ("column", "row"))
    choice("rule for missing entries", missing, ("mean", "mask"))
    kinds = tuple(kinds) or ("real",) * math.prod(shape)
    widths = column_widths(kinds)
    if len(shape) != 1 or sum(width for _, width in widths) != shape[0]:
        raise InputError(f"A table's rows have one axis, with an entry for each number and word, got {list(shape)}.")
    moments = {"centre": constant_array(centre, shape), "spread": constant_array(spread, shape)}
    middle = jnp.zeros(shape, jnp.float32) if moments["centre"] is None else moments["centre"]
    unit = jnp.ones(shape, jnp.float32) if moments["spread"] is None else moments["spread"]
    logs = tuple(name == "positive" for name, width in widths for _ in range(width))
    inputs = InputRule(Frozen(middle), frozen(moments["spread"]), missing, logs)
    encoder_key, decoder_key = jr.split(key)
    code = posterior_head(posterior, latents, rank=rank)
    visible = TableHead(jnp.zeros(shape, jnp.float32), Frozen(middle), Frozen(unit), kinds, shape, noise == "row")
    shared = {"activation": activation, "init": init}
    encoder = SkipMLP(encoder_key, (math.prod(inputs.shape(shape)), *hidden, code.size), **shared)
    decoder = SkipMLP(decoder_key, (latents, *reversed(hidden), visible.size), **shared)
    own = {"latents": latents, "hidden": hidden, "kinds": kinds, "noise": noise, "posterior": posterior, "rank": rank}
    own |= {"activation": activation, "init": init, "missing": missing}
    given = {name: value is not None for name, value in moments.items()}
    return one_layer(encoder, code, decoder, visible, inputs, ModelSpec.of("table", shape=shape, **own, **given))
