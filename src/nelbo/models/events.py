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
    NeuralHawkesProcess,
    PointProcess,
    PoissonProcess,
    RmtppProcess,
    excitations,
    hidden_at,
)
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
_STRATA = 16  # of a gap, in each of which the intensity is read once


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


class DecayingStates(States):
    """The continuous-time LSTM of the neural Hawkes process (Mei and Eisner 2017, eq. 5 and 6).

    With latents of the user these set the first state, and are added to the intensities (Boyd et al. 2020).

    Args:
        gates: from mark and state to the seven gates.
        marks: an embedding of each mark, and of the beginning.
        start: from the latents to what is added to that of the beginning.
        read: from state and latents to the intensities of the marks, before their softplus.
    """

    gates: Dense
    marks: Float[Array, "more embedded"]
    start: Dense | None
    read: Dense

    def __init__(self, key: Key[Array, ""], marks: int, hidden: int, latents: int) -> None:
        gate_key, mark_key, start_key, read_key = jr.split(key, 4)
        self.gates = Dense(gate_key, 2 * hidden, 7 * hidden)
        self.marks = jr.normal(mark_key, (marks + 1, hidden), jnp.float32) / jnp.sqrt(jnp.float32(hidden))
        self.start = Dense(start_key, latents, hidden) if latents else None
        read = Dense(read_key, hidden + latents, marks)
        # one event a unit of time, of all marks together
        usual = jnp.full(marks, jnp.log(jnp.expm1(1.0 / marks)), jnp.float32)
        self.read = eqx.tree_at(lambda one: one.bias, read, usual)

    def __call__(self, value: Float[Array, "rows 2"], z: Float[Array, " latents"] | None) -> NeuralHawkesProcess:
        """The state before each row; where the intensity is read for its integral depends on the sequence and on z."""
        hidden, count = self.marks.shape[1], len(self.marks) - 1
        beside = jnp.zeros(0, jnp.float32) if z is None else z
        mark = jnp.where(value[:, 1] >= 0.0, jnp.clip(value[:, 1], 0, count - 1), count).astype(jnp.int32)
        begin = self.marks[count] + (0.0 if self.start is None else jnp.tanh(self.start(beside)))
        zero = jnp.zeros((4, hidden), jnp.float32)
        first = self._after(zero, begin, jnp.zeros((), jnp.float32))

        def step(state: Array, row: tuple[Array, Array]) -> tuple[Array, Array]:
            embedded, gap = row
            return self._after(state, embedded, gap), state

        states = jax.lax.scan(step, first, (self.marks[mark], value[:, 0]))[1]
        bias = self.read.bias + beside @ self.read.kernel[hidden:]
        offsets = jr.uniform(_key_of(value, beside), (len(value), _STRATA), jnp.float32)
        return NeuralHawkesProcess(states, self.read.kernel[:hidden], bias, offsets)

    def _after(
        self, state: Float[Array, "4 hidden"], mark: Float[Array, " hidden"], gap: Float[Array, ""]
    ) -> Float[Array, "4 hidden"]:
        """The state after an event, a gap after the one before."""
        c, last, decay, _ = state
        seen = jnp.concatenate([mark, hidden_at(state, gap[None])])
        raw = jnp.reshape(self.gates(seen), (7, -1))
        take, forget, out, take_last, forget_last = (jax.nn.sigmoid(raw[i]) for i in range(5))
        new, fading = jnp.tanh(raw[5]), jax.nn.softplus(raw[6])
        now = last + (c - last) * jnp.exp(-decay * gap)
        return jnp.stack([forget * now + take * new, forget_last * last + take_last * new, fading, out])


def _key_of(*arrays: Array) -> Key[Array, ""]:
    """A key of these numbers: other numbers, such as another draw of latents, have another one.

    Densities are functions of their values and have no key of their own.
    """
    key = jr.key(0)
    for array in arrays:
        total = jax.lax.stop_gradient((array * jnp.arange(1.0, array.size + 1.0).reshape(array.shape)).sum())
        key = jr.fold_in(key, jax.lax.bitcast_convert_type(total, jnp.uint32))
    return key


_RECURRENT: dict[str, type[RecurrentStates] | type[DecayingStates]] = {
    "rmtpp": RecurrentStates,
    "neural-hawkes": DecayingStates,
}


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
    """Point process of the events of users, all of whom are alike.

    Args:
        key: for the weights.
        shape: of one sequence: events x 2.
        process: "rmtpp" (a recurrent network, Du et al. 2016), "neural-hawkes" (a network whose state decays between
            events, Mei and Eisner 2017; its integral is estimated), "hawkes" (events excite events) or "poisson".
        state_size: size of the network's state.
        marks: how many kinds of events there are.

    Raises:
        InputError: an unknown process, or a size that makes no sense.
    """
    choice("point process", process, PROCESSES)
    rows, state_size, marks = _sizes(shape, state_size, marks)
    zero = jnp.zeros((), jnp.float32)
    if process in _RECURRENT:
        states: States = _RECURRENT[process](key, marks, state_size, 0)
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
        latents: of each user.
        intensity: "rmtpp" (a recurrent network, Du et al. 2016) or "neural-hawkes" (one whose state decays between
            events, Mei and Eisner 2017; its integral is estimated).
        experts: how many of the user's other sequences q is a mixture over, one normal for each (the sequence itself is
            not seen, and without others q is the prior); 0: q reads the sequence itself.
        state_size: size of the networks' states.
        marks: how many kinds of events there are.

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
    layer = EventLayer(_RECURRENT[intensity](state_key, marks, state_size, latents), rows, latent=True)
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
