"""Annealed importance sampling: a chain that is led from one density to another, forward and in reverse."""

import math
from collections.abc import Callable, Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, Int, Key

from nelbo.core import InputError
from nelbo.samplers.kernel import Kernel, Position

Beta = Float[Array, ""]
LogRatio = Callable[[Beta, Beta, Position], Float[Array, ""]]
Transition = Callable[[Beta], Kernel]
_GAIN = 0.2  # of the logarithm of a step size, by what the acceptance is off at one temperature


class Annealed(eqx.Module):
    """What a chain brings back from its way, or a stack of chains.

    Args:
        log_weight: sum over the ladder of log p_new(x) - log p_old(x) at the x that was there when the temperature
            changed [nats], whichever way the chain went. Forward E exp(log_weight), and in reverse
            1 / E exp(-log_weight), is the ratio of the normalizing constants of the last and the first density.
        position: where the chain ends: near the last density, or in reverse near the first.
        accepted: mean acceptance of its moves.
    """

    log_weight: Float[Array, "*chains"]
    position: Position
    accepted: Float[Array, "*chains"]


def annealed(
    key: Key[Array, ""],
    position: Position,
    log_ratio: LogRatio,
    transition: Transition,
    betas: Float[Array, " rungs"],
    *,
    reverse: bool = False,
) -> Annealed:
    """Lead one chain along a ladder of densities p_beta; `jax.vmap` over keys and positions runs many.

    Forward, from a draw of p at betas[0]: at each rung the weight is taken first, at the position that the old density
    left, then the chain moves under the new density. With two rungs the weight is that of importance sampling from the
    first density. In reverse, from a draw of p at betas[-1]: the chain moves under the density that it leaves, then
    the weight is taken, so that the path is a forward path read backwards. That needs moves in detailed balance with
    p_beta (Hamiltonian, Metropolis-Hastings, block Gibbs of one of two blocks), and nothing in them may be learned on
    the way: see `learned_steps`.

    Source: Neal, Annealed importance sampling (2001); in reverse Grosse, Ghahramani and Adams, Sandwiching the marginal
    likelihood using bidirectional Monte Carlo (2015).

    Args:
        key: for the chain.
        position: an exact draw of the density where it starts.
        log_ratio: from an old and a new beta and a position to log p_new - log p_old there, neither normalized [nats].
            On a geometric path it is (new - old) (log p_1 - log p_0), which loses no digits.
        transition: from beta to a kernel that leaves p_beta as it is.
        betas: the ladder, from the first density to the last, whichever way the chain goes.
        reverse: start at the last one.
    """
    old, new = betas[:-1], betas[1:]

    def moved(k: Key[Array, ""], beta: Beta, at: Position) -> tuple[Position, Float[Array, ""]]:
        kernel = transition(beta)
        state, info = kernel.step(k, kernel.init(at))
        return kernel.position(state), info.accepted

    def body(
        carry: tuple[Position, Array, Array], rung: tuple[Int[Array, ""], Beta, Beta]
    ) -> tuple[tuple[Position, Array, Array], Array]:
        (at, total, lost), (i, low, high) = carry, rung
        move_key, accepted = jr.fold_in(key, i), jnp.zeros((), jnp.float32)
        if reverse:
            at, accepted = moved(move_key, high, at)
        # Kahan's sum: thousands of small terms would be rounded off against a large total
        term = log_ratio(low, high, at) - lost
        summed = total + term
        lost = (summed - total) - term
        if not reverse:
            at, accepted = moved(move_key, high, at)
        return (at, summed, lost), accepted

    zero = jnp.zeros((), jnp.float32)
    rungs = (jnp.arange(old.shape[0]), old, new)
    (end, total, _), accepted = jax.lax.scan(body, (position, zero, zero), rungs, reverse=reverse)
    return Annealed(total, end, accepted.mean())


def learned_steps(
    key: Key[Array, ""],
    positions: Position,
    transition: Callable[[Beta, Float[Array, ""]], Kernel],
    betas: Float[Array, " rungs"],
    *,
    first_step: float = 0.1,
    target: float = 0.65,
    longest: float = math.inf,
) -> Float[Array, " rungs"]:
    """Step sizes for the rungs of a ladder, from a pilot run of a few chains whose draws are thrown away.

    The logarithm of the step size follows the mean acceptance of the chains from rung to rung. Step sizes that were
    learned on the way of the chain itself would make its moves depend on its past, and the weights wrong.

    Args:
        key: for the pilot run, and for nothing else.
        positions: a stack of draws of the first density.
        transition: from beta and a step size to a kernel.
        betas: the ladder.
        first_step: where the search starts; it is settled at the first density before the ladder is climbed.
        target: acceptance.
        longest: step, where longer ones are all alike.

    Returns:
        A step size for each rung. Use `jnp.interp(beta, betas, steps)` in the transition.
    """
    count = jax.tree.leaves(positions)[0].shape[0]
    settle = jnp.full(30, betas[0])

    def body(
        carry: tuple[Position, Array], rung: tuple[Int[Array, ""], Beta]
    ) -> tuple[tuple[Position, Array], Float[Array, ""]]:
        (at, log_step), (i, beta) = carry, rung
        kernel = transition(beta, jnp.exp(log_step))

        def one(k: Key[Array, ""], start: Position) -> tuple[Position, Float[Array, ""]]:
            state, info = kernel.step(k, kernel.init(start))
            return kernel.position(state), info.accepted

        at, accepted = jax.vmap(one)(jr.split(jr.fold_in(key, i), count), at)
        longer = log_step + _GAIN * (accepted.mean() - target) / target
        return (at, jnp.minimum(longer, math.log(longest))), log_step

    path = jnp.concatenate([settle, betas])
    start = (positions, jnp.log(jnp.asarray(first_step, jnp.float32)))
    _, steps = jax.lax.scan(body, start, (jnp.arange(path.shape[0]), path))
    return jnp.exp(steps[settle.shape[0] :])


def linear_betas(temperatures: int) -> Float[np.ndarray, " rungs"]:
    """Evenly spaced: 0, 1/T, ..., 1.

    Raises:
        InputError: T is less than 1.
    """
    return np.linspace(0.0, 1.0, _checked(temperatures) + 1)


def sigmoid_betas(temperatures: int, sharpness: float = 4.0) -> Float[np.ndarray, " rungs"]:
    """Denser towards both ends: T + 1 betas from 0 to 1, a sigmoid over [-sharpness, sharpness] put on [0, 1].

    Source: Wu, Burda, Salakhutdinov and Grosse, On the quantitative analysis of decoder-based generative models (2017).

    Raises:
        InputError: T is less than 1.
    """
    from scipy.special import expit

    ends = expit(np.array([-sharpness, sharpness]))
    inside = expit(sharpness * np.linspace(-1.0, 1.0, _checked(temperatures) + 1))
    return (inside - ends[0]) / (ends[1] - ends[0])


def piecewise_betas(parts: Sequence[tuple[float, int]]) -> Float[np.ndarray, " rungs"]:
    """Evenly spaced in each part; that of Salakhutdinov and Murray (2008) is (0.5, 500), (0.9, 4000), (1.0, 10000).

    Args:
        parts: where each part ends, in rising order, and how many temperatures it has.

    Raises:
        InputError: no part, ends that do not rise, or a part without temperatures.
    """
    found, start = [0.0], 0.0
    for end, count in parts:
        if not start < end <= 1.0:
            raise InputError(f"The parts of a ladder must end at rising numbers up to 1, got {end} after {start}.")
        found += np.linspace(start, end, _checked(count) + 1)[1:].tolist()
        start = end
    if start != 1.0:
        raise InputError(f"The last part of a ladder must end at 1, got {start}.")
    return np.array(found)


def _checked(temperatures: int) -> int:
    if temperatures < 1:
        raise InputError(f"A ladder needs at least one temperature, got {temperatures}.")
    return temperatures
