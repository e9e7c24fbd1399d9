"""Draws of latents given what is observed: proposals resampled by importance weights, and Hamiltonian moves."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, Int, Key

from nelbo.core import Example, log_mean_exp
from nelbo.models import Latents, Model
from nelbo.tasks.given import Given

LEAPFROGS = 8  # steps of one trajectory
_FIRST_STEP, _ACCEPTED, _LEARNING = 0.2, 0.7, 0.2  # step size, the share to be accepted, and how fast it is learned


class State(eqx.Module):
    """A completion and latents."""

    x: Array
    z: Latents


def resampled(
    key: Key[Array, ""], model: Model, given: Given, centres: Any, count: int, *, proposals: int
) -> tuple[State, Float[Array, ""], Array]:
    """Latents z_k ~ q(z | centre), and as many from the prior, resampled by importance weights.

    The weights are p(given, z) over the mixture of everything that was drawn from, so that they are bounded by
    2 p(given | z) whatever q is (the balance heuristic of Veach and Guibas 1995). The q of one completion alone is too
    narrow a proposal, as it takes a completion for data: its weights would have no variance.

    Args:
        key: for the draws.
        model: with its recognition model.
        given: the example.
        centres: examples, each with its q: completions, or what is observed alone.
        count: how many to choose.
        proposals: draws of q, shared out among the centres.

    Returns:
        The chosen ones, the effective share of the proposals, and the weighted mean of E[x | z] over all of them.
    """
    z_key, prior_key, choose_key, x_key = jr.split(key, 4)
    any_given = jnp.any(given.x.observed)
    number = jax.tree.leaves(centres)[0].shape[0]
    rounds = -(-proposals // number)

    def proposed(k: Key[Array, ""], centre: Example) -> Latents:
        posterior = model.recognition(centre)
        return jax.vmap(lambda one: posterior.sample(one)[0])(jr.split(k, rounds))

    def log_q(centre: Example) -> Float[Array, " proposals"]:
        posterior = model.recognition(centre)
        return jax.vmap(lambda each: posterior.log_prob(each).sum())(z)

    prior = jax.vmap(lambda k: model.generative.sample(k, given.x.context)[1])(jr.split(prior_key, proposals))
    drawn = jax.vmap(proposed)(jr.split(z_key, number), centres)
    drawn = jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:])[:proposals], drawn)
    z = jax.tree.map(lambda a, b: jnp.concatenate([a, b]), drawn, prior)
    log_p = jax.vmap(lambda each: given.log_prob(model.generative, each))(z)
    log_mixture = jnp.logaddexp(log_mean_exp(jax.vmap(log_q)(centres)), log_p[:, 1:].sum(1))
    log_w = log_p.sum(1) - log_mixture
    # with nothing given, draws from the prior and no others
    log_w = jnp.where(any_given, log_w, jnp.where(jnp.arange(2 * proposals) < proposals, -jnp.inf, 0.0))
    chosen = jr.categorical(choose_key, log_w, shape=(count,))
    weights = jax.nn.softmax(log_w)
    means = jax.vmap(lambda each: given.clean(given.likelihood(model.generative, each)).mean)(z)
    z = jax.tree.map(lambda leaf: leaf[chosen], z)
    complete = lambda k, one: given.completed(k, given.likelihood(model.generative, one))  # noqa: E731
    completed = jax.vmap(complete)(jr.split(x_key, count), z)
    share = 1.0 / (2 * proposals * (weights**2).sum())
    return State(completed, z), share, jnp.tensordot(weights, means, axes=1)


def hamiltonian(
    key: Key[Array, ""], model: Model, given: Given, z: Latents, *, steps: int
) -> tuple[State, Float[Array, ""], Array]:
    """A chain that leaves p(z | given) as it is, by trajectories of Hamiltonian dynamics (Neal 2011).

    The size of their steps is learned during the first half of the chain and then held.

    Args:
        key: for the chain.
        model: with real-valued latents.
        given: the example.
        z: where it starts.
        steps: trajectories.

    Returns:
        The last state, the share accepted, and the mean of E[x | z], both over the second half.
    """
    from blackjax.mcmc import hmc  # imports slowly, and only this needs it

    kernel: Any = hmc.build_kernel()
    chain_key, x_key = jr.split(key)

    def log_density(position: Latents) -> Float[Array, ""]:
        return given.log_prob(model.generative, position).sum()

    def latents(state: Any) -> Latents:
        return state.position

    unit = jnp.ones(sum(leaf.size for leaf in jax.tree.leaves(z)))
    learned = steps // 2

    def body(carry: tuple[Any, Array], i: Int[Array, ""]) -> tuple[tuple[Any, Array], tuple[Array, Array]]:
        state, log_step = carry
        move_key, jitter_key = jr.split(jr.fold_in(chain_key, i))
        size = jnp.exp(log_step) * jr.uniform(jitter_key, minval=0.8, maxval=1.2)  # so that no orbit closes
        state, info = kernel(move_key, state, log_density, size, unit, LEAPFROGS)
        accepted = jnp.where(jnp.isfinite(info.acceptance_rate), info.acceptance_rate, 0.0)
        log_step = log_step + jnp.where(i < learned, _LEARNING * (accepted - _ACCEPTED), 0.0)
        return (state, log_step), (accepted, given.clean(given.likelihood(model.generative, latents(state))).mean)

    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        start = hmc.init(z, log_density), jnp.log(jnp.asarray(_FIRST_STEP))
        (last, _), (accepted, means) = jax.lax.scan(body, start, jnp.arange(steps))
    x = given.completed(x_key, given.likelihood(model.generative, latents(last)))
    return State(x, latents(last)), accepted[learned:].mean(), means[learned:].mean(0)
