"""Factor matrices: what all pairs of a row and a column share, with a posterior of which only the rows read are drawn.

y_ij ~ p(y | centre + spread (intercept + b_i + c_j + u_i' v_j)). The biases are the last entry of each factor.
"""

import abc
import math
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, Int, Key

from nelbo.core import InputError
from nelbo.distributions import AveragedNormal, Distribution
from nelbo.models.globals import Globals, unknown_widths
from nelbo.models.layers import Context, Latents, Layer, Reads
from nelbo.models.rating_heads import LocationHead, RatingHead
from nelbo.nets import Frozen


class Factors(eqx.Module):
    """Abstract: the factors of all rows, or of all columns; the last entry of each is its bias."""

    mean: eqx.AbstractVar[Float[Array, "n entries"]]

    @abc.abstractmethod
    def row(self, index: Int[Array, ""]) -> Float[Array, " entries"]:
        """The factors of one row; of -1 those of a row that was never seen."""

    @abc.abstractmethod
    def variance(self, index: Int[Array, ""]) -> Float[Array, " entries"]:
        """How uncertain they still are: zero where they are a point or a draw."""


class PointFactors(Factors):
    """Factors that are numbers."""

    mean: Float[Array, "n entries"]

    def row(self, index: Int[Array, ""]) -> Float[Array, " entries"]:
        """The row; zero for -1."""
        return _read(self.mean, index, jnp.zeros_like(self.mean[0]))

    def variance(self, index: Int[Array, ""]) -> Float[Array, " entries"]:
        """Zero."""
        del index
        return jnp.zeros_like(self.mean[0])


class NormalFactors(Factors):
    """Independent normals, by their moments.

    Args:
        mean: of each number.
        log_scale: log standard deviation of each.
        unseen: log standard deviations of a row that was never seen, whose mean is zero.
    """

    mean: Float[Array, "n entries"]
    log_scale: Float[Array, "n entries"]
    unseen: Float[Array, " entries"]

    def row(self, index: Int[Array, ""]) -> Float[Array, " entries"]:
        """The means."""
        return _read(self.mean, index, jnp.zeros_like(self.mean[0]))

    def variance(self, index: Int[Array, ""]) -> Float[Array, " entries"]:
        """The variances."""
        return jnp.exp(2.0 * _read(self.log_scale, index, self.unseen))


class DrawnFactors(NormalFactors):
    """One draw of all factors, of which a row's numbers are made when it is read.

    The noise of row i comes from the key folded with i: a row that is read twice is the same, and rows that nobody
    reads cost nothing.
    """

    key: Key[Array, ""] = eqx.field(kw_only=True)

    def row(self, index: Int[Array, ""]) -> Float[Array, " entries"]:
        """Mean + scale * noise."""
        noise = jr.normal(jr.fold_in(jr.clone(self.key), index), self.mean.shape[1:], self.mean.dtype)
        return super().row(index) + jnp.exp(_read(self.log_scale, index, self.unseen)) * noise

    def variance(self, index: Int[Array, ""]) -> Float[Array, " entries"]:
        """Zero: they are drawn."""
        del index
        return jnp.zeros_like(self.mean[0])

    def whole(self) -> Float[Array, "more entries"]:
        """All rows of the draw, behind them one that was never seen: cheaper where pairs outnumber rows."""
        return jax.vmap(self.row)(jnp.append(jnp.arange(len(self.mean)), -1))


def _read(table: Float[Array, "n entries"], index: Int[Array, ""], unseen: Array) -> Float[Array, " entries"]:
    return jnp.where(index < 0, unseen, table[jnp.maximum(index, 0)])


class FactorLayer(Layer):
    """p(value | row, column): the head of a bilinear predictor.

    The context is the numbers of row and column, -1 for one never seen, and maybe a physical prediction in the data's
    units, around which everything else is then the residual.

    Args:
        rows: factors of the rows.
        columns: factors of the columns.
        intercept: of the predictor.
        head: from the predictor to the distribution.
        averaged: give the log density averaged over the factors in closed form (a normal likelihood alone).
    """

    rows: Factors
    columns: Factors
    intercept: Float[Array, ""]
    head: RatingHead
    averaged: bool = eqx.field(static=True, default=False)
    reads: ClassVar[Reads] = Reads.NONE
    conditioned: ClassVar[bool] = True
    direct_weight: ClassVar[None] = None
    is_linear_gaussian: ClassVar[bool] = False

    def __call__(self, parents: Latents, context: Context = None) -> Distribution:
        """The distribution of the value of one pair.

        Raises:
            InputError: no pair.
        """
        del parents
        mean, variance = self.moments(pair_of(context))
        found: Any = self.head(mean[None])
        if not self.averaged:
            return found
        return AveragedNormal(found.loc, found.scale, self.head.unit**2 * variance[None])

    def moments(self, pair: Float[Array, " numbers"]) -> tuple[Float[Array, ""], Float[Array, ""]]:
        """Mean and variance of the predictor, exact for independent factors.

        The variance of u'v is the sum of m_u^2 s_v^2 + s_u^2 m_v^2 + s_u^2 s_v^2.
        """
        i, j = pair[0].astype(jnp.int32), pair[1].astype(jnp.int32)
        u, v = self.rows.row(i), self.columns.row(j)
        mean = self.intercept + u[:-1] @ v[:-1] + u[-1] + v[-1]
        if pair.shape[0] == 3:
            mean = mean + pair[2] / self.head.unit
        s, t = self.rows.variance(i), self.columns.variance(j)
        return mean, u[:-1] ** 2 @ t[:-1] + s[:-1] @ (v[:-1] ** 2 + t[:-1]) + s[-1] + t[-1]


def pair_of(context: Context) -> Float[Array, " numbers"]:
    """The context as a pair.

    Raises:
        InputError: it is none.
    """
    if context is None:
        raise InputError("This model gives the value of a pair of row and column: use `nelbo predict` and name pairs.")
    return jnp.asarray(context, jnp.float32)


class FactorPrior(eqx.Module):
    """Normal priors of the factors of one side.

    Args:
        log_scale: log standard deviation of each entry of a row's factors, around zero; trained, unless frozen.
        mean: of each number of each row, where another fit gives it; None: zero.
        own_log_scale: the same of log standard deviations.
    """

    log_scale: Float[Array, " entries"] | Frozen
    mean: Frozen | None = None
    own_log_scale: Frozen | None = None

    @property
    def unseen(self) -> Float[Array, " entries"]:
        """Log standard deviations of a row that was never seen."""
        return self.log_scale() if isinstance(self.log_scale, Frozen) else self.log_scale

    def kl(self, mean: Float[Array, "n entries"], log_scale: Float[Array, "n entries"]) -> Float[Array, ""]:
        """KL(N(mean, exp(log_scale)^2) || prior) [nats]."""
        prior, centred = self._scales(mean), mean if self.mean is None else mean - self.mean()
        ratio = log_scale - prior
        return 0.5 * (jnp.exp(2.0 * ratio) + (centred * jnp.exp(-prior)) ** 2 - 1.0 - 2.0 * ratio).sum()

    def penalty(self, mean: Float[Array, "n entries"]) -> Float[Array, ""]:
        """-log density at a point [nats]."""
        prior, centred = self._scales(mean), mean if self.mean is None else mean - self.mean()
        return 0.5 * ((centred * jnp.exp(-prior)) ** 2 + math.log(2.0 * math.pi) + 2.0 * prior).sum()

    def _scales(self, mean: Float[Array, "n entries"]) -> Float[Array, "n entries"]:
        """The log standard deviation of each number."""
        if self.own_log_scale is not None:
            return self.own_log_scale()
        return jnp.broadcast_to(self.unseen, mean.shape)


class FactorPosterior(Globals):
    """Independent normals over the factors, around the arrays of the model's layer; or a point there.

    Args:
        row_log_scale: log standard deviations; None: a point (the maximum a posteriori estimate).
        column_log_scale: the same.
        row_prior: over the rows' factors.
        column_prior: over the columns' factors.
    """

    row_log_scale: Float[Array, "rows entries"] | None
    column_log_scale: Float[Array, "columns entries"] | None
    row_prior: FactorPrior
    column_prior: FactorPrior
    of_family: ClassVar[bool] = True

    @property
    def in_bound(self) -> bool:
        """A divergence is, the penalty of a point is not."""
        return self.row_log_scale is not None

    def sample(self, key: Key[Array, ""], model: Any) -> Any:
        """The model with its factors drawn; with a normal likelihood, averaged over them in closed form instead."""
        averages = isinstance(layer_of(model).head, LocationHead) and layer_of(model).head.is_homoscedastic
        return self.averaged(model) if averages else self.drawn(key, model)

    def drawn(self, key: Key[Array, ""], model: Any) -> Any:
        """The model with its factors drawn, whatever its likelihood, and no globals."""
        layer = layer_of(model)
        if self.row_log_scale is None or self.column_log_scale is None:
            return with_factors(model, layer.rows, layer.columns)
        parts = (
            (layer.rows.mean, self.row_log_scale, self.row_prior.unseen),
            (
                layer.columns.mean,
                self.column_log_scale,
                self.column_prior.unseen,
            ),
        )
        drawn = [DrawnFactors(*part, key=one) for part, one in zip(parts, jr.split(key), strict=True)]
        return with_factors(model, *drawn)

    def averaged(self, model: Any) -> Any:
        """The model with the moments of its factors, and no globals."""
        layer = layer_of(model)
        if self.row_log_scale is None or self.column_log_scale is None:
            return with_factors(model, layer.rows, layer.columns)
        rows = NormalFactors(layer.rows.mean, self.row_log_scale, self.row_prior.unseen)
        columns = NormalFactors(layer.columns.mean, self.column_log_scale, self.column_prior.unseen)
        return with_factors(model, rows, columns, averaged=True)

    def draws(self, key: Key[Array, ""], model: Any, count: int) -> Any:
        """Models whose factors are drawn, whatever the likelihood; see `Globals.draws`."""
        if count < 1:
            raise InputError(f"Predictions are averaged over at least one draw of what is shared, got {count}.")
        return eqx.filter_vmap(lambda one: self.drawn(one, model))(jr.split(key, count))

    def widths(self, model: Any) -> Any:
        """Of the factors, their posterior's; of log standard deviations 1 / sqrt(2), which cost 1/2 nat."""
        if self.row_log_scale is None or self.column_log_scale is None:
            return None
        found = unknown_widths(model)
        half = [jnp.full_like(scale, 0.5**0.5) for scale in (self.row_log_scale, self.column_log_scale)]
        places = lambda m: (*_means(m), m.globals.row_log_scale, m.globals.column_log_scale)  # noqa: E731
        return eqx.tree_at(places, found, (jnp.exp(self.row_log_scale), jnp.exp(self.column_log_scale), *half))

    def cost(self, key: Key[Array, ""], model: Any) -> Float[Array, ""]:
        """KL of both sides, or -log prior at a point [nats]; the key is not needed."""
        del key
        layer = layer_of(model)
        if self.row_log_scale is None or self.column_log_scale is None:
            return self.row_prior.penalty(layer.rows.mean) + self.column_prior.penalty(layer.columns.mean)
        rows = self.row_prior.kl(layer.rows.mean, self.row_log_scale)
        return rows + self.column_prior.kl(layer.columns.mean, self.column_log_scale)


def _means(model: Any) -> tuple[Any, Any]:
    layer = layer_of(model)
    return layer.rows.mean, layer.columns.mean


def layer_of(model: Any) -> FactorLayer:
    """The layer of a factorization.

    Raises:
        InputError: another model.
    """
    layer = model.generative.layers[0]
    if not isinstance(layer, FactorLayer):
        raise InputError("This model is no factorization: fit one with `nelbo fit factorization`.")
    return layer


def with_factors(model: Any, rows: Factors, columns: Factors, *, averaged: bool = False) -> Any:
    """The model with other factors, and no globals."""
    old = layer_of(model)
    new = FactorLayer(rows, columns, old.intercept, old.head, averaged)
    none = lambda leaf: leaf is None  # noqa: E731
    model = eqx.tree_at(lambda m: m.generative.layers[0], model, new)
    return eqx.tree_at(lambda m: m.globals, model, None, is_leaf=none)
