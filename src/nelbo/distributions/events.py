"""Marked temporal point processes of one sequence: when events happen, and of which kind they are.

A sequence is an array of `(events + 1, 2)`: the gap before each event [units of time] and its mark; the last row in use
is what passed after the last event, up to the end of the observation, with the mark -1. Rows that are not observed are
padding, behind all others; of a sequence whose beginning nobody knows the gap of the first row is not observed, but its
mark is. With the intensity lam(t | history) of all marks together,

    log p = sum_i log lam(t_i) - integral_0^T lam(t) dt + sum_i log p(k_i | history)   [nats].

Every process is piecewise: between two events its intensity is that of a state which the event before has set. Here its
integral over a gap is a closed form; see `NeuralHawkesProcess` for one that is not.
"""

from abc import abstractmethod
from typing import Any

import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Bool, Float, Int, Key
from numpyro.distributions import constraints

from nelbo.distributions.elementary import Marginalizable

END = -1.0  # the mark of the row after the last event


class PointProcess(Marginalizable):
    """Abstract: a marked point process whose states are given for each row."""

    support: Any = constraints.real_matrix

    @abstractmethod
    def mark_logits(self, gap: Float[Array, " rows"]) -> Float[Array, "rows marks"]:
        """Logits of the marks of an event a gap after the event before each row."""

    @abstractmethod
    def log_intensity(self, gap: Float[Array, " rows"]) -> Float[Array, " rows"]:
        """Log of the intensity a gap after the event before each row."""

    @abstractmethod
    def integral(self, gap: Float[Array, " rows"]) -> Float[Array, " rows"]:
        """The integral of the intensity over the gap of each row: Exp(1) at the gaps that it makes itself (the
        time-rescaling theorem).
        """

    @abstractmethod
    def next_gap(self, key: Key[Array, ""], row: Int[Array, ""]) -> Float[Array, ""]:
        """A draw of the gap before the event of a row; infinite where none comes."""

    def log_prob(self, value: Float[Array, "rows 2"]) -> Float[Array, ""]:  # pyright: ignore
        """Log density of a sequence without padding [nats]."""
        return self.observed_log_prob(value, jnp.ones(value.shape, bool))

    def observed_log_prob(self, value: Float[Array, "rows 2"], observed: Bool[Array, "rows 2"]) -> Float[Array, ""]:
        """Log density of the rows in use [nats]."""
        times, kinds = self.terms(value, observed)
        return (times + kinds).sum()

    def terms(
        self, value: Float[Array, "rows 2"], observed: Bool[Array, "rows 2"]
    ) -> tuple[Float[Array, " rows"], Float[Array, " rows"]]:
        """Log density of the time and of the mark of each row; zero of padding [nats]."""
        there = observed[:, 0]
        gap = jnp.where(there, value[:, 0], 0.0)
        event, marked = there & (value[:, 1] >= 0.0), observed[:, 1] & (value[:, 1] >= 0.0)
        log_marks = jax.nn.log_softmax(self.mark_logits(gap), axis=-1)
        mark = jnp.clip(value[:, 1], 0, log_marks.shape[-1] - 1).astype(jnp.int32)
        kinds = jnp.take_along_axis(log_marks, mark[:, None], 1)[:, 0]
        times = jnp.where(event, self.log_intensity(gap), 0.0) - jnp.where(there, self.integral(gap), 0.0)
        return times, jnp.where(marked, kinds, 0.0)

    def residuals(
        self, value: Float[Array, "rows 2"], observed: Bool[Array, "rows 2"]
    ) -> tuple[Float[Array, " rows"], Bool[Array, " rows"]]:
        """The integral over the gap before each event, and which rows are events: independent Exp(1) draws where the
        process is that of the data (Brown et al. 2002).
        """
        event = observed[:, 0] & (value[:, 1] >= 0.0)
        return jnp.where(event, self.integral(jnp.where(event, value[:, 0], 0.0)), 0.0), event

    def sample(self, key: Key[Array, ""], sample_shape: tuple[int, ...] = ()) -> Float[Array, "..."]:  # pyright: ignore
        """Nothing: later states depend on earlier draws.

        Raises:
            NotImplementedError: always; see `nelbo.models.EventSequence`.
        """
        raise NotImplementedError("A point process is simulated event by event.")


class MarkedApart(PointProcess):
    """Abstract: a process whose marks depend on what happened before, but not on the gap."""

    marks: Float[Array, "rows marks"]

    def mark_logits(self, gap: Float[Array, " rows"]) -> Float[Array, "rows marks"]:
        """Whatever the gap."""
        del gap
        return self.marks


class PoissonProcess(MarkedApart):
    """Events at a constant rate, whatever happened before.

    Args:
        log_rate: `()`.
        marks: logits of the kinds for each row.
    """

    arg_constraints = {"log_rate": constraints.real, "marks": constraints.real_matrix}

    def __init__(self, log_rate: Float[Array, ""], marks: Float[Array, "rows marks"]) -> None:
        self.log_rate, self.marks = log_rate, marks
        super().__init__(event_shape=(marks.shape[0], 2), validate_args=False)

    def log_intensity(self, gap: Float[Array, " rows"]) -> Float[Array, " rows"]:
        """The log rate."""
        return jnp.broadcast_to(self.log_rate, gap.shape)

    def integral(self, gap: Float[Array, " rows"]) -> Float[Array, " rows"]:
        """Rate times gap."""
        return jnp.exp(self.log_rate) * gap

    def next_gap(self, key: Key[Array, ""], row: Int[Array, ""]) -> Float[Array, ""]:
        """An exponential draw."""
        del row
        return jr.exponential(key, (), self.log_rate.dtype) * jnp.exp(-self.log_rate)


class RmtppProcess(MarkedApart):
    """lam(t) = exp(level + slope (t - t_i)) after event i (Du et al. 2016, eq. 11 and 12).

    Args:
        level: of each row.
        slope: of each row; negative where an event makes others likely soon.
        marks: logits of the kinds for each row.
    """

    arg_constraints = {"level": constraints.real_vector, "slope": constraints.real_vector, "marks": constraints.real_matrix}  # fmt: skip  # noqa: E501

    def __init__(
        self, level: Float[Array, " rows"], slope: Float[Array, " rows"], marks: Float[Array, "rows marks"]
    ) -> None:
        self.level, self.slope, self.marks = level, slope, marks
        super().__init__(event_shape=(marks.shape[0], 2), validate_args=False)

    def log_intensity(self, gap: Float[Array, " rows"]) -> Float[Array, " rows"]:
        """Level + slope * gap."""
        return self.level + self.slope * gap

    def integral(self, gap: Float[Array, " rows"]) -> Float[Array, " rows"]:
        """exp(level) (exp(slope gap) - 1) / slope, which is exp(level) gap at slope 0."""
        x = self.slope * gap
        small = jnp.abs(x) < 1e-3
        growth = jnp.where(small, 1.0 + 0.5 * x, jnp.expm1(jnp.where(small, 1.0, x)) / jnp.where(small, 1.0, x))
        return jnp.exp(self.level) * gap * growth

    def next_gap(self, key: Key[Array, ""], row: Int[Array, ""]) -> Float[Array, ""]:
        """By inversion."""
        return next_gap(key, self.level[row], self.slope[row], jnp.asarray(jnp.inf, self.level.dtype))


class HawkesProcess(MarkedApart):
    """lam(t) = base + excited * exp(-decay (t - t_i)) after event i: events excite those that follow (Hawkes 1971).

    Args:
        log_base: log of the rate without events, `()`.
        excited: of each row, what earlier events have left, `excitations` of them.
        log_decay: log of the rate at which it fades, `()`.
        marks: logits of the kinds for each row.
    """

    arg_constraints = {
        "log_base": constraints.real,
        "excited": constraints.independent(constraints.nonnegative, 1),
        "log_decay": constraints.real,
        "marks": constraints.real_matrix,
    }

    def __init__(
        self,
        log_base: Float[Array, ""],
        excited: Float[Array, " rows"],
        log_decay: Float[Array, ""],
        marks: Float[Array, "rows marks"],
    ) -> None:
        self.log_base, self.excited, self.log_decay, self.marks = log_base, excited, log_decay, marks
        super().__init__(event_shape=(marks.shape[0], 2), validate_args=False)

    def log_intensity(self, gap: Float[Array, " rows"]) -> Float[Array, " rows"]:
        """See the class."""
        return jnp.log(jnp.exp(self.log_base) + self.excited * jnp.exp(-jnp.exp(self.log_decay) * gap))

    def integral(self, gap: Float[Array, " rows"]) -> Float[Array, " rows"]:
        """Base * gap + excited (1 - exp(-decay gap)) / decay."""
        decay = jnp.exp(self.log_decay)
        return jnp.exp(self.log_base) * gap - self.excited * jnp.expm1(-decay * gap) / decay

    def next_gap(self, key: Key[Array, ""], row: Int[Array, ""]) -> Float[Array, ""]:
        """By thinning: the intensity falls from what it is right after an event."""
        base, left, decay = jnp.exp(self.log_base), self.excited[row], jnp.exp(self.log_decay)
        log_intensity = lambda t: jnp.log(base + left * jnp.exp(-decay * t))  # noqa: E731
        return thinned(key, log_intensity, base + left, jnp.asarray(jnp.inf, base.dtype))


def excitations(
    gap: Float[Array, " rows"], log_jump: Float[Array, ""], log_decay: Float[Array, ""]
) -> Float[Array, " rows"]:
    """What events before each row have left right after the last of them, by the recursion of Ogata (1981).

    E_1 = 0 before the first event, E_{i+1} = E_i exp(-decay gap_i) + jump.

    Args:
        gap: before each event.
        log_jump: log of what an event adds.
        log_decay: log of the rate at which it fades.
    """

    def step(left: Array, gap: Array) -> tuple[Array, Array]:
        return left * jnp.exp(-jnp.exp(log_decay) * gap) + jnp.exp(log_jump), left

    return jax.lax.scan(step, jnp.zeros((), gap.dtype), gap)[1]


def next_gap(
    key: Key[Array, ""], level: Float[Array, ""], slope: Float[Array, ""], horizon: Float[Array, ""]
) -> Float[Array, ""]:
    """The gap to the next event of lam(t) = exp(level + slope t), by inversion; infinite where it is past a horizon.

    Args:
        key: for the draw.
        level: of the log intensity.
        slope: of it.
        horizon: after which nothing is asked for.
    """
    wanted = jr.exponential(key, (), level.dtype) * jnp.exp(-level)
    x = slope * wanted
    small = jnp.abs(x) < 1e-3
    # a falling intensity has a finite integral: what is beyond it never comes
    never = x <= -1.0
    inside = jnp.log1p(jnp.where(small | never, 1.0, x)) / jnp.where(small, 1.0, slope)
    gap = jnp.where(small, wanted * (1.0 - 0.5 * x), inside)
    return jnp.where(never | (gap > horizon), jnp.inf, gap)


def thinned(
    key: Key[Array, ""], log_intensity: Any, bound: Float[Array, ""], horizon: Float[Array, ""], most: int = 1000
) -> Float[Array, ""]:
    """The gap to the next event by Ogata's thinning (1981); infinite where there is none before the horizon.

    Args:
        key: for the draws.
        log_intensity: of the gap `()`.
        bound: an upper bound of the intensity over the horizon.
        horizon: how far to look.
        most: candidates; after so many the last one stands.
    """

    def go_on(carry: tuple[Array, Array, Array]) -> Array:
        time, done, tried = carry
        return ~done & (time < horizon) & (tried < most)

    def step(carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        time, _, tried = carry
        gap_key, keep_key = jr.split(jr.fold_in(key, tried))
        time = time + jr.exponential(gap_key, (), bound.dtype) / bound
        kept = jr.uniform(keep_key, (), bound.dtype) * bound < jnp.exp(log_intensity(time))
        return time, kept, tried + 1

    start = jnp.zeros((), bound.dtype), jnp.zeros((), bool), jnp.zeros((), jnp.int32)
    time, _, _ = jax.lax.while_loop(go_on, step, start)
    return jnp.where(time < horizon, time, jnp.inf)
