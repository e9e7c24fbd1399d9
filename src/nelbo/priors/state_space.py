"""Linear-Gaussian state-space models over irregular times: the Kalman filter and smoother, linear in time.

Sarkka and Solin, Applied Stochastic Differential Equations (2019), chapters 10 and 12. The smoother is the one of
Durbin and Koopman (2012, section 4.4), which inverts no covariance of states, so float32 is enough where steps are
short. States are stationary: s_0 ~ N(0, P), s_{t+1} = A_t s_t + N(0, P - A_t P A_t'). What is observed is
y_t = W H s_t + N(0, diag(1 / precision_t)), of which entries with precision zero are not observed.
"""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jax.scipy.linalg import solve_triangular
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
        mean: of each state given what was observed before it.
        covariance: of the same.
        pull: H'W'F^-1 v, with v the innovation and F its covariance.
        information: H'W'F^-1 W H.
        log_evidence: log p of what was observed [nats].
    """

    mean: Float[Array, "n size"]
    covariance: Float[Array, "n size size"]
    pull: Float[Array, "n size"]
    information: Float[Array, "n size size"]
    log_evidence: Float[Array, ""]


def kalman_filter(
    chain: Chain,
    y: Float[Array, "n channels"],
    precision: Float[Array, "n channels"],
    weight: Float[Array, "channels functions"],
) -> Filtered:
    """Run over the times once, O(n size^3).

    An update is in the space of the channels or of the functions, whichever are fewer.

    Args:
        chain: of the states.
        y: what was observed, centred; not read where the precision is zero.
        precision: of each entry, one over the variance of its noise; zero where it is not observed.
        weight: W.
    """
    h, seen = chain.outputs, precision > 0.0
    noise = chain.noise()
    y = jnp.where(seen, y, 0.0)
    log_precision = jnp.where(seen, jnp.log(jnp.where(seen, precision, 1.0)) - math.log(2.0 * math.pi), 0.0)
    update = _by_channels if len(weight) <= weight.shape[1] else _by_functions

    def step(carry: tuple[Array, Array], given: tuple[Array, ...]) -> tuple[tuple[Array, Array], tuple[Array, ...]]:
        mean, covariance = carry
        transition, spread, value, one, constant = given
        cross = covariance @ h.T  # of the state and the functions
        back, reduced, terms = update(h @ cross, value - weight @ (h @ mean), one, weight)
        log_z = 0.5 * (constant.sum() - terms)
        new_mean = mean + cross @ back
        new_covariance = covariance - cross @ reduced @ cross.T
        new_covariance = 0.5 * (new_covariance + new_covariance.T)
        ahead = transition @ new_mean, transition @ new_covariance @ transition.T + spread
        return ahead, (mean, covariance, h.T @ back, h.T @ reduced @ h, log_z)

    start = jnp.zeros_like(chain.covariance[0]), chain.covariance
    parts = (chain.transitions, noise, y, precision, log_precision)
    _, (means, covariances, pulls, informations, terms) = jax.lax.scan(step, start, parts)
    return Filtered(means, covariances, pulls, informations, terms.sum())


def _by_channels(
    variance: Float[Array, "f f"], deviation: Float[Array, " c"], precision: Float[Array, " c"], weight: Array
) -> tuple[Float[Array, " f"], Float[Array, "f f"], Float[Array, ""]]:
    """W'F^-1 v, W'F^-1 W and v'F^-1 v + log |R^-1 F| with F = R + W V W', through the channels."""
    root = jnp.sqrt(precision)
    scaled = root[:, None] * weight
    inner = jnp.eye(len(root), dtype=root.dtype) + scaled @ variance @ scaled.T
    lower = jnp.linalg.cholesky(inner)
    white = solve_triangular(lower, root * deviation, lower=True)
    part = solve_triangular(lower, scaled, lower=True)
    return part.T @ white, part.T @ part, (white**2).sum() + 2.0 * jnp.log(jnp.diagonal(lower)).sum()


def _by_functions(
    variance: Float[Array, "f f"], deviation: Float[Array, " c"], precision: Float[Array, " c"], weight: Array
) -> tuple[Float[Array, " f"], Float[Array, "f f"], Float[Array, ""]]:
    """The same through the functions; no difference of large numbers is taken where the noise is small.

    W'F^-1 v = (I + J V)^-1 W'R^-1 v with J = W'R^-1 W, and v'F^-1 v = e'R^-1 e + b'V b where b is that and
    e = v - W V b what is left of v.
    """
    information = (weight.T * precision[None]) @ weight
    pull = weight.T @ (precision * deviation)
    inner = jnp.eye(len(information), dtype=pull.dtype) + information @ variance
    solved = jnp.linalg.solve(inner, jnp.concatenate([pull[:, None], information], 1))
    back, reduced = solved[:, 0], solved[:, 1:]
    left = deviation - weight @ (variance @ back)
    terms = (precision * left**2).sum() + back @ variance @ back + jnp.linalg.slogdet(inner)[1]
    return back, 0.5 * (reduced + reduced.T), terms


def kalman_smoother(
    chain: Chain, found: Filtered
) -> tuple[Float[Array, "n functions"], Float[Array, "n functions functions"]]:
    """The functions given all that was observed: their means and their covariances at each time."""
    h = chain.outputs

    def step(carry: tuple[Array, Array], given: tuple[Array, ...]) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
        later, weight = carry  # what later times pull the next state by, and how sure they are
        mean, covariance, pull, information, transition = given
        kept = transition - transition @ covariance @ information
        later = pull + kept.T @ later
        weight = information + kept.T @ weight @ kept
        cross = h @ covariance
        values = h @ mean + cross @ later
        spread = cross @ h.T - cross @ weight @ cross.T
        return (later, weight), (values, 0.5 * (spread + spread.T))

    start = jnp.zeros_like(found.mean[0]), jnp.zeros_like(found.covariance[0])
    parts = (found.mean, found.covariance, found.pull, found.information, chain.transitions)
    return jax.lax.scan(step, start, parts, reverse=True)[1]
