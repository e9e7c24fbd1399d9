"""Restricted Boltzmann machines and deep belief networks against enumeration of all units."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from scipy.special import expit, logsumexp
from zoo import randomized

from nelbo.core import InputError
from nelbo.evaluation import ladder, log_normalizer, normalized
from nelbo.models import RestrictedBoltzmann, dbn, first_machine, rbm, with_log_normalizer
from nelbo.objectives import tempered_kernel
from nelbo.samplers import run_chain

VISIBLE, HIDDEN, DRAWS = 4, 3, 20_000


def states(count):
    return ((np.arange(2**count)[:, None] >> np.arange(count)) & 1).astype(np.float32)


def machine(visible=VISIBLE, hidden=HIDDEN, scale=1.0, sweeps=100):
    arrays = [scale * jr.normal(jr.key(i), shape) for i, shape in enumerate([(visible,), (visible, hidden), (hidden,)])]
    return RestrictedBoltzmann(*arrays, None, sweeps)


def log_joint(node):
    """v.W h + b.v + c.h of all states, in float64: rows are v, columns h."""
    b, w, c = (np.asarray(a, np.float64) for a in (node.logits, node.weight, node.bias))
    v, h = states(len(b)).astype(float), states(len(c)).astype(float)
    return (v @ b)[:, None] + v @ w @ h.T + (h @ c)[None]


def law(node):
    """p(v) of all states."""
    return np.exp(logsumexp(log_joint(node), 1) - logsumexp(log_joint(node)))


@jax.jit
def log_probs(node, v):
    return jax.vmap(node.log_prob)(v), jax.vmap(lambda x: node.conditional(x).mean)(v)


@pytest.mark.parametrize("sizes", [(4, 3), (3, 5)])
def test_probabilities_and_conditionals_are_those_of_the_joint_law(sizes):
    """With log Z by the states of either layer."""
    node = machine(*sizes)
    v = states(sizes[0])
    found, units = (np.asarray(a, float) for a in log_probs(node, jnp.asarray(v)))
    np.testing.assert_allclose(found, np.log(law(node)), rtol=1e-5, atol=1e-5)
    flipped = np.arange(len(v))[:, None] ^ (1 << np.arange(sizes[0]))
    p = law(node)
    one = np.where(v > 0.5, p[:, None], p[flipped])
    np.testing.assert_allclose(units, one / (p[:, None] + p[flipped]), rtol=1e-4)


def transition(node):
    """T(v' | v) of block Gibbs from the conditionals that the kernel draws from."""
    v, h = jnp.asarray(states(VISIBLE)), jnp.asarray(states(HIDDEN))

    def table(logits, bits):
        p = expit(np.asarray(logits, np.float64))
        return np.where(np.asarray(bits)[None] > 0.5, p[:, None], 1.0 - p[:, None]).prod(-1)

    return table(node.hidden_logits(v), h) @ table(node.visible_logits(h), v)


def test_block_gibbs_is_in_detailed_balance():
    """And a kernel with other biases is not, so that the test can fail."""
    node = machine()
    flow = law(node)[:, None] * transition(node)
    np.testing.assert_allclose(flow, flow.T, atol=1e-7)
    other = RestrictedBoltzmann(node.logits + 0.1, node.weight, node.bias)
    wrong = law(node)[:, None] * transition(other)
    assert np.abs(wrong - wrong.T).max() > 1e-4


def test_a_step_draws_from_the_transition_matrix():
    """A chi-square statistic with 15 degrees of freedom above 56 comes once in a million seeds."""
    node, start = machine(), states(VISIBLE)[5]
    kernel = node.gibbs()
    ends = jax.jit(jax.vmap(lambda k: kernel.step(k, jnp.asarray(start))[0]))(jr.split(jr.key(1), DRAWS))
    assert chi_square(ends, transition(node)[5]) < 56.0


def chi_square(drawn, exact):
    which = np.asarray(drawn, int).reshape(len(drawn), -1) @ (1 << np.arange(VISIBLE))
    counts, possible = np.bincount(which, minlength=2**VISIBLE), exact > 1e-12
    assert counts[~possible].sum() == 0
    return ((counts - len(drawn) * exact)[possible] ** 2 / (len(drawn) * exact[possible])).sum()


@pytest.mark.slow
def test_samples_and_completions_come_of_converged_chains():
    """As above; with two entries held 3 degrees of freedom, above 27 once in 170,000 seeds."""
    node = machine()
    drawn = jax.jit(lambda k: node.sample(k, (DRAWS,)))(jr.key(2))
    assert chi_square(drawn, law(node)) < 56.0
    x, known = jnp.asarray(states(VISIBLE)[6]), jnp.asarray([True, False, True, False])
    draw = jax.jit(jax.vmap(lambda k: node.complete(k, x, known, 60)))
    filled, means = draw(jr.split(jr.key(3), DRAWS))
    agrees = (states(VISIBLE) == np.asarray(x))[:, np.asarray(known)].all(1)
    exact = law(node) * agrees / (law(node) * agrees).sum()
    assert chi_square(filled, exact) < 27.0
    means = np.asarray(means, float)
    error = means.std(0) / np.sqrt(DRAWS) + 1e-6
    assert (np.abs(means.mean(0) - exact @ states(VISIBLE)) / error).max() < 5.0


@pytest.mark.slow
def test_exchanging_chains_keep_the_law_at_every_temperature():
    """As above, at the highest and the middle of five temperatures."""
    node = machine()
    kernel = tempered_kernel(node, 5)

    def one(key):
        return run_chain(key, kernel, jnp.zeros((5, VISIBLE)), 30)[0]

    ends = jax.jit(jax.vmap(one))(jr.split(jr.key(4), 4000))
    assert chi_square(ends[:, -1], law(node)) < 56.0
    middle = RestrictedBoltzmann(node.logits, 0.5 * node.weight, 0.5 * node.bias)
    assert chi_square(ends[:, 2], law(middle)) < 56.0


@pytest.fixture(scope="module")
def wide():
    """22 visible units, too many to enumerate with as many hidden ones, of which only 12 are connected."""
    node = machine(22, 12, 0.6, 200)
    padded = [jnp.concatenate([a, jnp.zeros((*a.shape[:-1], 10))], -1) for a in (node.weight, node.bias)]
    return node, RestrictedBoltzmann(node.logits, *padded, None, 200)


@pytest.mark.slow
def test_annealing_finds_log_z_from_both_sides(wide):
    """Within 0.05 nats of a sum over 2^12 states; each hidden unit without weights adds log 2."""
    node, padded = wide
    exact = log_normalizer(jr.key(0), node)
    b, w, c = (np.asarray(a, np.float64) for a in (node.logits, node.weight, node.bias))
    h = states(12).astype(float)
    assert exact.log_z == pytest.approx(logsumexp(h @ c + np.logaddexp(0.0, b + h @ w.T).sum(1)), abs=1e-3)
    assert (exact.method, exact.standard_error, exact.reverse) == ("enumeration", 0.0, None)
    found = log_normalizer(jr.key(1), padded, temperatures=1000)
    truth = exact.log_z + 10 * np.log(2.0)
    assert found.method == "annealing"
    assert abs(found.log_z - truth) < 0.05
    assert abs(found.reverse - truth) < 0.05
    assert 0.0 < found.standard_error < 0.02


def test_a_machine_that_cannot_be_enumerated_needs_log_z():
    model = rbm(jr.key(0), (22,), hidden=(21,), init=0.1, sample_sweeps=5)
    with pytest.raises(InputError, match="estimate it"):
        jax.eval_shape(model.log_prob, jnp.zeros(22))
    filled = with_log_normalizer(model, 3.0)
    node = model.generative.root(0)
    assert float(filled.log_prob(jnp.ones(22))) == pytest.approx(float(node.log_unnormalized(jnp.ones(22))) - 3.0)
    with pytest.raises(InputError, match="no Boltzmann machine"):
        with_log_normalizer(eqx.tree_at(lambda m: m.generative, model, randomized_sbn().generative), 0.0)


def randomized_sbn():
    from nelbo.models import sbn

    return sbn(jr.key(0), (4,), layers=(3,))


def test_ladders_have_the_published_shares():
    betas = ladder(14500)
    assert (len(betas), betas[500], betas[4500], betas[-1]) == (14501, 0.5, pytest.approx(0.9), 1.0)
    assert len(ladder(29)) == 30
    with pytest.raises(InputError, match="at least 29"):
        ladder(28)


def deep_log_probs(model):
    """log p(v) of all states of a deep belief network, by its tables in float64."""
    down, top = model.generative.layers[0].net.layers[0], model.generative.root(1)
    h, v = states(len(np.asarray(down.kernel))).astype(float), states(len(np.asarray(down.bias))).astype(float)
    a = h @ np.asarray(down.kernel, np.float64) + np.asarray(down.bias, np.float64)
    given = v @ a.T - np.logaddexp(0.0, a).sum(1)
    return logsumexp(given + np.log(law(top)), axis=1)


@jax.jit
def deep_found(model, v):
    return jax.vmap(model.log_prob)(v)


def test_a_deep_belief_network_is_that_of_its_tables():
    model = randomized(dbn(jr.key(0), (6,), layers=(4, 3)), jr.key(1), 1.0)
    found = np.asarray(deep_found(model, jnp.asarray(states(6))), float)
    np.testing.assert_allclose(found, deep_log_probs(model), rtol=1e-4, atol=1e-4)
    assert np.exp(found).sum() == pytest.approx(1.0, abs=1e-4)


def test_a_tied_second_layer_leaves_the_first_machine_as_it_is():
    """p(v) = sum_h1 p(v | h1) p(h1), with p(h1) of the machine upside down; of p(v) of that machine upright."""
    model = dbn(jr.key(0), (6,), layers=(4, 6), init=1.0, centre=jnp.full(6, 0.3))
    first = first_machine(model)
    np.testing.assert_allclose(deep_found(model, jnp.asarray(states(6))), np.log(law(first)), rtol=1e-4, atol=1e-4)


def test_log_z_of_a_deep_belief_network_is_that_of_its_top():
    model = randomized(dbn(jr.key(0), (6,), layers=(4, 3)), jr.key(1), 1.0)
    filled, found = normalized(jr.key(2), model)
    assert found.log_z == pytest.approx(logsumexp(log_joint(model.generative.root(1))), abs=1e-4)
    assert float(filled.generative.root(1).log_z()) == pytest.approx(found.log_z)
    assert normalized(jr.key(2), randomized_sbn())[1] is None
