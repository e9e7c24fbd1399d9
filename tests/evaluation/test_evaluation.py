"""Scores against exact answers. Rows of one example repeated are independent replicates of its bound."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
import scipy.special
import zoo

from nelbo.core import InputError
from nelbo.data import Split, source
from nelbo.evaluation import (
    active_units,
    elbo,
    importance_bound,
    importance_terms,
    jackknife_variance,
    posterior_means,
)
from nelbo.evaluation.bounds import _corrected
from nelbo.models import vae
from nelbo.testing import assert_below, assert_unbiased


def repeated(x, times, values="real"):
    x = np.asarray(x)
    return source(Split(np.repeat(x[None], times, axis=0)), values)


@pytest.mark.slow
@pytest.mark.parametrize("count", [1, 3, 7, 9])
def test_terms_are_the_plain_reduction_of_the_same_draws(count):
    """Blocks of three, the last one cut short: only the first `count` draws are used."""
    case = zoo.linear_gaussian()
    batch, block = jnp.stack(list(case.examples[:2])), 3
    terms = importance_terms(jr.key(0), case.model, batch, num_samples=count, block=block)
    for i, x in enumerate(batch):
        keys = [jr.split(jr.fold_in(jr.key(0), low), 2 * block)[block * i :][:block] for low in range(0, count, block)]
        draws = [case.model.draw(k, x) for ks in keys for k in ks][:count]
        _assert_reduced(jax.tree.map(lambda leaf, i=i: leaf[i], terms), draws)


def test_coarse_products_move_the_bound_by_less_than_a_five_hundredth_nat():
    """Of networks whose numbers bfloat16 rounds; of 60 draws in blocks of 25 the last ten are a block cut short."""
    model = vae(jr.key(0), (30,), latents=4, hidden=(20,))
    batch = jnp.asarray(np.random.default_rng(1).integers(0, 2, (8, 30)), jnp.float32)
    fine, coarse = (
        importance_terms(jr.key(2), model, batch, num_samples=60, block=25, precision=precision)
        for precision in ("float32", "bfloat16")
    )
    assert fine.rounding is None
    moved, variance = coarse.rounding
    assert np.abs(moved).max() > 1e-6  # something was rounded
    np.testing.assert_allclose(coarse.importance.mean(), fine.importance.mean(), atol=2e-3)
    assert np.all(np.abs(coarse.importance - fine.importance) < 0.01 + 5 * np.sqrt(variance))


def test_exact_weights_stand_for_themselves_and_move_the_others():
    log_w, which = jnp.zeros((2, 3)), jnp.asarray([[1], [2]])
    found, (mean, variance) = _corrected(log_w, which, jnp.asarray([[0.3], [9.0]]), jnp.asarray([[True], [False]]))
    np.testing.assert_allclose(found[0], [0.3, 0.3, 0.3], rtol=1e-6)
    np.testing.assert_allclose((mean, variance), (0.3, 0.0), rtol=1e-6)
    found, (mean, variance) = _corrected(log_w, which, jnp.asarray([[0.3], [0.5]]), jnp.ones((2, 1), bool))
    np.testing.assert_allclose(found, [[0.4, 0.3, 0.4], [0.4, 0.4, 0.5]], rtol=1e-6)
    np.testing.assert_allclose((mean, variance), (0.4, 0.02 / 4), rtol=1e-5)


def _assert_reduced(terms, draws):
    count = len(draws)
    log_w = np.array([float(draw.log_w) for draw in draws], np.float64)
    top = log_w.max()
    assert float(terms.importance) == pytest.approx(top + np.log(np.exp(log_w - top).mean()), rel=1e-5)
    assert float(terms.elbo) == pytest.approx(log_w.mean(), rel=1e-5)
    assert float(terms.reconstruction) == pytest.approx(np.mean([float(d.log_p[0]) for d in draws]), rel=1e-5)
    if count > 1:
        assert float(terms.elbo_variance) == pytest.approx(log_w.var(ddof=1) / count, rel=1e-3)
        assert float(terms.importance_variance) == pytest.approx(_jackknife(log_w), rel=1e-3)


def _jackknife(log_w):
    """The definition, by K sums in float64."""
    count = len(log_w)
    left = np.array([scipy.special.logsumexp(np.delete(log_w, k)) - np.log(count - 1) for k in range(count)])
    return (count - 1) / count * ((left - left.mean()) ** 2).sum()


@pytest.mark.share(3)
@pytest.mark.parametrize("scale", [1e-3, 1.0, 30.0, 1000.0])
@pytest.mark.parametrize("count", [2, 3, 50])
def test_the_jackknife_keeps_its_digits_however_uneven_the_weights(scale, count):
    log_w = np.asarray(-800.0 + scale * jr.normal(jr.key(count), (4, count)), np.float32)
    found = jackknife_variance(jnp.asarray(log_w))
    np.testing.assert_allclose(found, [_jackknife(row.astype(np.float64)) for row in log_w], rtol=5e-3)


def test_one_draw_has_no_jackknife():
    np.testing.assert_array_equal(jackknife_variance(jnp.ones((3, 1))), np.zeros(3))


@pytest.mark.slow
def test_importance_bounds_rise_with_samples_and_stay_below_the_evidence():
    """H0: E L_K <= E L_K' <= log p(x) for K < K'. One-sided |z| < 5 over 2000 replicates of each."""
    case = zoo.linear_gaussian()
    x = case.examples[0]
    data, exact = repeated(x, 2000), case.log_evidence(case.model, x)
    bounds = {}
    for i, count in enumerate((1, 2, 5, 50)):
        bounds[count] = importance_bound(jr.key(i), case.model, data, num_samples=count).per_example
        assert_below(bounds[count], exact, what=f"L_{count}")
    assert_unbiased(bounds[1], np.asarray(case.elbo(case.model, x)), what="L_1, the ELBO")
    for few, many in ((1, 2), (2, 5), (5, 50)):
        error = np.hypot(bounds[few].std(), bounds[many].std()) / np.sqrt(2000)
        assert bounds[many].mean() - bounds[few].mean() > 5 * error  # on this model the rise is far from noise


def wide():
    """A model whose q is wider than the posterior: weights are bounded, else the delta method claims too little."""
    case = zoo.with_exact_posterior(zoo.linear_gaussian(latents=1))
    places = lambda m: (m.recognition.layers[0].head.raw_scale, m.recognition.layers[0].net.layers[0].bias)  # noqa: E731
    return case, eqx.tree_at(places, case.model, replace_fn=lambda leaf: leaf + 0.3)


@pytest.mark.slow
def test_many_samples_reach_the_evidence():
    """H0: L_20000 is log p(x) to within its bias of -Var(w) / 2K (under 0.01 here) and 5 standard errors."""
    case, model = wide()
    for x in case.examples:
        score = importance_bound(jr.key(0), model, repeated(x, 1), num_samples=20_000)
        assert abs(score.nats - case.log_evidence(case.model, x)) < 5 * score.standard_error + 0.01
        assert score.standard_error < 0.1


@pytest.mark.slow
def test_two_samples_on_a_belief_network_have_the_enumerated_mean():
    """H0: E log (w_1 + w_2) / 2 is the sum over all pairs of states; |z| < 5 over 10000 replicates."""
    case = zoo.belief_network()
    x = case.examples[0]
    exact = zoo.belief_oracle(case.model).importance_bound(np.asarray(x, np.float64))
    bounds = importance_bound(jr.key(5), case.model, repeated(x, 10_000), num_samples=2).per_example
    assert_unbiased(bounds, np.asarray(exact), what="L_2")
    assert case.elbo(case.model, x) < exact < case.log_evidence(case.model, x)


@pytest.mark.share(2)
@pytest.mark.parametrize(("bound", "count"), [(elbo, 10), (importance_bound, 300)])
def test_the_standard_error_is_the_spread_over_keys(bound, count):
    """The sd of 2000 replicates has relative error 1.6 % (normal)."""
    case, model = wide()
    score = bound(jr.key(1), model, repeated(case.examples[0], 2000), num_samples=count)
    claimed = score.standard_error * np.sqrt(2000)
    assert score.per_example.std(ddof=1) == pytest.approx(claimed, rel=0.1)
    assert score.spread == pytest.approx(score.standard_error, rel=0.1)


@pytest.mark.share(4)
@pytest.mark.parametrize(("count", "tolerance"), [(2, 0.25), (5, 0.1), (10, 0.1), (50, 0.1)])
def test_the_error_of_an_importance_bound_holds_for_few_samples_too(count, tolerance):
    """Against the sd of 4000 replicates (relative error under 2 %).

    The delta method is off by a factor of 1.75 at K = 2 and 1.28 at 5.
    """
    case = zoo.tiny_vae()
    score = importance_bound(jr.key(count), case.model, repeated(case.examples[0], 4000), num_samples=count)
    assert score.per_example.std(ddof=1) == pytest.approx(score.standard_error * np.sqrt(4000), rel=tolerance)


@pytest.mark.share(3)
@pytest.mark.parametrize("count", [2, 5, 10])
def test_the_error_of_an_importance_bound_is_not_too_small_under_a_wide_q(count):
    """Log w then has a long tail to the left, and the jackknife claims too much if anything: 1.6 times at K = 2."""
    case, _ = wide()
    places = lambda m: m.recognition.layers[0].head.raw_scale  # noqa: E731
    model = eqx.tree_at(places, case.model, replace_fn=lambda leaf: leaf + 1.0)
    score = importance_bound(jr.key(count), model, repeated(case.examples[0], 4000), num_samples=count)
    assert 0.5 < score.per_example.std(ddof=1) / (score.standard_error * np.sqrt(4000)) < 1.1


def test_parts_of_the_score_are_exact():
    """H0: mean reconstruction and KL are the closed forms, to a few standard errors of log w."""
    case = zoo.linear_gaussian()
    x = np.asarray(case.examples[0], np.float64)
    score = elbo(jr.key(2), case.model, repeated(x, 4000), num_samples=5)
    assert score.reconstruction - score.kl == pytest.approx(score.nats, abs=1e-4)
    mean, cov = zoo.chain_posterior([zoo.affine(layer) for layer in case.model.recognition.layers], x)
    kl = 0.5 * (np.trace(cov) + mean @ mean - len(mean) - np.linalg.slogdet(cov)[1])
    # Var (log q - log p) = half the squared coefficients of a quadratic form: bounded here by the spread of log w
    assert score.kl == pytest.approx(kl, abs=10 * score.spread + 1e-4)
    assert score.nats == pytest.approx(case.elbo(case.model, x), abs=5 * score.spread)


@pytest.mark.share(9)
@pytest.mark.parametrize("size", [1, 3, 2001])
@pytest.mark.parametrize("count", [1, 49, 51])
def test_batches_and_blocks_do_not_change_the_answer(size, count):
    """At the exact posterior every draw gives log p(x), so any wrong padding or cut would show."""
    case = zoo.with_exact_posterior(zoo.linear_gaussian(latents=1))
    rows = np.tile(np.asarray(case.batch), (size // 3 + 1, 1))[:size]
    exact = np.tile([case.log_evidence(case.model, x) for x in case.examples], size // 3 + 1)[:size]
    data = source(Split(rows), "real")
    for bound in (elbo, importance_bound):
        score = bound(jr.key(0), case.model, data, num_samples=count)
        np.testing.assert_allclose(score.per_example, exact, rtol=2e-5)
        assert (score.num_examples, score.num_samples) == (size, count)
        assert score.nats == pytest.approx(exact.mean(), rel=2e-5)
        assert score.bits_per_dim == pytest.approx(-exact.mean() / (4 * np.log(2)), rel=2e-5)
        if count == 1:
            assert score.standard_error is None
        else:
            assert score.standard_error < 1e-3


def test_missing_entries_count_for_no_dimension():
    case = zoo.linear_gaussian_masked()
    values, observed = np.asarray(case.batch.values), np.asarray(case.batch.observed)
    score = elbo(jr.key(0), case.model, source(Split(values, observed=observed), "real"), num_samples=4)
    assert score.bits_per_dim == pytest.approx(-score.per_example.sum() / (np.log(2) * observed.sum()))
    assert observed.sum() == 9


@pytest.mark.parametrize("bound", [elbo, importance_bound])
def test_progress_tells_the_mean_bound_of_all_examples_so_far(bound):
    case, told = zoo.linear_gaussian(latents=1), []
    rows = source(Split(np.asarray(jr.normal(jr.key(3), (450, 4)))), "real")
    score = bound(jr.key(0), case.model, rows, num_samples=10, progress=lambda *a: told.append(a))
    assert [done for done, _ in told] == [100, 200, 300, 400, 450]
    for done, mean in told:
        assert mean == pytest.approx(score.per_example[:done].mean(), rel=1e-6)
    assert told[-1][1] == pytest.approx(score.nats, rel=1e-6)


def test_nothing_to_score_is_refused():
    case = zoo.linear_gaussian()
    with pytest.raises(InputError, match="at least one sample"):
        elbo(jr.key(0), case.model, repeated(case.examples[0], 2), num_samples=0)


def test_active_units_are_those_that_follow_the_data():
    case = zoo.linear_gaussian()
    weight = lambda m: m.recognition.layers[0].net.layers[0].kernel  # noqa: E731
    data = source(Split(np.asarray(jr.normal(jr.key(0), (300, 4)))), "real")
    rows = jnp.zeros((2, 4)).at[0, 0].set(0.5).at[1, 1].set(0.05)
    model = eqx.tree_at(weight, case.model, rows.T)
    assert active_units(jr.key(1), model, data) == (1,)
    (means,) = posterior_means(jr.key(1), model, data)
    bias = np.asarray(model.recognition.layers[0].net.layers[0].bias)
    np.testing.assert_allclose(means, np.asarray(data.arrays.values) @ np.asarray(rows).T + bias, rtol=1e-4, atol=1e-5)


def test_posterior_means_of_a_stack_have_a_column_a_latent():
    case = zoo.linear_stack()
    data = source(Split(np.asarray(case.batch)), "real")
    assert [layer.shape for layer in posterior_means(jr.key(0), case.model, data)] == [(3, 3), (3, 2)]
    assert len(jax.tree.leaves(active_units(jr.key(0), case.model, data))) == 2
