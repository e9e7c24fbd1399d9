"""Distributions of the integers 0 .. levels - 1, elementwise, with float samples."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpyro.distributions as nd
from jax.nn import log_sigmoid
from jaxtyping import Array, Float, Key
from numpyro.distributions import constraints


class DiscretizedLogistic(nd.Distribution):
    """A logistic distribution binned to the integers 0 .. levels - 1, the end bins taking the tails.

    `P(k) = F((k + 1/2 - loc) / scale) - F((k - 1/2 - loc) / scale)` with F the logistic function; loc and scale are
    in units of one level. Source: Salimans et al., PixelCNN++ (2017), eq. 2.
    """

    arg_constraints = {"loc": constraints.real, "scale": constraints.positive}
    pytree_aux_fields = ("levels",)

    def __init__(self, loc: Float[Array, "*d"], scale: Float[Array, "*d"], levels: int = 256) -> None:
        self.loc, self.scale, self.levels = loc, scale, levels
        super().__init__(batch_shape=jnp.shape(loc), validate_args=False)

    @property
    def support(self) -> constraints.Constraint:  # pyright: ignore
        """0 .. levels - 1."""
        return constraints.integer_interval(0, self.levels - 1)

    def sample(self, key: Key[Array, ""], sample_shape: tuple[int, ...] = ()) -> Float[Array, "..."]:  # pyright: ignore
        """Draw integers, as numbers like the location."""
        shape = sample_shape + self.batch_shape
        loc, scale = (jnp.broadcast_to(value, shape) for value in (self.loc, self.scale))
        return jnp.clip(jnp.round(loc + scale * jr.logistic(key, shape, loc.dtype)), 0.0, self.levels - 1.0)

    def log_prob(self, value: Float[Array, "*d"]) -> Float[Array, "*d"]:  # pyright: ignore
        """Elementwise log probability mass [nats]."""
        upper = (value + 0.5 - self.loc) / self.scale
        lower = (value - 0.5 - self.loc) / self.scale
        # log(F(u) - F(l)) = log F(u) + log F(-l) + log(1 - exp(-(u - l))): no difference of nearly equal numbers
        width = 1.0 / self.scale
        inside = log_sigmoid(upper) + log_sigmoid(-lower) + jnp.log(-jnp.expm1(-width))
        at_ends = jnp.where(value < 0.5, log_sigmoid(upper), log_sigmoid(-lower))
        return jnp.where((value < 0.5) | (value > self.levels - 1.5), at_ends, inside)

    @property
    def mean(self) -> Float[Array, "..."]:
        """Mean of the logistic distribution clipped to 0 .. levels - 1.

        It is the sum of P(k or more) over k = 1 .. levels - 1, each F((loc - k + 1/2) / scale), with an integral in
        place of the sum (a midpoint rule): scale * [softplus(loc / scale) - softplus((loc - levels + 1) / scale)]. The
        error is under 1 / (85 scale) levels for scales from 1/2 on, and under the half level of rounding below.
        """
        top = self.levels - 1.0
        # softplus(x) = max(x, 0) + log(1 + exp(-|x|)); apart, their differences keep the digits of large locations
        beyond = jnp.log1p(jnp.exp(-jnp.abs(self.loc) / self.scale))
        short = jnp.log1p(jnp.exp(-jnp.abs(self.loc - top) / self.scale))
        return jnp.clip(self.loc, 0.0, top) + self.scale * (beyond - short)


_SERIES = (1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188)
_LARGE = 8  # from here on the series' next term is under 3e-13


def _stirling_error(x: Float[Array, "*d"]) -> Float[Array, "*d"]:
    """Log Gamma(x) - [(x - 1/2) log x - x + 1/2 log 2 pi], about 1 / 12 x for large x.

    Under 8 it is that of x + 8, less what Gamma(x + 8) = x (x + 1) ... (x + 7) Gamma(x) adds.
    """
    small = jnp.minimum(x, _LARGE)
    upward = small + _LARGE
    product = small
    for i in range(1, int(_LARGE)):
        product = product * (small + i)
    step = (small - 0.5) * jnp.log1p(_LARGE / small) - _LARGE - jnp.log(product / upward**8)
    return _series(jnp.where(x < _LARGE, upward, x)) + jnp.where(x < _LARGE, step, jnp.zeros_like(x))


def _series(x: Float[Array, "*d"]) -> Float[Array, "*d"]:
    """Stirling's series, for x from 8 on."""
    inverse, series = 1.0 / x, jnp.zeros_like(x)
    square = inverse**2
    for coefficient in reversed(_SERIES):
        series = series * square + coefficient
    return inverse * series


def gamma_ratio(x: Float[Array, "*d"], k: Float[Array, "*d"]) -> Float[Array, "*d"]:
    """Log Gamma(x + k) - log Gamma(x) - k log(x + k), about -k^2 / 2 x for large x."""
    return (x - 0.5) * jnp.log1p(k / x) - k + (_stirling_error(x + k) - _stirling_error(x))


def _power(k: Array, a: Array, both: Array, n: Array) -> Float[Array, "*d"]:
    """K log(a + k) / (a + b + n), less the same at a = b = 1."""
    return k * jnp.log((a + k) / (both + n) * ((2.0 + n) / (1.0 + k)))


class BetaBinomial(nd.BetaBinomial):
    """Beta-binomial on 0 .. total with float counts, as strict dtype promotion asks for."""

    pytree_aux_fields = ("total",)
    concentration1: Array
    concentration0: Array
    total_count: Array

    def __init__(self, concentration1: Float[Array, "*d"], concentration0: Float[Array, "*d"], total: int) -> None:
        self.total = int(total)
        counts = jnp.full(jnp.shape(concentration1), float(total), jnp.result_type(concentration1))
        super().__init__(concentration1, concentration0, counts, validate_args=False)

    @property
    def support(self) -> constraints.Constraint:  # pyright: ignore
        """0 .. total."""
        return constraints.integer_interval(0, self.total)

    def sample(self, key: Key[Array, ""], sample_shape: tuple[int, ...] = ()) -> Float[Array, "..."]:  # pyright: ignore
        """Draw integers, as numbers like the concentrations."""
        beta_key, count_key = jr.split(key)
        shape = sample_shape + self.batch_shape
        a, b = (jnp.broadcast_to(value, shape) for value in (self.concentration1, self.concentration0))
        probs = jr.beta(beta_key, a, b, dtype=a.dtype)
        return jr.binomial(count_key, jnp.broadcast_to(self.total_count, shape), probs, dtype=a.dtype)

    def log_prob(self, value: Float[Array, "*d"]) -> Float[Array, "*d"]:  # pyright: ignore
        """Elementwise log probability mass [nats].

        Log-gammas of concentrations of a million are near 10^7, where float32 counts in whole numbers. So differences
        of them are taken apart by Stirling's formula, log Gamma(x + k) - log Gamma(x) = k log(x + k) + g(x, k) with a g
        that is small where x is large; and the mass is compared with the uniform one, that of a = b = 1, whose powers
        are the binomial coefficient's. What is left has the size of the answer: its error is under 1e-4 nats, or a
        millionth of it, for concentrations from 1e-3 on.
        """
        n, a, b = self.total_count, self.concentration1, self.concentration0
        k, m, both = value, n - value, a + b
        powers = _power(k, a, both, n) + _power(m, b, both, n)
        corrections = gamma_ratio(a, k) + gamma_ratio(b, m) - gamma_ratio(both, n)
        one = jnp.ones_like(a)
        uniform = gamma_ratio(one, k) + gamma_ratio(one, m) - gamma_ratio(2.0 * one, n)
        return powers + (corrections - uniform) - jnp.log1p(n)

    @property
    def mean(self) -> Float[Array, "..."]:
        """Expected count."""
        return self.total_count * self.concentration1 / (self.concentration1 + self.concentration0)


class Categorical(nd.Distribution):
    """Any distribution on the integers 0 .. levels - 1, by the softmax of a logit for each.

    Args:
        logits: `(*d, levels)`.
    """

    arg_constraints = {"logits": constraints.real_vector}

    def __init__(self, logits: Float[Array, "*d levels"]) -> None:
        self.logits = logits
        super().__init__(batch_shape=jnp.shape(logits)[:-1], validate_args=False)

    @property
    def support(self) -> constraints.Constraint:  # pyright: ignore
        """0 .. levels - 1."""
        return constraints.integer_interval(0, self.levels - 1)

    @property
    def levels(self) -> int:
        """How many integers."""
        return self.logits.shape[-1]

    def sample(self, key: Key[Array, ""], sample_shape: tuple[int, ...] = ()) -> Float[Array, "..."]:  # pyright: ignore
        """Draw integers, as numbers like the logits."""
        return jr.categorical(key, self.logits, shape=sample_shape + self.batch_shape).astype(self.logits.dtype)

    def log_prob(self, value: Float[Array, "*d"]) -> Float[Array, "*d"]:  # pyright: ignore
        """Elementwise log probability mass [nats]."""
        index = jnp.broadcast_to(value, jnp.broadcast_shapes(value.shape, self.batch_shape)).astype(jnp.int32)
        logs = jax.nn.log_softmax(self.logits)
        logs = jnp.broadcast_to(logs, (*index.shape, self.levels))
        return jnp.take_along_axis(logs, index[..., None], axis=-1)[..., 0]

    @property
    def mean(self) -> Float[Array, "..."]:
        """Expected integer."""
        return jax.nn.softmax(self.logits) @ jnp.arange(self.levels, dtype=self.logits.dtype)
