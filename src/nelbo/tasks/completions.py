"""Completions of one example: by chains, by weighted proposals, and by Hamiltonian dynamics."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, Int, Key

from nelbo.core import Example, log_mean_exp
from nelbo.distributions import Completable
from nelbo.models import Latents, Model
from nelbo.samplers import Hamiltonian, Independence, WeightedState, run_chain
from nelbo.tasks.evidence import Evidence


class Completion(eqx.Module):
    """A whole example and the latents that it was drawn from; or a stack of them."""

    x: Array
    z: Latents


class Completions(eqx.Module):
    """What a method gives for one example.

    Args:
        drawn: a stack of completions.
        mean: E[x | what is given].
        accepted: share of the proposals accepted, or the effective share of them.
    """

    drawn: Completion
    mean: Array
    accepted: Float[Array, ""]


def prior_completion(key: Key[Array, ""], model: Model, evidence: Evidence) -> Completion:
    """Latents from the model's prior, and what is not known given them."""
    z_key, x_key = jr.split(key)
    _, z = model.generative.sample(z_key, evidence.x.context)
    return Completion(evidence.completed(x_key, model.generative, z), z)


def gibbs_step(
    key: Key[Array, ""], model: Model, evidence: Evidence, state: Completion, *, corrected: bool
) -> tuple[Completion, Float[Array, ""]]:
    """One move of z given the completion, then of what is not known of x given z; also whether z was moved."""
    z_key, x_key = jr.split(key)
    whole = Example(state.x, context=evidence.x.context)

    def propose(k: Key[Array, ""]) -> WeightedState:
        draw = model.draw(k, whole)
        return WeightedState(draw.z, draw.log_w)

    def log_weight(z: Latents) -> Array:
        return model.generative.log_prob(whole, z).sum() - model.posterior(whole).log_prob(z).sum()

    if corrected:
        kernel = Independence(propose, log_weight)
        moved, info = kernel.step(z_key, kernel.init(state.z))
        z, accepted = kernel.position(moved), info.accepted
    else:
        z, accepted = propose(z_key).position, jnp.ones((), jnp.float32)
    # with nothing observed the start is an exact draw already: keep its z
    some = jnp.any(evidence.read)
    z = jax.tree.map(lambda new, old: jnp.where(some, new, old), z, state.z)
    return Completion(evidence.completed(x_key, model.generative, z), z), jnp.where(some, accepted, 0.0)


def chains(
    key: Key[Array, ""], model: Model, evidence: Evidence, count: int, *, steps: int, corrected: bool
) -> Completions:
    """The last states of independent chains from the prior; the mean is that of E[x | z] over them."""

    def one(k: Key[Array, ""]) -> tuple[Completion, Array]:
        start_key, step_key = jr.split(k)

        def body(state: Completion, i: Int[Array, ""]) -> tuple[Completion, Array]:
            return gibbs_step(jr.fold_in(step_key, i), model, evidence, state, corrected=corrected)

        return jax.lax.scan(body, prior_completion(start_key, model, evidence), jnp.arange(steps))

    states, accepted = jax.vmap(one)(jr.split(key, count))
    mean = jax.vmap(lambda z: evidence.hidden(model.generative, z).mean)(states.z).mean(0)
    return Completions(states, mean, accepted.mean())


def frames(key: Key[Array, ""], model: Model, evidence: Evidence, steps: int, *, corrected: bool) -> Array:
    """The start of one chain, then E[x | z] in the missing entries after each of its steps."""
    start_key, step_key = jr.split(key)
    first = prior_completion(start_key, model, evidence)

    def body(state: Completion, i: Int[Array, ""]) -> tuple[Completion, Array]:
        state, _ = gibbs_step(jr.fold_in(step_key, i), model, evidence, state, corrected=corrected)
        return state, evidence.filled(evidence.hidden(model.generative, state.z).mean)

    _, after = jax.lax.scan(body, first, jnp.arange(steps))
    return jnp.concatenate([first.x[None], after])


def resampled(
    key: Key[Array, ""], model: Model, evidence: Evidence, centres: Example, count: int, *, proposals: int
) -> Completions:
    """Latents z_k ~ q(z | centre), and as many from the prior, resampled by importance weights.

    The weights are p(given, z) over the mixture of everything that was drawn from, so that they are bounded by
    2 p(given | z) whatever q is (the balance heuristic of Veach and Guibas 1995). The q of one completion alone is too
    narrow a proposal, as it takes a completion for data: its weights would have no variance.

    Args:
        key: for the draws.
        model: with its recognition model.
        evidence: the example.
        centres: a stack of examples, each with its q: completions, or what is observed alone.
        count: how many to choose.
        proposals: draws of q, shared out among the centres.

    Returns:
        The chosen ones, the weighted mean of E[x | z] over all of them, and the effective share of the proposals.
    """
    z_key, prior_key, choose_key, x_key = jr.split(key, 4)
    number = jax.tree.leaves(centres)[0].shape[0]
    rounds = -(-proposals // number)

    def proposed(k: Key[Array, ""], centre: Example) -> Latents:
        posterior = model.posterior(centre)
        return jax.vmap(lambda one: posterior.sample(one)[0])(jr.split(k, rounds))

    def log_q(centre: Example) -> Float[Array, " proposals"]:
        posterior = model.posterior(centre)
        return jax.vmap(lambda each: posterior.log_prob(each).sum())(z)

    prior = jax.vmap(lambda k: model.generative.sample(k, evidence.x.context)[1])(jr.split(prior_key, proposals))
    drawn = jax.vmap(proposed)(jr.split(z_key, number), centres)
    drawn = jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:])[:proposals], drawn)
    z = jax.tree.map(lambda a, b: jnp.concatenate([a, b]), drawn, prior)
    log_p = jax.vmap(lambda each: evidence.log_prob(model.generative, each))(z)
    # a chain that ran away ends in no number: neither its q nor draws of it count
    log_mixture = jnp.logaddexp(log_mean_exp(_or_nothing(jax.vmap(log_q)(centres))), log_p[:, 1:].sum(1))
    log_w = _or_nothing(log_p.sum(1) - log_mixture)
    # with nothing given, draws from the prior and no others
    of_prior = jnp.where(jnp.arange(2 * proposals) < proposals, -jnp.inf, 0.0)
    log_w = jnp.where(jnp.any(evidence.read), log_w, of_prior)
    chosen = jr.categorical(choose_key, log_w, shape=(count,))
    weights = jax.nn.softmax(log_w)
    means = jax.vmap(lambda each: evidence.hidden(model.generative, each).mean)(z)
    z = jax.tree.map(lambda leaf: leaf[chosen], z)
    x = jax.vmap(lambda k, one: evidence.completed(k, model.generative, one))(jr.split(x_key, count), z)
    share = 1.0 / (2 * proposals * (weights**2).sum())
    taken = weights.reshape(-1, *(1,) * (means.ndim - 1)) != 0.0  # so that no weight makes NaN of it
    mean = jnp.tensordot(weights, jnp.where(taken, means, 0.0), axes=1)
    return Completions(Completion(x, z), mean, share)


def _or_nothing(logs: Float[Array, "*n"]) -> Float[Array, "*n"]:
    """Logarithms, with that of zero where there is none."""
    return jnp.where(jnp.isnan(logs), -jnp.inf, logs)


def conditional(key: Key[Array, ""], node: Completable, evidence: Evidence, count: int, *, steps: int) -> Completions:
    """Draws of what is not known by the distribution of the example itself, for models without latents.

    The mean is that of the probabilities which the entries were drawn with.
    """

    def one(k: Key[Array, ""]) -> tuple[Array, Array]:
        return node.complete(k, evidence.x.values, evidence.known, steps)

    drawn, means = jax.vmap(one)(jr.split(key, count))
    return Completions(Completion(drawn, ()), means.mean(0), jnp.ones((), jnp.float32))


def hamiltonian(key: Key[Array, ""], model: Model, evidence: Evidence, starts: Latents, *, steps: int) -> Completions:
    """Chains that leave p(z | what is given) as it is, by trajectories of Hamiltonian dynamics.

    Args:
        key: for the chains.
        model: with real-valued latents.
        evidence: the example.
        starts: a stack of latents, one chain from each.
        steps: trajectories; step sizes are learned during the first half of them.

    Returns:
        The last states, the mean of E[x | z] over the second halves, and the share accepted in them.
    """
    learned = steps // 2
    kernel = Hamiltonian(lambda z: evidence.log_prob(model.generative, z).sum(), warmup=learned)

    def gather(total: Array, i: Int[Array, ""], z: Latents) -> Array:
        mean = evidence.hidden(model.generative, z).mean
        return total + jnp.where(i < learned, jnp.zeros_like(mean), mean)

    def one(k: Key[Array, ""], z: Latents) -> tuple[Completion, Array, Array]:
        chain_key, x_key = jr.split(k)
        empty = jnp.zeros_like(evidence.x.values)
        state, accepted, total = run_chain(chain_key, kernel, z, steps, gather, empty)
        last: Any = kernel.position(state)
        x = evidence.completed(x_key, model.generative, last)
        return Completion(x, last), total / (steps - learned), accepted[learned:].mean()

    count = jax.tree.leaves(starts)[0].shape[0]
    drawn, means, accepted = jax.vmap(one)(jr.split(key, count), starts)
    return Completions(drawn, means.mean(0), accepted.mean())
