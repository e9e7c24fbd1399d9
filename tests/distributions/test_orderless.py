"""EoNADE against enumeration: every order is a density, so is their mean, and completions are exact conditionals."""

import itertools

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import oracles
import pytest

from nelbo.core import Example
from nelbo.distributions import BernoulliMixture, OrderAgnosticNade, observed_first
from nelbo.models import eonade
from nelbo.objectives import OrderAgnostic, estimate_given, random_known

SIZE, HIDDEN, DRAWS = 4, 3, 20_000
ORDERS = jnp.asarray(list(itertools.permutations(range(SIZE))))
STATES = jnp.asarray((np.arange(2**SIZE)[:, None] >> np.arange(SIZE)) & 1, jnp.float32)


def law(layers=1, orders=ORDERS):
    more = layers - 1
    shapes = [(2, 2), (SIZE, HIDDEN), (SIZE, HIDDEN), (HIDDEN,), (more, HIDDEN, HIDDEN), (more, HIDDEN), (SIZE, HIDDEN)]
    return OrderAgnosticNade(*(1.5 * jr.normal(jr.key(i), shape) for i, shape in enumerate(shapes)), orders)


def pictures(states=STATES):
    return states.reshape(-1, 2, 2)


@jax.jit
def every_order(law):
    """log p(x | o) of every state and order."""
    return jax.vmap(lambda x: law.order_log_probs(x, jnp.ones((2, 2), bool)))(pictures())


def by_hand(law, x, order):
    """log p(x | o) by D passes of the network, in float64."""
    logits, *network = (np.asarray(a, np.float64) for a in law.arguments[:-1])
    return oracles.order_log_prob(x, logits.ravel(), *network, order)


@pytest.mark.share(2)
@pytest.mark.parametrize("layers", [1, 2])
def test_every_order_is_a_density_and_that_of_the_formula(layers):
    found = np.asarray(every_order(law(layers)), float)
    np.testing.assert_allclose(np.exp(found).sum(0), 1.0, atol=1e-5)
    states, orders = np.asarray(STATES), np.asarray(ORDERS)
    expected = [[by_hand(law(layers), x, order) for order in orders[::5]] for x in states]
    np.testing.assert_allclose(found[:, ::5], expected, rtol=1e-5, atol=1e-5)


def test_the_ensemble_is_the_mean_of_densities_and_no_worse_than_its_members():
    ensemble = law()
    members = np.asarray(every_order(ensemble), float)
    log_prob = np.asarray(jax.jit(jax.vmap(ensemble.log_prob))(pictures()), float)
    np.testing.assert_allclose(np.exp(log_prob), np.exp(members).mean(1), rtol=1e-5)
    assert (log_prob >= members.mean(1)).all()
    assert (log_prob - members.mean(1)).max() > 0.05  # the orders differ, so that the inequality says something


def test_the_training_estimate_has_the_mean_over_orders_of_the_log_density():
    """All orders and places of four entries, so nothing is left to chance."""
    ensemble, observed = law(2), jnp.ones((2, 2), bool)

    def mean(x):
        first = lambda order, d: (jnp.argsort(order) < d).reshape(2, 2)  # noqa: E731
        one = lambda order, d: estimate_given(ensemble, x, first(order, d), observed)  # noqa: E731
        return jax.vmap(lambda order: jax.vmap(lambda d: one(order, d))(jnp.arange(SIZE)).mean())(ORDERS).mean()

    found = jax.jit(jax.vmap(mean))(pictures())
    np.testing.assert_allclose(found, np.asarray(every_order(ensemble), float).mean(1), rtol=1e-5)


def test_known_entries_are_the_first_of_a_random_order():
    """Every set of the three observed entries but all, one in 3 (3 choose d) times: chi-square with 6 degrees of
    freedom above 40 comes once in two million seeds."""
    observed = jnp.asarray([True, True, False, True])
    known = jax.jit(jax.vmap(lambda key: random_known(key, observed)))(jr.split(jr.key(5), DRAWS))
    counts = np.bincount(np.asarray(known, int) @ (1 << np.arange(SIZE)), minlength=2**SIZE)
    sets = {bits: int(bits).bit_count() for bits in range(2**SIZE) if bits & 0b0100 == 0 and bits != 0b1011}
    expected = np.zeros(2**SIZE)
    for bits, size in sets.items():
        expected[bits] = DRAWS / (3 * (1, 3, 3)[size])
    possible = expected > 0
    assert counts[~possible].sum() == 0
    assert ((counts - expected)[possible] ** 2 / expected[possible]).sum() < 40


def test_the_objective_draws_orders_and_places_evenly():
    """z-scores of 16 means of 20,000 draws: a false alarm at 5 standard errors once in 100,000 runs."""
    model = eonade(jr.key(0), (SIZE,), hidden=(HIDDEN,), orders=1, init=1.0)
    node = model.generative.layers[0](())

    @jax.jit
    def draws(keys):
        return jax.vmap(lambda k: OrderAgnostic().bounds(k, model, STATES))(keys)

    found = np.asarray(draws(jr.split(jr.key(1), DRAWS)), float)
    exact = np.asarray(every_order(node_with_all_orders(node)), float).mean(1)
    z = (found.mean(0) - exact) / (found.std(0) / np.sqrt(DRAWS))
    assert np.abs(z).max() < 5.0


def node_with_all_orders(node):
    return OrderAgnosticNade(node.logits.reshape(2, 2), *node.arguments[1:-1], ORDERS)


def test_missing_entries_take_no_part_in_training():
    model = eonade(jr.key(0), (SIZE,), hidden=(HIDDEN,), orders=2, init=1.0)
    observed = jnp.asarray([[True, False, True, True]])
    bounds = jax.jit(lambda x: OrderAgnostic().bounds(jr.key(3), model, Example(x, observed)))
    first, second = bounds(jnp.asarray([[1.0, 0.0, 0.0, 1.0]])), bounds(jnp.asarray([[1.0, jnp.nan, 0.0, 1.0]]))
    np.testing.assert_array_equal(first, second)
    assert np.isfinite(first).all()


def test_observed_entries_alone_have_a_density_for_each_mask():
    ensemble = law(1, ORDERS[::5])
    mask = jnp.asarray([[True, False], [True, True]])
    given = jax.jit(jax.vmap(lambda x: ensemble.observed_log_prob(x, mask)))
    seen = np.unique(np.asarray(STATES) * np.ravel(mask), axis=0)
    assert np.exp(np.asarray(given(pictures(jnp.asarray(seen))), float)).sum() == pytest.approx(1.0, abs=1e-5)
    np.testing.assert_array_equal(given(pictures().at[:, 0, 1].set(jnp.nan)), given(pictures()))


def enumerated(ensemble, x, known, order):
    """p(x_missing | x_known, o) over all states, by the densities of one order."""
    places = observed_first(order, jnp.ravel(known))
    log_probs = np.asarray(jax.vmap(ensemble.in_order(places).log_prob)(pictures()), float)
    agrees = (np.asarray(STATES) == np.ravel(x))[:, np.ravel(known)].all(1)
    joint = np.exp(log_probs) * agrees
    return joint / joint.sum()


@pytest.mark.slow
def test_completions_are_the_conditional_of_their_order():
    """A chi-square statistic with 3 degrees of freedom above 27 comes once in 170,000 seeds."""
    ensemble, order = law(2), ORDERS[7]
    x, known = pictures()[6], jnp.asarray([[True, False], [False, True]])
    exact = enumerated(ensemble, x, known, order)
    draw = jax.jit(jax.vmap(lambda k: ensemble.completed(k, x, known, order)))
    drawn, means = draw(jr.split(jr.key(0), DRAWS))
    which = np.asarray(drawn, int).reshape(DRAWS, -1) @ (1 << np.arange(SIZE))
    counts, possible = np.bincount(which, minlength=2**SIZE), exact > 0
    assert counts[~possible].sum() == 0
    assert ((counts - DRAWS * exact)[possible] ** 2 / (DRAWS * exact[possible])).sum() < 27.0
    marginal = exact @ np.asarray(STATES)
    error = np.asarray(means).reshape(DRAWS, -1).std(0) / np.sqrt(DRAWS) + 1e-5
    assert (np.abs(np.asarray(means).reshape(DRAWS, -1).mean(0) - marginal) / error).max() < 5.0


def test_a_mixture_completes_exactly():
    """As above, for the mixture of Bernoullis and its marginal probabilities."""
    mixture = BernoulliMixture(jr.normal(jr.key(0), (3,)), 2.0 * jr.normal(jr.key(1), (2, 2, 3)))
    x, known = pictures()[6], jnp.asarray([[True, False], [False, True]])
    joint = np.exp(np.asarray(jax.vmap(mixture.log_prob)(pictures()), float))
    joint *= (np.asarray(STATES) == np.ravel(x))[:, np.ravel(known)].all(1)
    exact = joint / joint.sum()
    drawn, means = jax.jit(jax.vmap(lambda k: mixture.complete(k, x, known)))(jr.split(jr.key(2), DRAWS))
    which = np.asarray(drawn, int).reshape(DRAWS, -1) @ (1 << np.arange(SIZE))
    counts, possible = np.bincount(which, minlength=2**SIZE), exact > 0
    assert counts[~possible].sum() == 0
    assert ((counts - DRAWS * exact)[possible] ** 2 / (DRAWS * exact[possible])).sum() < 27.0
    np.testing.assert_allclose(np.ravel(means[0]), exact @ np.asarray(STATES), rtol=1e-4)


def test_samples_follow_the_ensemble():
    """A chi-square statistic with 15 degrees of freedom above 56 comes once in a million seeds."""
    ensemble = law(1, ORDERS[::7])
    exact = np.exp(np.asarray(jax.jit(jax.vmap(ensemble.log_prob))(pictures()), float))
    drawn = np.asarray(jax.jit(lambda k: ensemble.sample(k, (DRAWS,)))(jr.key(5)), int).reshape(DRAWS, -1)
    counts = np.bincount(drawn @ (1 << np.arange(SIZE)), minlength=2**SIZE)
    assert ((counts - DRAWS * exact) ** 2 / (DRAWS * exact)).sum() < 56.0
