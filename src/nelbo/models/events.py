"""Models of events: point processes whose states a recurrent network, a sum over past events, or nothing gives."""

from collections.abc import Sequence
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Bool, Float, Key
from numpyro.distributions import constraints

from nelbo.core import InputError, choice
from nelbo.distributions import (
    END,
    Marginalizable,
    PointProcess,
)
from nelbo.models.event_states import RECURRENT, HawkesStates, PoissonStates, RecurrentStates, States
from nelbo.models.experts import Experts
from nelbo.models.heads import NormalHead
from nelbo.models.layers import Conditional, Context, Latents, Layer, Reads, StandardNormal
from nelbo.models.parts import drawn_at_once, positive
from nelbo.models.recognition import Amortized, InputRule, Recognition
from nelbo.models.spec import ModelSpec
from nelbo.models.stack import Model, Stack
from nelbo.nets import Dense, Network

INTENSITIES = ("rmtpp", "neural-hawkes")
PROCESSES = (*INTENSITIES, "hawkes", "poisson")


class EventSequence(Marginalizable):
    """The distribution of one sequence, whose states are read out of the sequence itself.

    Args:
        states: see `States`.
        z: latents of the user; None: there are none.
        rows: of the sequence.
    """

    support: Any = constraints.real_matrix
    arg_constraints: dict[str, Any] = {}
    pytree_data_fields = ("states", "z")

    def __init__(self, states: States, z: Float[Array, " latents"] | None, rows: int) -> None:
        self.states, self.z = states, z
        super().__init__(event_shape=(rows, 2), validate_args=False)

    def process(self, value: Float[Array, "rows 2"]) -> PointProcess:
        """The process given the events themselves."""
        return self.states(value, self.z)

    def observed_log_prob(self, value: Float[Array, "rows 2"], observed: Bool[Array, "rows 2"]) -> Float[Array, ""]:
        """Log density of the rows in use [nats]."""
        return self.process(jnp.where(observed[:, 1:], value, 0.0)).observed_log_prob(value, observed)

    def log_prob(self, value: Float[Array, "rows 2"]) -> Float[Array, ""]:  # pyright: ignore
        """Of a sequence without padding [nats]."""
        return self.process(value).log_prob(value)

    @property
    def mean(self) -> Array:
        """Nothing.

        Raises:
            InputError: always: sequences of events have no mean.
        """
        raise InputError("Sequences of events have no mean: ask for the next events of users (`nelbo forecast`).")

    @property
    def variance(self) -> Array:
        """As the mean.

        Raises:
            InputError: always.
        """
        return self.mean

    def sample(self, key: Key[Array, ""], sample_shape: tuple[int, ...] = ()) -> Float[Array, "..."]:  # pyright: ignore
        """A sequence, event by event; where nothing more comes rows are the mark END after no time.

        Raises:
            NotImplementedError: several at once.
        """
        if sample_shape:
            raise NotImplementedError("Draw a sequence once for each key.")
        first = jnp.zeros(self.event_shape, jnp.float32).at[:, 1].set(END)

        def step(value: Array, row: Array) -> tuple[Array, None]:
            gap_key, mark_key = jr.split(jr.fold_in(key, row))
            process = self.process(value)
            gap = process.next_gap(gap_key, row)
            waited = jnp.full(len(value), jnp.where(jnp.isinf(gap), 0.0, gap))
            mark = jr.categorical(mark_key, process.mark_logits(waited)[row]).astype(value.dtype)
            ended = jnp.isinf(gap) | ((row > 0) & (value[row - 1, 1] < 0.0))
            event = jnp.where(ended, jnp.asarray([0.0, END], value.dtype), jnp.stack([gap, mark]))
            return value.at[row].set(event), None

        return jax.lax.scan(step, first, jnp.arange(self.event_shape[0]))[0]


class EventLayer(Layer):
    """p(sequence | z).

    Args:
        states: see `States`.
        rows: of a sequence.
        latent: whether there are latents of the user.
    """

    states: States
    rows: int = eqx.field(static=True)
    latent: bool = eqx.field(static=True)
    conditioned: ClassVar[bool] = False
    direct_weight: ClassVar[None] = None
    is_linear_gaussian: ClassVar[bool] = False

    @property
    def reads(self) -> Reads:
        """The latents, where there are some."""
        return Reads.NEAREST if self.latent else Reads.NONE

    def __call__(self, parents: Latents, context: Context = None) -> EventSequence:
        """The distribution of one sequence."""
        del context
        return EventSequence(self.states, parents[0] if self.latent else None, self.rows)


class EventEncoder(Network):
    """From a sequence, its mask beside it, to a flat array: a recurrent network's last state, read out."""

    states: RecurrentStates
    read: Dense

    def __init__(self, key: Key[Array, ""], marks: int, hidden: int, out: int) -> None:
        state_key, read_key = jr.split(key)
        self.states, self.read = RecurrentStates(state_key, marks, hidden, 0), Dense(read_key, hidden, out)

    def __call__(
        self, x: Float[Array, "rows 4"], context: Float[Array, " given"] | None = None
    ) -> Float[Array, " out"]:
        """Apply to one sequence; padding changes nothing."""
        del context
        inputs = self.states.read_in(x[:, :2])

        def step(state: Array, row: tuple[Array, Array]) -> tuple[Array, None]:
            given, there = row
            return jnp.where(there > 0.0, self.states.cell(given, state), state), None

        start = jnp.zeros(self.states.cell.hidden_size, jnp.float32)
        return self.read(jax.lax.scan(step, start, (inputs, x[:, 3]))[0])

    @property
    def matrix(self) -> None:
        """It is no matrix."""
        return


@drawn_at_once
def point_process(
    key: Key[Array, ""], shape: Sequence[int], *, process: str = "rmtpp", state_size: int = 32, marks: int = 1
) -> Model:
    """Point process of the events of users, with the same parameters for all users.

    Args:
        key: for the weights.
        shape: of one sequence: events x 2.
        process: "rmtpp" (a recurrent network, Du et al. 2016), "neural-hawkes" (a network whose state decays between
            events, Mei and Eisner 2017; its integral is estimated), "hawkes" (events excite events) or "poisson".
        state_size: size of the state of the network.
        marks: number of kinds of events.

    Raises:
        InputError: an unknown process, or a size that makes no sense.
    """
    choice("point process", process, PROCESSES)
    rows, state_size, marks = _sizes(shape, state_size, marks)
    zero = jnp.zeros((), jnp.float32)
    if process in RECURRENT:
        states: States = RECURRENT[process](key, marks, state_size, 0)
    elif process == "hawkes":
        states = HawkesStates(zero - 0.7, zero - 0.7, zero, jnp.zeros(marks, jnp.float32))
    else:
        states = PoissonStates(zero, jnp.zeros(marks, jnp.float32))
    spec = ModelSpec.of("point-process", shape=tuple(shape), process=process, state_size=state_size, marks=marks)
    return Model(Stack((EventLayer(states, rows, latent=False),)), Amortized(()), spec)


@drawn_at_once
def events(
    key: Key[Array, ""],
    shape: Sequence[int],
    *,
    latents: int = 8,
    intensity: str = "rmtpp",
    experts: int = 0,
    state_size: int = 32,
    marks: int = 1,
) -> Model:
    """Point process of the events of users with latents for each user (Boyd et al. 2020).

    Args:
        key: for the weights.
        shape: of one sequence: events x 2.
        latents: number of latents of each user.
        intensity: "rmtpp" (a recurrent network, Du et al. 2016) or "neural-hawkes" (one whose state decays between
            events, Mei and Eisner 2017; its integral is estimated).
        experts: number of the user's other sequences that q sees, as a mixture with one normal for each. It does not
            see the sequence itself, and is the prior for users without other sequences; 0: q sees the sequence itself.
        state_size: size of the networks' states.
        marks: number of kinds of events.

    Raises:
        InputError: a size that makes no sense.
    """
    rows, state_size, marks = _sizes(shape, state_size, marks)
    (latents,) = positive("latents", (latents,))
    choice("intensity", intensity, INTENSITIES)
    if experts < 0:
        raise InputError(f"experts is a number of other sequences, got {experts}: give 0 for none.")
    state_key, encoder_key = jr.split(key)
    code = NormalHead((latents,))
    layer = EventLayer(RECURRENT[intensity](state_key, marks, state_size, latents), rows, latent=True)
    recognition: Recognition = Amortized(
        (Conditional(EventEncoder(encoder_key, marks, state_size, code.size), code),), InputRule(missing="mask")
    )
    recognition = Experts(recognition) if experts else recognition
    spec = ModelSpec.of("events", shape=tuple(shape), latents=latents, intensity=intensity, experts=experts,
                        state_size=state_size, marks=marks)  # fmt: skip
    return Model(Stack((layer, StandardNormal(latents))), recognition, spec)


def _sizes(shape: Sequence[int], state_size: int, marks: int) -> tuple[int, int, int]:
    if len(shape) != 2 or shape[1] != 2 or shape[0] < 1:
        raise InputError(f"A model of events takes sequences of events x 2 (gap, mark), got the shape {list(shape)}.")
    (state_size,), (marks,) = positive("state_size", (state_size,)), positive("marks", (marks,))
    return shape[0], state_size, marks
