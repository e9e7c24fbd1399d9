"""Monte Carlo EM against the exact gradient of log p(x) and against maximum likelihood."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import oracles
import pytest
import zoo

from nelbo.core import InputError
from nelbo.data import Split, source
from nelbo.models import linear
from nelbo.nets import trainable
from nelbo.objectives import MonteCarloEM, ObjectiveState
from nelbo.training import fit, optimizer


def flat(tree):
    return jnp.concatenate([jnp.ravel(leaf) for leaf in jax.tree.leaves(tree)])


@eqx.filter_jit
def gradients(model, x, keys, trajectories):
    """Gradients of p's parameters, by one chain of each key; and that of -log p(x)."""
    params, static = eqx.partition(model, trainable(model))
    state = ObjectiveState(carried=jnp.log(jnp.asarray(0.3, jnp.float32)))

    def loss(params, key):
        objective = MonteCarloEM(trajectories=trajectories, leapfrogs=5)
        return objective(key, eqx.combine(params, static), x[None], state)[0].surrogate

    each = jax.vmap(lambda key: flat(jax.grad(loss)(params, key).generative))(keys)
    return each, flat(jax.grad(lambda p: -eqx.combine(p, static).log_prob(x))(params).generative)


@pytest.mark.share(2)
@pytest.mark.parametrize(("trajectories", "right"), [(30, True), (1, False)])
def test_the_gradient_is_that_of_the_evidence(trajectories, right):
    """Fisher: E over p(z|x) of the gradient of log p(x, z) is that of log p(x), whatever q, once chains forget it.

    H0: equal means of each coordinate, |z| < 5, false alarm 1e-5. One trajectory from the wrong q does not forget it.
    """
    case = zoo.linear_gaussian()
    each, exact = gradients(case.model, case.examples[0], jr.split(jr.key(0), 2000), trajectories)
    z = (each.mean(0) - exact) / (each.std(0) / jnp.sqrt(2000.0))
    assert (np.abs(z[jnp.abs(exact) > 0]).max() < 5) == right


@pytest.mark.slow
def test_the_step_size_follows_the_acceptance():
    case = zoo.linear_gaussian()
    objective = MonteCarloEM(trajectories=2, leapfrogs=3)

    @jax.jit
    def run(key):
        def body(state, k):
            loss, state = objective(k, case.model, jnp.repeat(case.batch, 20, 0), state)
            return state, loss.metrics["acceptance"]

        return jax.lax.scan(body, objective.init(key, case.model), jr.split(key, 80))[1]

    assert 0.85 < float(run(jr.key(0))[40:].mean()) < 0.95


@pytest.mark.slow
def test_probabilistic_pca_reaches_maximum_likelihood():
    """Log p(x) of the trained model is within 0.5 % of its maximum (Tipping and Bishop 1999), never above."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(500, 2)) @ rng.normal(size=(2, 6)) * 1.5 + 0.5 * rng.normal(size=(500, 6)) + rng.normal(size=6)
    x = x.astype(np.float32)
    _, best = oracles.ppca_optimum(x, 2)
    steps = 3000
    with jax.numpy_dtype_promotion("standard"):  # optax mixes floats with its integer step count
        result = fit(
            jr.key(0),
            linear(jr.key(1), (6,), latents=2),
            MonteCarloEM(),
            source(Split(x), "real"),
            optimizer("adam", learning_rate=0.01, schedule="cosine", steps=steps),
            steps=steps,
            batch_size=100,
            evaluate_every=steps,
            chunk=steps,
        )
    reached = np.mean([zoo.gaussian_log_evidence(result.model, row) for row in x])
    assert best - 0.005 * abs(best) < reached <= best + 1e-6


def test_what_it_cannot_train_is_refused():
    with pytest.raises(InputError, match="discrete"):
        MonteCarloEM().init(jr.key(0), zoo.belief_network().model)
    with pytest.raises(InputError, match="at least one"):
        MonteCarloEM(trajectories=0)
