"""Models against the NumPy oracles."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import oracles
import pytest
import zoo

from nelbo.models import (
    LIKELIHOODS,
    Amortized,
    BernoulliHead,
    Conditional,
    Model,
    Reads,
    Stack,
    Unconditional,
    likelihood_head,
    stop_gradient,
)
from nelbo.testing import assert_unbiased


@pytest.mark.parametrize("name", ["linear-gaussian", "linear-gaussian-masked", "linear-stack"])
def test_log_prob_of_every_node_is_the_oracles(name):
    case = zoo.MODELS[name]()
    oracle = zoo.gaussian_oracle(case.model)
    x = case.examples[0]
    z = tuple(jr.normal(jr.key(i), (size,)) for i, size in enumerate(oracle.sizes()[1:]))
    values, mask = np.asarray(zoo.as_example(x).values, np.float64), zoo._mask(x)
    if mask is not None:  # the oracle of fewer rows
        first = oracle.generative[0]
        oracle.generative[0] = oracles.Affine(first.weight[mask], first.bias[mask], first.scale[mask])
        values = values[mask]
    exact = oracle.log_joint(values, [np.asarray(node, np.float64) for node in z])
    np.testing.assert_allclose(eqx.filter_jit(case.model.generative.log_prob)(x, z), exact, rtol=1e-5)


def test_belief_network_terms_are_the_tables():
    case = zoo.belief_network()
    oracle, x = zoo.belief_oracle(case.model), case.examples[1]
    first, second = oracles.states(3), oracles.states(2)
    h1, h2 = np.repeat(first, 4, axis=0), np.tile(second, (8, 1))
    z = (jnp.asarray(h1, jnp.float32), jnp.asarray(h2, jnp.float32))
    log_p = jax.jit(jax.vmap(lambda *z: case.model.generative.log_prob(x, z).sum()))(*z)
    log_q = jax.jit(jax.vmap(lambda *z: case.model.recognition(x).log_prob(z).sum()))(*z)
    exact_p, exact_q = oracle.table(np.asarray(x, np.float64))
    np.testing.assert_allclose(log_p, exact_p, rtol=1e-5)
    np.testing.assert_allclose(log_q, exact_q, rtol=1e-5)
    assert np.exp(np.asarray(log_q, np.float64)).sum() == pytest.approx(1.0, rel=1e-5)


def test_samples_of_a_stack_have_the_joint_moments():
    """H0: mean and second moments of (x, z) are the dense normal's. |z| < 5, 54 coordinates: 3e-5 by chance."""
    case = zoo.linear_stack()
    mean, cov = zoo.gaussian_oracle(case.model).joint()
    draws = jax.jit(jax.vmap(case.model.generative.sample))(jr.split(jr.key(0), 20_000))
    x, z = draws
    nodes = np.concatenate([np.asarray(leaf, np.float64) for leaf in (x, *z)], axis=1)
    assert_unbiased(nodes, mean, what="E (x, z)")
    upper = np.triu_indices(len(mean))
    centred = nodes - mean
    assert_unbiased((centred[:, upper[0]] * centred[:, upper[1]]), cov[upper], what="Cov (x, z)")


def test_recognition_draws_have_the_chains_moments():
    """H0: mean and covariance of z ~ q(z|x) are the chain's. |z| < 5."""
    case = zoo.linear_stack()
    x = case.examples[0]
    layers = [zoo.affine(layer) for layer in case.model.recognition.layers]
    mean, cov = oracles.chain_posterior(layers, np.asarray(x, np.float64))
    z, _ = jax.jit(jax.vmap(case.model.recognition(x).sample_and_log_prob))(jr.split(jr.key(1), 20_000))
    nodes = np.concatenate([np.asarray(leaf, np.float64) for leaf in z], axis=1)
    assert_unbiased(nodes, mean, what="E z")
    upper = np.triu_indices(len(mean))
    assert_unbiased((nodes - mean)[:, upper[0]] * (nodes - mean)[:, upper[1]], cov[upper], what="Cov z")


@pytest.mark.share(3)
@pytest.mark.parametrize("name", ["linear-gaussian", "linear-stack", "belief-network"])
def test_closed_form_kl_is_the_mean_of_the_sampled_one(name):
    """H0: E[kl] = E[log q - log p] in every layer. |z| < 5 over 20000 paired draws."""
    case = zoo.MODELS[name]()
    x = case.examples[0]

    @jax.jit
    @jax.vmap
    def both(key):
        draw = case.model.draw(key, x)
        return case.model.kl(draw) - (draw.log_q - draw.log_p[1:])

    differences = np.asarray(both(jr.split(jr.key(2), 20_000)))
    assert_unbiased(differences, np.zeros(differences.shape[1]), what="kl - (log q - log p)", slack=1e-5)
    assert differences[:, -1].std() > 0.1  # the top layer's is the closed form, and not the sample itself


@pytest.mark.parametrize("parent", ["nearest", "furthest", "all"])
def test_a_conditional_sees_the_parent_it_names(parent):
    seen = []
    conditional = Conditional(lambda h: (seen.append(h), jnp.zeros(2))[1], BernoulliHead((2,)), Reads(parent))
    conditional((jnp.array([1.0, 2.0]), jnp.array([[3.0]])))
    expected = {"nearest": [1.0, 2.0], "furthest": [[3.0]], "all": [1.0, 2.0, 3.0]}[parent]
    np.testing.assert_array_equal(seen[0], np.array(expected))


def test_stop_gradient_keeps_the_numbers_and_cuts_the_slopes():
    case = zoo.linear_gaussian()
    x = case.examples[0]

    def log_q(model):
        return model.recognition(x).log_prob((jnp.ones(2),)).sum()

    cut, whole = (
        eqx.filter_jit(eqx.filter_value_and_grad(f))(case.model) for f in (lambda m: log_q(stop_gradient(m)), log_q)
    )
    assert float(cut[0]) == float(whole[0])
    assert not any(np.any(leaf) for leaf in jax.tree.leaves(cut[1]))
    assert any(np.any(leaf) for leaf in jax.tree.leaves(whole[1]))


def test_a_model_without_latents_has_its_exact_likelihood_as_bound():
    model = Model(Stack((Unconditional(jnp.array([0.3, -2.0]), BernoulliHead((2,))),)), Amortized(()))
    x = jnp.array([1.0, 0.0])
    draw = model.draw(jr.key(0), x)
    assert (draw.z, model.kl(draw).shape) == ((), (0,))
    assert float(draw.log_w) == pytest.approx(oracles.bernoulli(np.array([1.0, 0.0]), np.array([0.3, -2.0])), rel=1e-6)


@pytest.mark.share(2)
@pytest.mark.parametrize("name", LIKELIHOODS)
def test_every_likelihood_gives_finite_terms_and_slopes_at_extreme_outputs(name):
    head = likelihood_head(name, (3,))
    top = LIKELIHOODS[name].scale
    x = jnp.array([0.0, 0.5 * top if name != "bernoulli" else 1.0, top])
    x = jnp.round(x) if top > 1.0 else x
    raw = jnp.asarray(np.outer([-20.0, 0.0, 20.0], np.ones(head.size)), jnp.float32)
    totals, slopes = jax.jit(jax.vmap(jax.value_and_grad(lambda raw: head(raw).log_prob(x).sum())))(raw)
    assert np.isfinite(totals).all()
    assert np.isfinite(slopes).all()
