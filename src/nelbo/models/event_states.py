"""What sets the intensity of a point process: a network, a sum over past events, or nothing."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, Key

from nelbo.distributions import (
    HawkesProcess,
    NeuralHawkesProcess,
    PointProcess,
    PoissonProcess,
    RmtppProcess,
    excitations,
    hidden_at,
)
from nelbo.nets import Dense

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
        read = Dense(read_key, hidden + latents, 2 + marks)
        # no slope at first: a random one makes intensities of long gaps overflow, and Adam remembers such gradients
        self.read = eqx.tree_at(lambda one: one.kernel, read, read.kernel.at[:, 1].set(0.0))

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


RECURRENT: dict[str, type[RecurrentStates] | type[DecayingStates]] = {
    "rmtpp": RecurrentStates,
    "neural-hawkes": DecayingStates,
}


def _states(cell: eqx.nn.GRUCell, inputs: Float[Array, "rows inputs"], first: Float[Array, " hidden"]) -> Array:
    """The state before each row."""

    def step(state: Array, row: Array) -> tuple[Array, Array]:
        return cell(row, state), state

    return jax.lax.scan(step, first, inputs)[1]
