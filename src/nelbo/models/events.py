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
    HawkesProcess,
    Marginalizable,
    PointProcess,
    PoissonProcess,
    RmtppProcess,
    excitations,
)
from nelbo.models.heads import NormalHead
from nelbo.models.layers import Conditional, Context, Latents, Layer, Reads, StandardNormal
from nelbo.models.parts import drawn_at_once, positive
from nelbo.models.recognition import Amortized, InputRule
from nelbo.models.spec import ModelSpec
from nelbo.models.stack import Model, Stack
from nelbo.nets import Dense, Network

PROCESSES = ("rmtpp", "hawkes", "poisson")


class States(eqx.Module):
    """Abstract: from the events before each row, and what is known of their user, to a process."""

    def __call__(self, value: Float[Array, "rows 2"], z: Float[Array, " latents"] | None) -> PointProcess:
        """The process of a sequence."""
        raise NotImplementedError


class PoissonStates(States):
    """A constant rate; marks by their frequency.

    Args:
        log_rate: of all marks together.
        logits: of the marks.
    """

    log_rate: Float[Array, ""]
    logits: Float[Array, " marks"]

    def __call__(self, value: Float[Array, "rows 2"], z: Float[Array, " latents"] | None) -> PoissonProcess:
        """Whatever happened."""
        del z
        return PoissonProcess(self.log_rate, jnp.broadcast_to(self.logits, (len(value), len(self.logits))))


class HawkesStates(States):
    """Every event excites those that follow, whatever its mark; marks by their frequency.

    Args:
        log_base: of the rate without events.
        log_jump: of what an event adds.
        log_decay: of the rate at which it fades.
        logits: of the marks.
    """

    log_base: Float[Array, ""]
    log_jump: Float[Array, ""]
    log_decay: Float[Array, ""]
    logits: Float[Array, " marks"]

    def __call__(self, value: Float[Array, "rows 2"], z: Float[Array, " latents"] | None) -> HawkesProcess:
        """By Ogata's recursion."""
        del z
        excited = excitations(value[:, 0], self.log_jump, self.log_decay)
        marks = jnp.broadcast_to(self.logits, (len(value), len(self.logits)))
        return HawkesProcess(self.log_base, excited, self.log_decay, marks)


class RecurrentStates(States):
    """RMTPP (Du et al. 2016): a gated recurrent network reads the events; level, slope and marks are linear in it.

    With latents of the user these are beside the state, and set its beginning (Boyd et al. 2020, section 3.1).

    Args:
        cell: the network.
        marks: an embedding of each mark, and of none before the first event.
        start: from the latents to the first state.
        read: from state and latents to level, slope and logits of the marks.
    """

    cell: eqx.nn.GRUCell
    marks: Float[Array, "more embedded"]
    start: Dense | None
    read: Dense

    def __init__(self, key: Key[Array, ""], marks: int, hidden: int, latents: int) -> None:
        cell_key, mark_key, start_key, read_key = jr.split(key, 4)
        self.cell = eqx.nn.GRUCell(hidden + 1, hidden, key=cell_key)
        self.marks = jr.normal(mark_key, (marks + 1, hidden), jnp.float32) / jnp.sqrt(jnp.float32(hidden))
        self.start = Dense(start_key, latents, hidden) if latents else None
        self.read = Dense(read_key, hidden + latents, 2 + marks)

    def __call__(self, value: Float[Array, "rows 2"], z: Float[Array, " latents"] | None) -> RmtppProcess:
        """The state before each row."""
        state = jnp.zeros(self.cell.hidden_size, jnp.float32)
        beside = jnp.zeros(0, jnp.float32) if z is None else z
        if self.start is not None:
            state = jnp.tanh(self.start(beside))
        return self._process(_states(self.cell, self.read_in(value), state), beside)

    def read_in(self, value: Float[Array, "rows 2"]) -> Float[Array, "rows inputs"]:
        """Each event as the cell takes it."""
        count = len(self.marks) - 1
        mark = jnp.where(value[:, 1] >= 0.0, jnp.clip(value[:, 1], 0, count - 1), count).astype(jnp.int32)
        return jnp.concatenate([self.marks[mark], jnp.log1p(value[:, :1])], 1)

    def _process(self, states: Float[Array, "rows hidden"], beside: Float[Array, " latents"]) -> RmtppProcess:
        whole = jnp.concatenate([states, jnp.broadcast_to(beside, (len(states), len(beside)))], 1)
        raw = whole @ self.read.kernel + self.read.bias[None]
        return RmtppProcess(raw[:, 0], raw[:, 1], raw[:, 2:])


def _states(cell: eqx.nn.GRUCell, inputs: Float[Array, "rows inputs"], first: Float[Array, " hidden"]) -> Array:
    """The state before each row."""

    def step(state: Array, row: Array) -> tuple[Array, Array]:
        return cell(row, state), state

    return jax.lax.scan(step, first, inputs)[1]


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
            mark = jr.categorical(mark_key, process.marks[row]).astype(value.dtype)
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
    """Point process of the events of users, all of whom are alike.

    Args:
        key: for the weights.
        shape: of one sequence: events x 2.
        process: "rmtpp" (a recurrent network, Du et al. 2016), "hawkes" (events excite events) or "poisson".
        state_size: size of the network's state.
        marks: how many kinds of events there are.

    Raises:
        InputError: an unknown process, or a size that makes no sense.
    """
    choice("point process", process, PROCESSES)
    rows, state_size, marks = _sizes(shape, state_size, marks)
    zero = jnp.zeros((), jnp.float32)
    if process == "rmtpp":
        states: States = RecurrentStates(key, marks, state_size, 0)
    elif process == "hawkes":
        states = HawkesStates(zero - 0.7, zero - 0.7, zero, jnp.zeros(marks, jnp.float32))
    else:
        states = PoissonStates(zero, jnp.zeros(marks, jnp.float32))
    spec = ModelSpec.of("point-process", shape=tuple(shape), process=process, state_size=state_size, marks=marks)
    return Model(Stack((EventLayer(states, rows, latent=False),)), Amortized(()), spec)


@drawn_at_once
def events(
    key: Key[Array, ""], shape: Sequence[int], *, latents: int = 8, state_size: int = 32, marks: int = 1
) -> Model:
    """Point process of the events of users with latents for each user (Boyd et al. 2020), by RMTPP.

    Args:
        key: for the weights.
        shape: of one sequence: events x 2.
        latents: of each user.
        state_size: size of the networks' states.
        marks: how many kinds of events there are.

    Raises:
        InputError: a size that makes no sense.
    """
    rows, state_size, marks = _sizes(shape, state_size, marks)
    (latents,) = positive("latents", (latents,))
    state_key, encoder_key = jr.split(key)
    code = NormalHead((latents,))
    layer = EventLayer(RecurrentStates(state_key, marks, state_size, latents), rows, latent=True)
    recognition = Amortized(
        (Conditional(EventEncoder(encoder_key, marks, state_size, code.size), code),), InputRule(missing="mask")
    )
    spec = ModelSpec.of("events", shape=tuple(shape), latents=latents, state_size=state_size, marks=marks)
    return Model(Stack((layer, StandardNormal(latents))), recognition, spec)


def _sizes(shape: Sequence[int], state_size: int, marks: int) -> tuple[int, int, int]:
    if len(shape) != 2 or shape[1] != 2 or shape[0] < 1:
        raise InputError(f"A model of events takes sequences of events x 2 (gap, mark), got the shape {list(shape)}.")
    (state_size,), (marks,) = positive("state_size", (state_size,)), positive("marks", (marks,))
    return shape[0], state_size, marks
