"""Estimators of log p(x) against linear-Gaussian models, whose evidence is known."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
import zoo

from nelbo.core import InputError
from nelbo.data import Split, source
from nelbo.evaluation import annealed_importance, bracket, importance_bound, reciprocal_importance, tail_shape
from nelbo.models import dbn
from nelbo.samplers import BitFlips


def data_of(case):
    return source(Split(np.asarray(case.batch)), "real")


@pytest.mark.share(2)
@pytest.mark.parametrize(("start", "temperatures"), [("prior", 60), pytest.param("q", 500, marks=pytest.mark.slow)])
def test_annealing_reaches_the_evidence(start, temperatures):
    """The rule: within 0.05 nats, with 100 chains."""
    case = zoo.linear_gaussian()
    score = annealed_importance(
        jr.key(0), case.model, data_of(case), num_samples=100, temperatures=temperatures, start=start
    )
    exact = [case.log_evidence(case.model, x) for x in case.examples]
    np.testing.assert_allclose(score.per_example, exact, atol=0.05)
    assert 0.5 < score.details["acceptance"] < 0.95
    assert score.standard_error < 0.02


@pytest.mark.slow
def test_brackets_hold_the_evidence_and_shrink():
    """200 simulated examples, each bracket widened by 3 nats holds log p(x) with probability 0.9 at least.

    H0: so it does; fewer than 164 of 200 have probability 2e-4 under 0.9.
    """
    case = zoo.linear_gaussian(size=4)
    data, gaps = source(Split(np.zeros((200, 4), np.float32)), "real"), []
    for temperatures in (2, 25):
        found = bracket(jr.key(1), case.model, data, num_samples=2, temperatures=temperatures)
        gaps.append(found.gap)
    # the same key simulates the same examples whatever the ladder
    exact = np.array([case.log_evidence(case.model, x) for x in found.examples])
    inside = (found.lower.per_example - 3 < exact) & (exact < found.upper.per_example + 3)
    assert inside.sum() >= 164
    assert found.lower.nats - 4 * found.gap_error < exact.mean() < found.upper.nats + 4 * found.gap_error
    assert gaps[0] > 3 * gaps[1] > 0


def binary(values):
    return source(Split(np.asarray(values, np.uint8)), "binary")


def test_annealing_of_binary_latents_reaches_the_evidence():
    """By sums over all states: within 0.05 nats and 5 errors, with 100 chains."""
    case = zoo.belief_network()
    exact = np.array([case.log_evidence(case.model, x) for x in case.examples])
    score = annealed_importance(jr.key(0), case.model, binary(case.batch), num_samples=100, temperatures=40)
    np.testing.assert_allclose(score.per_example, exact, atol=0.05)
    assert abs(score.nats - exact.mean()) < 5 * score.standard_error < 0.1
    assert 0.4 < score.details["acceptance"] < 0.97


@pytest.mark.slow
def test_flips_of_another_density_miss_the_evidence(monkeypatch):
    """So the test above can fail: chains that are drawn to p(x, z) squared."""
    case = zoo.belief_network()

    class Perturbed(BitFlips):
        def init(self, position):
            return BitFlips(lambda z: 2.0 * self.log_density(z)).init(position)

        def _log_hastings(self, at, new, flipped):
            return super()._log_hastings(at, new, flipped) + new[1] - at[1]

    monkeypatch.setattr("nelbo.evaluation.annealing.BitFlips", Perturbed)
    exact = np.array([case.log_evidence(case.model, x) for x in case.examples])
    # another start, so that no compiled program of the right kernel is found again
    score = annealed_importance(jr.key(0), case.model, binary(case.batch), num_samples=101, temperatures=40)
    assert np.abs(score.per_example - exact).max() > 0.1


@pytest.mark.slow
def test_brackets_of_binary_latents_hold_the_evidence_and_shrink():
    """The rule for real latents above: fewer than 164 of 200 have probability 2e-4."""
    case, gaps = zoo.belief_network(), []
    for temperatures in (2, 25):
        found = bracket(jr.key(1), case.model, binary(np.zeros((200, 4))), num_samples=2, temperatures=temperatures)
        gaps.append(found.gap)
    exact = np.array([case.log_evidence(case.model, x) for x in found.examples])
    inside = (found.lower.per_example - 3 < exact) & (exact < found.upper.per_example + 3)
    assert inside.sum() >= 164
    assert found.lower.nats - 4 * found.gap_error < exact.mean() < found.upper.nats + 4 * found.gap_error
    assert gaps[0] > 2 * gaps[1] > 0


@pytest.mark.slow  # annealing with more temperatures is held to the evidence above
def test_one_temperature_is_importance_sampling_from_q():
    """H0: both are log (1/2) sum w_k with z_k ~ q: equal means over 1000 replicates, |z| < 5, false alarm 6e-7."""
    case = zoo.linear_gaussian()
    data = source(Split(np.repeat(np.asarray(case.batch[:1]), 1000, axis=0)), "real")
    annealed = annealed_importance(jr.key(2), case.model, data, num_samples=2, temperatures=1, start="q").per_example
    plain = importance_bound(jr.key(3), case.model, data, num_samples=2).per_example
    error = np.hypot(annealed.std(), plain.std()) / np.sqrt(1000)
    assert abs(annealed.mean() - plain.mean()) < 5 * error


def test_the_reciprocal_estimator_reaches_the_evidence_of_three_latents():
    """The rule: within 0.02 nats with 5000 samples."""
    case = zoo.linear_gaussian(seed=3, latents=3)
    score = reciprocal_importance(jr.key(0), case.model, data_of(case), num_samples=5000)
    exact = [case.log_evidence(case.model, x) for x in case.examples]
    np.testing.assert_allclose(score.per_example, exact, atol=0.02)
    assert score.warning is None
    assert 0.5 < score.details["acceptance"] < 0.97
    assert 0 < score.standard_error < 0.01


@pytest.mark.parametrize(("width", "heavy"), [(-1.0, True), (0.4, False)])
def test_a_narrow_q_has_heavy_tails_and_is_warned_of(width, heavy):
    """The tail of w under a normal q of s times the posterior's width has k = 1 - s^2: 0.86, or none for a wide one."""
    case = zoo.with_exact_posterior(zoo.linear_gaussian(latents=1))
    place = lambda m: m.recognition.layers[0].head.raw_scale  # noqa: E731
    model = eqx.tree_at(place, case.model, replace_fn=lambda leaf: leaf + width)
    score = importance_bound(jr.key(0), model, data_of(case), num_samples=5000)
    assert (score.warning is not None) == heavy
    assert (score.details["pareto_k"] > 0.7) == heavy
    assert (score.details["heavy_tailed"] > 0.5) == heavy


@pytest.mark.parametrize("shape", [0.3, 0.9])
def test_the_shape_of_pareto_tails_is_found(shape):
    """The fit of 212 exceedances has a standard error of about (1 + k) / sqrt(212); |z| < 5."""
    log_w = -shape * np.log(np.random.default_rng(0).uniform(size=(3, 5000)))
    found = jax.jit(tail_shape)(jnp.asarray(log_w, jnp.float32))
    np.testing.assert_allclose(found, shape, atol=5 * (1 + shape) / np.sqrt(212))


def test_weights_of_a_few_states_have_no_tail():
    """The 212 largest of 5000 draws are two or three numbers many times, for which the fit gives NaN."""
    rows = []
    for seed in (2, 4, 12):
        rng = np.random.default_rng(seed)
        states = rng.normal(size=16)
        rows.append(states[rng.choice(16, 5000, p=rng.dirichlet(np.ones(16)))])
    np.testing.assert_array_equal(jax.jit(tail_shape)(jnp.asarray(np.stack(rows), jnp.float32)), 0.0)


def test_what_cannot_be_annealed_is_refused():
    data = source(Split(np.zeros((2, 4), np.uint8)), "binary")
    with pytest.raises(InputError, match="real-valued"):
        reciprocal_importance(jr.key(0), zoo.belief_network().model, data)
    with pytest.raises(InputError, match="Boltzmann"):
        annealed_importance(jr.key(0), dbn(jr.key(0), (4,), layers=(3, 2)), data)
    for estimator in (annealed_importance, reciprocal_importance, bracket):
        with pytest.raises(InputError, match="latents"):
            estimator(jr.key(0), zoo.tiny_nade().model, data)
    case = zoo.linear_gaussian()
    for wrong in ({"start": "nowhere"}, {"temperatures": 0}, {"num_samples": 1}):
        with pytest.raises(InputError):
            annealed_importance(jr.key(0), case.model, data_of(case), **wrong)
    with pytest.raises(InputError, match="at most 10"):
        reciprocal_importance(jr.key(0), zoo.linear_gaussian(size=12, latents=11).model, data_of(case))
