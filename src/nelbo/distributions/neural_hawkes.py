"""The neural Hawkes process: intensities that decay with the state of a continuous-time LSTM (Mei and Eisner 2017)."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key
from numpyro.distributions import constraints

from nelbo.distributions.events import PointProcess, thinned

_FINE = 20.0  # strata are even in log(1 + _FINE t): short where the state decays, right after an event
_FAR = -15.0  # below it softplus(x) is exp(x) to the last digit


class NeuralHawkesProcess(PointProcess):
    """lam_k(t) = softplus(w_k . h(t) + b_k) with h(t) = o tanh(cbar + (c - cbar) exp(-delta (t - t_i))) after event i.

    The integral has no closed form. It is estimated from one point in each of several strata of a gap, drawn uniformly,
    which is unbiased whatever the intensity, and exact where it is constant.

    Args:
        state: of each row: c, cbar, delta and o.
        weight: w.
        bias: b.
        offsets: where in each stratum the point of a row lies, in [0, 1).
    """

    arg_constraints = {
        "state": constraints.real_matrix,
        "weight": constraints.real_matrix,
        "bias": constraints.real_vector,
        "offsets": constraints.real_matrix,
    }

    def __init__(
        self,
        state: Float[Array, "rows 4 hidden"],
        weight: Float[Array, "hidden marks"],
        bias: Float[Array, " marks"],
        offsets: Float[Array, "rows strata"],
    ) -> None:
        self.state, self.weight, self.bias, self.offsets = state, weight, bias, offsets
        super().__init__(event_shape=(state.shape[0], 2), validate_args=False)

    def mark_logits(self, gap: Float[Array, " rows"]) -> Float[Array, "rows marks"]:
        """Log intensity of each mark a gap after the event before each row."""
        raw = hidden_at(self.state, gap[:, None]) @ self.weight + self.bias[None]
        return log_softplus(raw)

    def log_intensity(self, gap: Float[Array, " rows"]) -> Float[Array, " rows"]:
        """Of all marks together."""
        return jax.nn.logsumexp(self.mark_logits(gap), axis=-1)

    def integral(self, gap: Float[Array, " rows"]) -> Float[Array, " rows"]:
        """An unbiased estimate."""
        count = self.offsets.shape[-1]
        place = jnp.arange(count + 1, dtype=gap.dtype)[None] / count
        edges = jnp.expm1(place * jnp.log1p(_FINE * gap)[:, None]) / _FINE
        width = jnp.diff(edges, axis=1)
        points = edges[:, :-1] + self.offsets * width
        rate = jax.vmap(lambda t: jnp.exp(self.log_intensity(t)), in_axes=1, out_axes=1)(points)
        return (rate * width).sum(1)

    def next_gap(self, key: Key[Array, ""], row: Int[Array, ""]) -> Float[Array, ""]:
        """By thinning: every entry of h moves from its first value to its last one and never back."""
        state = self.state[row][None]
        ends = [hidden_at(state, jnp.full((1, 1), t, jnp.float32))[0][:, None] * self.weight for t in (0.0, jnp.inf)]
        bound = jax.nn.softplus(jnp.maximum(*ends).sum(0) + self.bias).sum()
        one = NeuralHawkesProcess(state, self.weight, self.bias, self.offsets[:1])
        return thinned(key, lambda t: one.log_intensity(t[None])[0], bound, jnp.asarray(jnp.inf, bound.dtype))


def hidden_at(state: Float[Array, "*rows 4 hidden"], gap: Float[Array, "*rows 1"]) -> Float[Array, "*rows hidden"]:
    """h(t) a gap after the event that set the state (Mei and Eisner 2017, eq. 4b and 7)."""
    c, last, decay, out = (state[..., i, :] for i in range(4))
    return out * jnp.tanh(last + (c - last) * jnp.exp(-decay * gap))


def log_softplus(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Log log(1 + exp(x)), which far below zero is x."""
    small = x < _FAR
    return jnp.where(small, x, jnp.log(jax.nn.softplus(jnp.where(small, 0.0, x))))
