"""Linear-Gaussian state-space models over irregular times: the Kalman filter and smoother, linear in time.

Sarkka and Solin, Applied Stochastic Differential Equations (2019), chapters 10 and 12. The smoother is the one of
Durbin and Koopman (2012, section 4.4), which inverts no covariance of states, so float32 is enough where steps are
short. States are stationary: s_0 ~ N(0, P), s_{t+1} = A_t s_t + N(0, P - A_t P A_t'). What is observed is
y_t = W H s_t + N(0, diag(1 / precision_t)), of which entries with precision zero are not observed.
"""

import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, Key

from nelbo.priors.kernels import Kernel, block_diagonal

_RIDGE = 1e-6  # relative, on covariances that are factored: in float32 they are not positive to the last digit


class Chain(eqx.Module):
    """A stationary Markov chain of states at given times.

    Args:
        transitions: A_t from each time to the next, `(n, size, size)`; the last one is not used.
        covariance: P of every state.
        outputs: H, from a state to the functions' values.
    """

    transitions: Float[Array, "*latents n size size"]
    covariance: Float[Array, "*latents size size"]
    outputs: Float[Array, "*latents functions size"]

    def noise(self) -> Float[Array, "n size size"]:
        """The covariance of the noise of each step, P - A P A'."""
        spread = self.transitions @ self.covariance @ self.transitions.mT
        return self.covariance[None] - spread

    def sample(self, key: Key[Array, ""]) -> Float[Array, "n functions"]:
        """The functions' values of one draw of the chain."""
        size = len(self.covariance)
        ridge = _RIDGE * jnp.eye(size, dtype=self.covariance.dtype)
        roots = jnp.linalg.cholesky(self.noise() + ridge[None])
        first = jnp.linalg.cholesky(self.covariance + ridge)
        eps = jr.normal(key, (len(self.transitions), size), self.covariance.dtype)

        def step(state: Array, given: tuple[Array, Array, Array]) -> tuple[Array, Array]:
            transition, root, noise = given
            return transition @ state + root @ noise, state

        rolled = jnp.concatenate([eps[1:], jnp.zeros_like(eps[:1])])
        _, states = jax.lax.scan(step, first @ eps[0], (self.transitions, roots, rolled))
        return states @ self.outputs.T

    def beside(self, other: "Chain") -> "Chain":
        """Both chains as one, independent of each other."""
        return Chain(
            block_diagonal(self.transitions, other.transitions),
            block_diagonal(self.covariance, other.covariance),
            block_diagonal(self.outputs, other.outputs),
        )


def chain(kernel: Kernel, times: Float[Array, " n"]) -> Chain:
    """One chain for each latent of a Markov kernel, as one module whose arrays have latents in front.

    Args:
        kernel: Markov.
        times: increasing.

    Raises:
        InputError: a kernel that is not Markov.
    """
    state = kernel.state()
    steps = jnp.concatenate([jnp.diff(times), jnp.ones(1, times.dtype)])
    transitions = jnp.moveaxis(jax.vmap(state.transition)(steps), 0, 1)
    latents = len(state.covariance)
    outputs = jnp.broadcast_to(state.output[None], (latents, 1, len(state.output)))
    return Chain(transitions, state.covariance, outputs)


def joined(chains: Chain) -> Chain:
    """The chains of several latents, latents in front, as one chain of all their states."""
    parts = [jax.tree.map(lambda leaf, i=i: leaf[i], chains) for i in range(len(chains.covariance))]
    whole = parts[0]
    for other in parts[1:]:
        whole = whole.beside(other)
    return whole


class Filtered(eqx.Module):
    """What the Kalman filter found.

    Args:
        mean: of each state given what was observed before its time.
        covariance: of the same.
        spread: P r of the state with each channel's row r of W H, given what was observed before it.
        gain: one over the variance of each innovation; zero where nothing is observed.
        innovation: of each channel, given what was observed before it.
        rows: W H.
        log_evidence: log p of what was observed [nats].
    """

    mean: Float[Array, "n size"]
    covariance: Float[Array, "n size size"]
    spread: Float[Array, "n channels size"]
    gain: Float[Array, "n channels"]
    innovation: Float[Array, "n channels"]
    rows: Float[Array, "channels size"]
    log_evidence: Float[Array, ""]


def kalman_filter(
    chain: Chain,
    y: Float[Array, "n channels"],
    precision: Float[Array, "n channels"],
    weight: Float[Array, "channels functions"],
) -> Filtered:
    """Run over the times once, O(n channels size^2 + n size^3).

    Channels are taken in one by one (Durbin and Koopman 2012, section 6.4), which inverts no matrix: it compiles in a
    fraction of the time, and loses no digits where the noise is small.

    Args:
        chain: of the states.
        y: what was observed, centred; not read where the precision is zero.
        precision: of each entry, one over the variance of its noise; zero where it is not observed.
        weight: W.
    """
    rows = weight @ chain.outputs
    y = jnp.where(precision > 0.0, y, 0.0)

    def channel(carry: tuple[Array, Array], given: tuple[Array, ...]) -> tuple[tuple[Array, Array], tuple[Array, ...]]:
        mean, covariance = carry
        row, value, one = given
        spread = covariance @ row
        gain = one / (1.0 + one * (row @ spread))
        innovation = jnp.where(one > 0.0, value - row @ mean, 0.0)
        after = mean + spread * (gain * innovation), covariance - gain * spread[:, None] * spread[None, :]
        return after, (spread, gain, innovation)

    def step(carry: tuple[Array, Array], given: tuple[Array, ...]) -> tuple[tuple[Array, Array], tuple[Array, ...]]:
        transition, noise, values, ones = given
        (mean, covariance), found = _through(channel, carry, (rows, values, ones))
        ahead = transition @ mean, transition @ covariance @ transition.T + noise
        return ahead, (*carry, *found)

    start = jnp.zeros_like(chain.covariance[0]), chain.covariance
    parts = (chain.transitions, chain.noise(), y, precision)
    _, (means, covariances, spreads, gains, innovations) = jax.lax.scan(step, start, parts)
    seen = gains > 0.0
    log_gain = jnp.log(jnp.where(seen, gains, 1.0)) - math.log(2.0 * math.pi)
    log_p = 0.5 * jnp.where(seen, log_gain - gains * innovations**2, 0.0).sum()
    return Filtered(means, covariances, spreads, gains, innovations, rows, log_p)


def kalman_smoother(
    chain: Chain, found: Filtered
) -> tuple[Float[Array, "n functions"], Float[Array, "n functions functions"]]:
    """The functions given all that was observed: their means and their covariances at each time."""
    h = chain.outputs

    def channel(carry: tuple[Array, Array], given: tuple[Array, ...]) -> tuple[tuple[Array, Array], None]:
        pull, weight = carry
        row, spread, gain, innovation = given
        pull = pull + row * gain * (innovation - spread @ pull)
        side = weight @ spread
        weight = weight - gain * (row[:, None] * side[None, :] + side[:, None] * row[None, :])
        weight = weight + gain * (1.0 + gain * (spread @ side)) * row[:, None] * row[None, :]
        return (pull, weight), None

    def step(carry: tuple[Array, Array], given: tuple[Array, ...]) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
        pull, weight = carry  # what later times pull the next state by, and how sure they are
        mean, covariance, transition, spreads, gains, innovations = given
        carry = transition.T @ pull, transition.T @ weight @ transition
        (pull, weight), _ = _through(channel, carry, (found.rows, spreads, gains, innovations), reverse=True)
        cross = h @ covariance
        variance = cross @ h.T - cross @ weight @ cross.T
        return (pull, weight), (h @ mean + cross @ pull, 0.5 * (variance + variance.T))

    start = jnp.zeros_like(found.mean[0]), jnp.zeros_like(found.covariance[0])
    parts = (found.mean, found.covariance, chain.transitions, found.spread, found.gain, found.innovation)
    return jax.lax.scan(step, start, parts, reverse=True)[1]


def _through(step: Any, carry: Any, given: tuple[Array, ...], *, reverse: bool = False) -> Any:
    """A scan over channels; of one alone the step itself, which compiles faster."""
    if len(given[0]) > 1:
        return jax.lax.scan(step, carry, given, reverse=reverse)
    carry, found = step(carry, tuple(part[0] for part in given))
    return carry, jax.tree.map(lambda leaf: leaf[None], found)
