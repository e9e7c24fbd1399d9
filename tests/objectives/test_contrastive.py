"""Contrastive divergence against the exact gradient, its schedules, and greedy training of a deep belief network."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
import pytest
from zoo import randomized

from nelbo.core import Example, InputError
from nelbo.data import Source
from nelbo.models import dbn, first_machine, rbm
from nelbo.nets import trainable
from nelbo.objectives import ContrastiveDivergence, Greedy, NegativePhase, ObjectiveState, pseudo_log_likelihood
from nelbo.training import fit, optimizer

SIZE, ROWS = 4, 4000
DATA = jr.bernoulli(jr.key(9), 0.3, (ROWS, SIZE)).astype(jnp.float32)


def source(values):
    return Source(Example(values), "binary", dynamic=False)


def gradient(objective, model, state, steps=1):
    """The mean gradient over some steps with the model held, and the last state."""
    params, static = eqx.partition(model, trainable(model))

    @jax.jit
    def run(params, carried, key):
        def one(carried, k):
            def loss(p):
                found, after = objective(k, eqx.combine(p, static), DATA, ObjectiveState(None, carried))
                return found.surrogate, after.carried

            slopes, carried = jax.grad(loss, has_aux=True)(params)
            return carried, slopes

        carried, slopes = jax.lax.scan(one, carried, jr.split(key, steps))
        return jax.tree.map(lambda leaf: leaf.mean(0), slopes), carried

    return run(params, state.carried, jr.key(7))


def exact_gradient(model):
    params, static = eqx.partition(model, trainable(model))
    loss = lambda p: -jax.vmap(eqx.combine(p, static).log_prob)(DATA).mean()  # noqa: E731
    return jax.jit(jax.grad(loss))(params)


def largest(tree):
    return max(float(jnp.abs(leaf).max()) for leaf in jax.tree.leaves(tree))


def difference(one, other):
    return largest(jax.tree.map(lambda a, b: a - b, one, other))


@pytest.fixture(scope="module")
def model():
    return randomized(rbm(jr.key(0), (SIZE,), hidden=(3,)), jr.key(1), 1.0)


@pytest.mark.share(4)
@pytest.mark.parametrize("chains", ["data", "persistent", "tempered"])
def test_long_chains_give_the_exact_gradient(model, chains):
    """Each slope is a mean of at least 4000 draws in [0, 1]: 0.04 is at least 5 standard errors of 22 such means."""
    objective = ContrastiveDivergence(
        NegativePhase(chains, sweeps=60, last_sweeps=60, particles=ROWS, temperatures=3), decay=0.0
    )
    found, carried = gradient(objective, model, objective.init(jr.key(2), model))
    assert difference(found, exact_gradient(model)) < 0.04
    assert int(carried[0]) == 1


def test_one_sweep_is_biased_and_chains_that_persist_are_not(model):
    """So the test above can fail, and persistence helps where the model is held."""
    single = ContrastiveDivergence(NegativePhase("data"))
    exact = exact_gradient(model)
    biased, _ = gradient(single, model, single.init(jr.key(2), model))
    assert difference(biased, exact) > 0.06
    lasting = ContrastiveDivergence(NegativePhase("persistent", particles=ROWS))
    found, _ = gradient(lasting, model, lasting.init(jr.key(2), model), steps=60)
    assert difference(found, exact) < 0.03


def moments(model, v, mass):
    """Means of v and h, and the covariance of v with h, by plain sums."""
    node = model.generative.root(0)
    h = 1.0 / (1.0 + np.exp(-np.asarray(node.hidden_logits(v), float)))
    v, mass = np.asarray(v, float), np.asarray(mass, float) / np.sum(mass)
    return mass @ v, mass @ h, (mass[:, None] * v).T @ h - np.outer(mass @ v, mass @ h)


def test_the_enhanced_gradient_is_a_difference_of_covariances(model):
    """Of the machine in terms of units less the middle of their means; long chains, tolerance as above."""
    objective = ContrastiveDivergence(NegativePhase("data", sweeps=60, last_sweeps=60), centred=True)
    found, _ = gradient(objective, model, objective.init(jr.key(2), model))
    states = jnp.asarray([[n >> i & 1 for i in range(SIZE)] for n in range(2**SIZE)], jnp.float32)
    mass = np.exp(np.asarray(model.generative.root(0).log_unnormalized(states), float))
    (v, h, cov), (model_v, model_h, model_cov) = moments(model, DATA, np.ones(ROWS)), moments(model, states, mass)
    slope, layer = model_cov - cov, found.generative.layers[0]
    np.testing.assert_allclose(layer.head.weight, slope, atol=0.04)
    np.testing.assert_allclose(layer.raw, model_v - v - slope @ (h + model_h) / 2, atol=0.06)
    np.testing.assert_allclose(layer.head.bias, model_h - h - (v + model_v) @ slope / 2, atol=0.06)
    plain = exact_gradient(model).generative.layers[0].head.weight
    assert np.abs(slope - np.asarray(plain)).max() > 0.1


def test_decay_is_of_the_weights_alone(model):
    plain, decayed = ContrastiveDivergence(), ContrastiveDivergence(decay=0.5)
    first, _ = gradient(plain, model, plain.init(jr.key(2), model))
    second, _ = gradient(decayed, model, decayed.init(jr.key(2), model))
    moved = jax.tree.map(lambda a, b: a - b, second, first).generative.layers[0]
    np.testing.assert_allclose(moved.head.weight, 0.5 * model.generative.layers[0].head.weight, atol=1e-6)
    assert largest((moved.raw, moved.head.bias)) < 1e-6


@pytest.mark.slow
def test_the_number_of_sweeps_rises_over_the_run(model):
    """Chains that are given back as they were, after as many sweeps as the step says."""
    node = model.generative.root(0)
    rising = NegativePhase("data", sweeps=1, last_sweeps=4, steps=10)
    v, key = DATA[:5], jr.key(3)

    def swept(count):
        at = v
        for i in range(count):
            at = node.gibbs().step(jr.fold_in(key, i), at)[0]
        return at

    draw = jax.jit(lambda step: rising.draw(key, node, v, None, step)[0])
    for step, count in [(0, 1), (2, 1), (3, 2), (6, 3), (9, 4), (12, 4)]:
        np.testing.assert_array_equal(draw(jnp.asarray(step)), swept(count))


def test_the_pseudo_likelihood_is_the_sum_over_entries_in_the_mean(model):
    """z-score of 20,000 draws, a false alarm at 5 once in 1.7 million seeds."""
    node, v = model.generative.root(0), DATA[0]
    exact = float(node.conditional(v).log_prob(v).sum())
    draws = jax.jit(jax.vmap(lambda k: pseudo_log_likelihood(k, node, v, 2)))(jr.split(jr.key(4), 20_000))
    draws = np.asarray(draws, float)
    assert abs(draws.mean() - exact) / (draws.std() / np.sqrt(len(draws))) < 5.0


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"sweeps": 0}, "at least 1"),
        ({"chains": "date"}, "data"),
        ({"chains": "tempered", "temperatures": 1}, "2 temp"),
    ],
)
def test_settings_that_make_no_sense(settings, told):
    with pytest.raises(InputError, match=told):
        NegativePhase(**settings)


def halves(steps, layers, decay=1e-3):
    """A small network after some steps of greedy training, of which 20 train the first layer."""
    objective = Greedy(NegativePhase("data", steps=20), decay=decay, steps=20)
    model = dbn(jr.key(0), (SIZE,), layers=layers, init=0.3)
    return fit(jr.key(1), model, objective, source(DATA[:400]), optimizer("sgd", learning_rate=0.1), steps=steps,
               batch_size=50, chunk=20).model  # fmt: skip


@pytest.mark.slow
def test_the_first_half_trains_a_machine_that_the_second_one_mirrors():
    """So p(v) is the first machine's, exactly, when its own training begins."""
    start, half, whole = dbn(jr.key(0), (SIZE,), layers=(3, SIZE), init=0.3), *(halves(n, (3, SIZE)) for n in (20, 40))
    first, top = first_machine(half), half.generative.root(1)
    assert float(jnp.abs(first.weight - first_machine(start).weight).max()) > 1e-3
    np.testing.assert_allclose(top.weight, first.weight.T, atol=1e-6)
    np.testing.assert_allclose((*top.logits, *top.bias), (*first.bias, *first.logits), atol=1e-6)
    np.testing.assert_allclose(half.generative.layers[0].net.layers[0].kernel, first.weight.T, atol=1e-6)
    states = jnp.asarray(((np.arange(16)[:, None] >> np.arange(4)) & 1), jnp.float32)
    deep, single = jax.jit(lambda v: (jax.vmap(half.log_prob)(v), jax.vmap(first.log_prob)(v)))(states)
    np.testing.assert_allclose(deep, single, atol=1e-4)
    rested = first_machine(whole)
    np.testing.assert_array_equal(rested.weight, first.weight)
    assert float(jnp.abs(whole.generative.root(1).weight - top.weight).max()) > 1e-3


@pytest.mark.slow
def test_another_size_starts_at_the_first_machines_hidden_biases():
    half = halves(20, (3, 5))
    np.testing.assert_allclose(half.generative.root(1).logits, first_machine(half).bias, atol=1e-6)
    np.testing.assert_array_equal(half.generative.root(1).bias, jnp.zeros(5))


def bars_and_stripes(side=3):
    """Pictures of which every row, or every column, is of one colour."""
    lines = ((np.arange(2**side)[:, None] >> np.arange(side)) & 1).astype(np.float32)
    rows = np.repeat(lines[:, :, None], side, 2).reshape(-1, side * side)
    columns = np.repeat(lines[:, None, :], side, 1).reshape(-1, side * side)
    return np.unique(np.concatenate([rows, columns]), axis=0)


@pytest.mark.slow
@pytest.mark.parametrize("chains", ["persistent", "tempered"])
def test_persistent_chains_reach_a_higher_likelihood_than_one_sweep(chains):
    """On bars and stripes, 14 pictures of 9 pixels, by the exact log-likelihood (at best -log 14 = -2.64 nats)."""
    values = jnp.asarray(np.tile(bars_and_stripes(), (10, 1)))
    found = {}
    for name in ("data", chains):
        objective = ContrastiveDivergence(NegativePhase(name, particles=100, temperatures=5))
        start = rbm(jr.key(0), (9,), hidden=(16,), init=0.1)
        trained = fit(jr.key(1), start, objective, source(values), optax.sgd(optax.linear_schedule(0.1, 0.0, 8000)),
                      steps=8000, batch_size=140, keep="last").model  # fmt: skip
        found[name] = float(jax.jit(jax.vmap(trained.log_prob))(values).mean())
    assert found[chains] > found["data"] + 0.1
    assert found[chains] > -3.6
