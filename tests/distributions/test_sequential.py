"""NADE and the mixture of Bernoullis against enumeration of all states and against formulas written out."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import oracles
import pytest

from nelbo.core import InputError
from nelbo.distributions import BernoulliMixture, Nade, total_log_prob

DRAWS = 40_000
SHAPE, SIZE, HIDDEN, COMPONENTS = (2, 3), 6, 4, 3


def drawn(*shapes):
    return [1.5 * jr.normal(jr.key(i), shape) for i, shape in enumerate(shapes)]


def nade(order=None):
    places = None if order is None else jnp.asarray(order)
    return Nade(*drawn(SHAPE, (SIZE, HIDDEN), (SIZE, HIDDEN), (HIDDEN,)), places)


def mixture():
    return BernoulliMixture(*drawn((COMPONENTS,), (*SHAPE, COMPONENTS)))


def naive(law, x):
    """log p(x) of one flat example, by the oracles."""
    if isinstance(law, Nade):
        order = np.arange(SIZE) if law.order is None else np.asarray(law.order)
        arrays = [np.asarray(value, np.float64) for value in (law.logits, law.weight, law.readout, law.bias)]
        return oracles.nade_log_prob(x, arrays[0].ravel(), *arrays[1:], order)
    components = np.asarray(law.components, np.float64).reshape(SIZE, -1)
    return oracles.mixture_log_prob(x, np.asarray(law.weights, np.float64), components)


LAWS = {"nade": nade, "nade in another order": lambda: nade((3, 0, 5, 1, 4, 2)), "mixture": mixture}
STATES = ((np.arange(2**SIZE)[:, None] >> np.arange(SIZE)) & 1).astype(np.float32)
PICTURES = jnp.asarray(STATES.reshape(-1, *SHAPE))


@pytest.fixture(params=LAWS)
def law(request):
    return LAWS[request.param]()


def test_probabilities_are_those_of_the_formula_and_sum_to_one(law):
    log_probs = np.asarray(jax.jit(jax.vmap(law.log_prob))(PICTURES), float)
    assert np.exp(log_probs).sum() == pytest.approx(1.0, abs=1e-5)
    np.testing.assert_allclose(log_probs, [naive(law, x) for x in STATES], rtol=1e-5, atol=1e-5)


@pytest.mark.share(4)
def test_the_pass_over_the_units_gives_the_same_probabilities(law):
    """For a mixture it is another sum than that of its density."""
    passed = jax.jit(jax.vmap(lambda x: law.conditional(x).log_prob(x).sum()))(PICTURES)
    np.testing.assert_allclose(passed, jax.vmap(law.log_prob)(PICTURES), rtol=1e-5, atol=1e-5)


def test_no_unit_looks_ahead_or_at_itself(law):
    order = np.arange(SIZE) if law.order is None else np.asarray(law.order)
    slopes = jax.jit(jax.jacobian(lambda x: law.conditional(x).logits.ravel()))(PICTURES[9]).reshape(SIZE, SIZE)
    slopes = np.asarray(slopes)[np.ix_(order, order)]
    assert np.all(np.triu(slopes) == 0)
    assert np.all(np.tril(slopes, -1)[np.tril_indices(SIZE, -1)] != 0)


def test_draws_follow_the_density(law):
    """H0: counts of all 64 states are those of the density; |z| < 5 fails by chance in 4e-5 of cases."""
    draws = np.asarray(jax.jit(lambda key: law.sample(key, (DRAWS,)))(jr.key(9))).reshape(DRAWS, SIZE)
    assert draws.dtype == np.float32
    counts = np.bincount((draws @ 2 ** np.arange(SIZE)).astype(int), minlength=2**SIZE)
    probs = np.exp([naive(law, x) for x in STATES])
    assert np.abs((counts - DRAWS * probs) / np.sqrt(DRAWS * probs * (1 - probs))).max() < 5


def test_the_mean_of_a_mixture_is_exact():
    law = mixture()
    probs = np.exp([naive(law, x) for x in STATES])
    np.testing.assert_allclose(law.mean, (probs @ STATES).reshape(SHAPE), rtol=1e-5)


def test_a_nade_without_weights_is_a_product_of_bernoullis():
    (logits,) = drawn(SHAPE)
    law = Nade(logits, jnp.zeros((SIZE, 2)), jnp.zeros((SIZE, 2)), jnp.zeros(2))
    np.testing.assert_allclose(law.mean, jax.nn.sigmoid(logits), rtol=1e-6)


def test_one_component_is_a_product_of_bernoullis():
    components = drawn((*SHAPE, 1))[0]
    law = BernoulliMixture(jnp.array([0.7]), components)
    a = np.asarray(components, float).ravel()
    np.testing.assert_allclose(jax.vmap(law.log_prob)(PICTURES), STATES @ a - np.logaddexp(0, a).sum(), rtol=1e-5)


def test_missing_entries_of_a_mixture_are_summed_out():
    law = mixture()
    observed = jnp.array([[True, False, True], [False, False, True]])
    seen = np.asarray(observed).ravel()
    for x in STATES[::13]:
        alike = (STATES[:, seen] == x[seen]).all(1)
        exact = np.log(np.exp([naive(law, state) for state in STATES[alike]]).sum())
        shown = jnp.where(observed, x.reshape(SHAPE), jnp.nan)
        assert float(total_log_prob(law, shown, observed)) == pytest.approx(exact, abs=1e-5)
    assert float(law.observed_log_prob(PICTURES[0], jnp.zeros(SHAPE, bool))) == pytest.approx(0.0, abs=1e-6)


def test_a_nade_refuses_missing_entries():
    with pytest.raises(InputError, match="Nade gives whole examples a probability"):
        total_log_prob(nade(), PICTURES[0], jnp.ones(SHAPE, bool))


@pytest.mark.slow
def test_extreme_logits_stay_finite():
    """Where no component gives a bit any mass in float32, its logit is infinite and draws are still sure."""
    law = BernoulliMixture(jnp.zeros(2), jnp.full((*SHAPE, 2), 200.0))
    assert np.all(np.asarray(law.sample(jr.key(0), (5,))) == 1.0)
    assert np.isfinite(float(law.log_prob(jnp.zeros(SHAPE))))
