"""Matrix factorization against closed forms, quadrature and planted data.

Statistical tests are seeded; each compares means of draws at |z| < 5, which fails by chance once in 1.7 million.
"""

import functools
import math

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
import scipy.stats

from nelbo.bayes import WithGlobals
from nelbo.core import Example, InputError
from nelbo.data import Source
from nelbo.distributions import Ordinal
from nelbo.models import build, distilled_prior, layer_of, load_model, save_model
from nelbo.nets import trainable
from nelbo.objectives import Sgvb
from nelbo.tasks import Answers, Errors, pair_errors, pairs_in, predict_pairs, predictive_score
from nelbo.training import fit, optimizer

ROWS, COLUMNS = 12, 9
DRAWS = 200


def model_for(likelihood="gaussian", rank=1, seed=0, **options):
    arguments = {"shape": [1], "pairs": [ROWS, COLUMNS], "rank": rank, "likelihood": likelihood, **options}
    return build(jr.key(seed), "factorization", arguments)


def randomized(model, seed, scale=0.5):
    """The model with other numbers in the arrays that train."""
    arrays, rest = eqx.partition(model, trainable(model))
    rng = np.random.default_rng(seed)
    moved = jax.tree.map(lambda leaf: jnp.asarray(leaf + scale * rng.normal(size=leaf.shape), jnp.float32), arrays)
    return eqx.combine(moved, rest)


@eqx.filter_jit
def moments(model, pairs):
    """Mean and variance of each pair's predictor, and the scale of the noise."""
    layer = layer_of(model)
    return jax.vmap(layer_of(model.globals.averaged(model)).moments)(pairs), layer.head(jnp.zeros(1)).scale[0]


@eqx.filter_jit
def predictors(key, model, pairs, count):
    """The predictor of each pair under each draw, one pair and draw at a time; and the rows of the first draw."""

    def one(key, pair):
        return layer_of(model.globals.drawn(key, model)).moments(pair)[0]

    return jax.vmap(jax.vmap(one, (None, 0)), (0, None))(jr.split(key, count), pairs)


@functools.cache
def planted(noise=0.1, outliers=0.0, seed=0, rows=ROWS, columns=COLUMNS, share=0.8):
    """Rank-1 data around 3 with noise, the truth of each pair, and which pairs are known."""
    rng = np.random.default_rng(seed)
    truth = 3.0 + rng.normal(size=(rows, 1)) * rng.normal(size=(1, columns)) + 0.5 * rng.normal(size=(rows, 1))
    y = truth + noise * rng.normal(size=truth.shape)
    y = y + np.where(rng.random(truth.shape) < outliers, 20.0 * rng.normal(size=truth.shape), 0.0)
    known = rng.random(truth.shape) < share
    known[:, 0] = known[0] = True
    return truth, y, known


def source_of(y, known):
    i, j = np.nonzero(known)
    pairs = np.stack([i, j], 1).astype(np.float32)
    values = jnp.asarray(y[i, j][:, None], jnp.float32)
    return Source(Example(values, context=jnp.asarray(pairs)), "real", dynamic=False)


def coordinate_ascent(y, known, noise, prior, sweeps=4000):
    """Mean-field posterior of y = a + b_i + c_j + u_i v_j by closed forms in turn; a is a point (float64)."""
    rng = np.random.default_rng(1)
    n, m = y.shape
    w = known / noise**2
    u, v = rng.normal(size=(n, 1)), rng.normal(size=(m, 1))
    b, c, a = np.zeros((n, 1)), np.zeros((m, 1)), y[known].mean()
    su, sv, sb, sc = (np.full(s, 0.1) for s in ((n, 1), (m, 1), (n, 1), (m, 1)))
    for _ in range(sweeps):
        rest = y - a - c.T - u @ v.T
        sb = 1.0 / (w.sum(1, keepdims=True) + prior**-2)
        b = sb * (w * rest).sum(1, keepdims=True)
        rest = y - a - b - u @ v.T
        sc = 1.0 / (w.sum(0)[:, None] + prior**-2)
        c = sc * (w * rest).sum(0)[:, None]
        rest = y - a - b - c.T
        su = 1.0 / (w @ (v**2 + sv) + prior**-2)
        u = su * (w * rest) @ v
        sv = 1.0 / (w.T @ (u**2 + su) + prior**-2)
        v = sv * (w * rest).T @ u
        a = (known * (y - b - c.T - u @ v.T)).sum() / known.sum()
    error = y - a - b - c.T - u @ v.T
    variance = sb + sc.T + su @ (v**2).T + (u**2) @ sv.T + su @ sv.T
    likelihood = -0.5 * (w * (error**2 + variance)).sum() - known.sum() * (
        0.5 * math.log(2.0 * math.pi) + math.log(noise)
    )
    kl = sum(0.5 * ((s + mean**2) / prior**2 - 1.0 - np.log(s / prior**2)).sum()
             for mean, s in ((u, su), (v, sv), (b, sb), (c, sc)))  # fmt: skip
    rows, columns = np.hstack([u, b]), np.hstack([v, c])
    return rows, columns, np.hstack([su, sb]), np.hstack([sv, sc]), a, likelihood - kl


def with_arrays(model, rows, columns, row_variance, column_variance, intercept):
    layer = layer_of(model)
    put = [jnp.asarray(x, jnp.float32) for x in (rows, columns, intercept)]
    layer = eqx.tree_at(lambda one: (one.rows.mean, one.columns.mean, one.intercept), layer, tuple(put))
    model = eqx.tree_at(lambda one: one.generative.layers[0], model, layer)
    scales = tuple(jnp.asarray(0.5 * np.log(x), jnp.float32) for x in (row_variance, column_variance))
    return eqx.tree_at(lambda one: (one.globals.row_log_scale, one.globals.column_log_scale), model, scales)


@eqx.filter_jit
def _gradient(model, batch, num_data):
    objective = WithGlobals(Sgvb(), num_data)
    params, rest = eqx.partition(model, trainable(model))

    def loss(params):
        whole = eqx.combine(params, rest)
        found, _ = objective(jr.key(0), whole, batch, objective.init(jr.key(0), whole))
        return found.surrogate, found.bound

    return jax.grad(loss, has_aux=True)(params)


def gradient(model, source):
    """Gradient of the loss over all data, and the reported bound of the whole set [nats]."""
    slopes, bound = _gradient(model, source.arrays, len(source))
    return slopes, float(bound) * len(source)


def trained(model, source, steps=600, rate=0.05):
    rule = optimizer("adam", learning_rate=rate, schedule="cosine", steps=steps)
    return fit(jr.key(3), model, WithGlobals(Sgvb(), len(source)), source, rule, steps=steps,
               batch_size=len(source), keep="last", evaluate_every=steps).model  # fmt: skip


@pytest.mark.slow
def test_a_gaussian_likelihood_has_the_optimum_of_alternating_closed_forms():
    _, y, known = planted(noise=0.3)
    noise, prior = 0.3, 0.9
    found = coordinate_ascent(y, known, noise, prior)
    model = model_for(noise_scale=noise, prior_scale=prior, learn_prior=False)
    slopes, bound = gradient(with_arrays(model, *found[:-1]), source_of(y, known))
    assert bound == pytest.approx(found[-1], abs=2e-3)
    assert max(float(jnp.abs(leaf).max()) for leaf in jax.tree.leaves(slopes)) < 1e-4


@pytest.mark.slow  # that the slope vanishes there is tested above
def test_the_loop_comes_back_to_the_optimum_of_alternating_closed_forms():
    """From elsewhere it may find another optimum, as the closed forms may."""
    _, y, known = planted(noise=0.3)
    noise, prior = 0.3, 0.9
    found = coordinate_ascent(y, known, noise, prior)
    model = model_for(noise_scale=noise, prior_scale=prior, learn_prior=False)
    moved = randomized(with_arrays(model, *found[:-1]), 2, 0.1)
    assert gradient(moved, source_of(y, known))[1] < found[-1] - 1.0
    ours = trained(moved, source_of(y, known))
    assert gradient(ours, source_of(y, known))[1] == pytest.approx(found[-1], abs=0.05)


@pytest.mark.slow
def test_a_cauchy_expectation_agrees_with_quadrature():
    model = randomized(model_for("cauchy"), 1, 0.4)
    pair, y, count = jnp.asarray([[2.0, 3.0]]), 0.7, 20_000
    posterior, layer = model.globals, layer_of(model)
    scale = float(moments(model, pair)[1])
    draws = scipy.stats.cauchy.logpdf(y, np.asarray(predictors(jr.key(2), model, pair, count), float)[:, 0], scale)
    (u, b), (v, c) = np.asarray(layer.rows.mean[2], float), np.asarray(layer.columns.mean[3], float)
    (su, sb), (sv, sc) = (
        np.exp(np.asarray(side, float)) for side in (posterior.row_log_scale[2], posterior.column_log_scale[3])
    )
    nodes, weights = np.polynomial.hermite_e.hermegauss(80)
    # given v the predictor is normal: v by Gauss-Hermite, what is left on a fine grid
    grid = np.linspace(-9.0, 9.0, 20_001)
    density = scipy.stats.norm.pdf(grid) * (grid[1] - grid[0])
    total = 0.0
    for node, weight in zip(nodes, weights / weights.sum(), strict=True):
        at = v + sv * node
        f = float(layer.intercept) + b + c + u * at + math.sqrt(su**2 * at**2 + sb**2 + sc**2) * grid
        total += weight * (density * scipy.stats.cauchy.logpdf(y, f, scale)).sum()
    assert abs(draws.mean() - total) < 5.0 * draws.std() / math.sqrt(count)


def error(likelihood, outliers, noise):
    """Distance from the truth of a model of that many outliers: root mean square, and mean."""
    truth, y, known = planted(noise, outliers, rows=40, columns=30)
    pairs = jnp.asarray(np.stack(np.nonzero(known), 1), jnp.float32)
    model = trained(model_for(likelihood, pairs=[40, 30], centre=jnp.full(1, 3.0)), source_of(y, known))
    found = np.asarray(3.0 + moments(model, pairs)[0][0]) - truth[known]
    return math.sqrt((found**2).mean()), np.abs(found).mean()


@pytest.mark.slow
@pytest.mark.parametrize("likelihood", ["gaussian", "cauchy"])
def test_planted_data_are_recovered_within_the_noise(likelihood):
    assert error(likelihood, 0.0, 0.3)[0] < 0.3


@pytest.mark.slow
def test_a_cauchy_stands_outliers_that_a_gaussian_does_not():
    robust, plain = (error(likelihood, 0.06, 0.1)[1] for likelihood in ("cauchy", "gaussian"))
    assert robust < 0.3 < 0.5 * plain


def test_unseen_rows_and_columns_get_the_prior():
    model = randomized(model_for(prior_scale=0.7), 4, 0.2)
    layer = layer_of(model)
    asked = np.array([[-1, -1], [-1, 3]], np.float32)
    (mean, variance), noise = jax.tree.map(np.asarray, moments(model, jnp.asarray(asked)))
    s, t = (
        np.exp(2.0 * np.asarray(one.unseen, float)) for one in (model.globals.row_prior, model.globals.column_prior)
    )
    assert mean[0] == pytest.approx(float(layer.intercept))
    assert variance[0] == pytest.approx((s * t)[:-1].sum() + s[-1] + t[-1], rel=1e-5)
    # a new row with a known column: the column's bias stays
    assert mean[1] == pytest.approx(float(layer.intercept + layer.columns.mean[3, -1]))
    found = predict_pairs(jr.key(0), model, asked, draws=DRAWS)
    assert np.allclose(found.std, np.sqrt(variance + noise**2), rtol=1e-4)


@eqx.filter_jit
def rows_drawn(key, model, count):
    """All rows of a draw, two of them read alone, and many draws of one."""
    drawn = layer_of(model.globals.drawn(key, model)).rows
    each = jax.vmap(lambda one: layer_of(model.globals.drawn(one, model)).rows.row(jnp.asarray(4)))
    return drawn.whole(), drawn.row(jnp.asarray(4)), drawn.row(jnp.asarray(-1)), each(jr.split(jr.key(7), count))


def test_rows_are_drawn_alike_wherever_they_are_read():
    model = randomized(model_for("cauchy"), 5)
    whole, fourth, unseen, draws = jax.tree.map(np.asarray, rows_drawn(jr.key(6), model, 4000))
    assert np.array_equal(whole[4], fourth)
    assert np.array_equal(whole[-1], unseen)
    scale = np.exp(np.asarray(model.globals.row_log_scale)[4])
    mean = np.asarray(layer_of(model).rows.mean)[4]
    assert (np.abs(draws.mean(0) - mean) < 5.0 * scale / math.sqrt(4000)).all()
    assert np.allclose(draws.std(0), scale, rtol=5.0 / math.sqrt(8000))


def test_intervals_and_log_scores_are_those_of_the_mixture():
    model = randomized(model_for(), 8, 0.3)
    pairs = np.array([[0, 1], [5, 2]], np.float32)
    found = predict_pairs(jr.key(9), model, pairs, draws=DRAWS, level=0.8)
    locations = np.asarray(predictors(jr.key(9), model, jnp.asarray(pairs), DRAWS), float)
    scale = float(moments(model, jnp.asarray(pairs))[1])
    for k, (low, high) in enumerate(zip(found.low, found.high, strict=True)):
        assert scipy.stats.norm.cdf(low, locations[:, k], scale).mean() == pytest.approx(0.1, abs=1e-4)
        assert scipy.stats.norm.cdf(high, locations[:, k], scale).mean() == pytest.approx(0.9, abs=1e-4)
    y = np.array([[0.4], [-1.0]], np.float32)
    source = Source(Example(jnp.asarray(y), context=jnp.asarray(pairs)), "real", dynamic=False)
    score = predictive_score(jr.key(9), model, source, num_samples=DRAWS)
    expected = [np.log(scipy.stats.norm.pdf(y[k, 0], locations[:, k], scale).mean()) for k in range(2)]
    assert np.allclose(score.per_example, expected, atol=1e-4)


@jax.jit
def ordinal(predictor, cuts, levels, key):
    """All that is asked of the distribution."""
    found = Ordinal(predictor, cuts, levels)
    logs = [found.log_prob(jnp.full(2, value)) for value in (4.0, 3.0)]
    return found.log_probs, found.mean, found.cdf(jnp.full(2, 2.0)), *logs, found.sample(key, (4000,))


def test_levels_have_the_probabilities_of_cumulative_logits():
    cuts, f = np.array([-1.0, 0.2, 0.9]), np.array([-0.5, 40.0])
    levels = np.array([1.0, 2.0, 4.0, 5.0])
    cumulative = scipy.special.expit(np.hstack([cuts - f[:, None], np.full((2, 1), np.inf)]))
    probs = np.diff(np.hstack([np.zeros((2, 1)), cumulative]), axis=1)
    logs, mean, cdf, fourth, none, drawn = ordinal(*(jnp.asarray(x, jnp.float32) for x in (f, cuts, levels)), jr.key(0))
    # far out the smallest probability keeps its digits
    assert np.allclose(logs, np.log(probs), rtol=1e-5)
    assert np.allclose(mean, probs @ levels, atol=1e-5)
    assert np.allclose(cdf, cumulative[:, 1], atol=1e-6)
    assert np.allclose(fourth, np.log(probs[:, 2]), rtol=1e-5)
    assert np.isneginf(np.asarray(none)).all()  # three is no level
    counts = np.bincount(np.searchsorted(levels, np.asarray(drawn)[:, 0]), minlength=4)
    assert scipy.stats.chisquare(counts, 4000 * probs[0]).pvalue > 1e-6


@pytest.mark.slow
def test_ordinal_predictions_are_levels():
    model = randomized(model_for("ordinal", levels=[1.0, 2.0, 4.0]), 10, 0.3)
    found = predict_pairs(jr.key(0), model, np.array([[0, 0], [-1, 4]], np.float32), draws=DRAWS)
    assert set(found.low.tolist()) | set(found.high.tolist()) <= {1.0, 2.0, 4.0}
    assert ((found.low <= found.mean) & (found.mean <= found.high)).all()
    values, pairs = jnp.asarray([[2.0], [3.0]]), jnp.zeros((2, 2))
    with pytest.raises(InputError, match="1 of 2 values have no probability \\(the first is 3\\)"):
        predictive_score(jr.key(0), model, Source(Example(values, context=pairs), "real", dynamic=False), num_samples=5)
    with pytest.raises(InputError, match="at least two levels"):
        model_for("ordinal", levels=[1.0])


def whisky(inflate, noise=0.3):
    first = randomized(model_for(rank=1, noise_scale=noise), 11, 0.4)
    second = model_for(rank=1, noise_scale=noise, distilled=True, seed=1)
    return first, distilled_prior(second, first, range(ROWS), range(COLUMNS), inflate=inflate)


@eqx.filter_jit
def cost(model):
    """The divergence, and its slope."""
    params, rest = eqx.partition(model, trainable(model))

    def of(params):
        whole = eqx.combine(params, rest)
        return whole.globals.cost(jr.key(0), whole)

    return jax.value_and_grad(of)(params)


@pytest.mark.slow
def test_whisky_without_data_is_the_physics():
    first, second = whisky(1.0)
    pairs = np.stack(np.meshgrid(np.arange(ROWS), np.arange(COLUMNS)), -1).reshape(-1, 2).astype(np.float32)
    ours, theirs = (moments(model, jnp.asarray(pairs)) for model in (second, first))
    for mine, other in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        assert np.allclose(mine, other, atol=1e-5)
    # and it is where the divergence alone is least, zero
    nats, slopes = cost(second)
    assert float(nats) == pytest.approx(0.0, abs=1e-4)
    assert max(float(np.abs(leaf).max()) for leaf in jax.tree.leaves(slopes)) < 1e-4


@pytest.mark.slow
def test_whisky_with_a_wide_prior_is_plain_completion():
    _, y, known = planted()
    source = source_of(y, known)
    _, second = whisky(1e4)
    plain = model_for(rank=1, noise_scale=0.3, prior_scale=1e4, learn_prior=False)
    plain = eqx.tree_at(lambda one: one.generative, plain, second.generative)
    plain = eqx.tree_at(
        lambda one: (one.globals.row_log_scale, one.globals.column_log_scale),
        plain,
        (second.globals.row_log_scale, second.globals.column_log_scale),
    )
    ours, theirs = (jax.tree.leaves(gradient(model, source)[0]) for model in (second, plain))
    assert all(np.allclose(a, b, atol=1e-4) for a, b in zip(ours, theirs, strict=True))
    narrow = jax.tree.leaves(gradient(whisky(1e-1)[1], source)[0])
    assert not all(np.allclose(a, b, atol=1e-2) for a, b in zip(narrow, theirs, strict=True))


def test_a_distilled_prior_needs_models_that_fit():
    first, _ = whisky(1.0)
    with pytest.raises(InputError, match="must be equal"):
        distilled_prior(model_for(rank=2, distilled=True), first, range(ROWS), range(COLUMNS))
    with pytest.raises(InputError, match="inflate"):
        distilled_prior(model_for(rank=1, distilled=True), first, range(ROWS), range(COLUMNS), inflate=0.0)
    point = model_for(rank=1, factor_posterior="point")
    with pytest.raises(InputError, match="mean-field"):
        distilled_prior(model_for(rank=1, distilled=True), point, range(ROWS), range(COLUMNS))


@pytest.mark.slow
def test_a_physical_prediction_is_what_residuals_stand_on():
    model = randomized(model_for(physical=True, centre=jnp.full(1, 2.0), spread=jnp.full(1, 4.0)), 12, 0.2)
    pairs = np.array([[1, 2, 0.0], [1, 2, 7.5]], np.float32)
    found = predict_pairs(jr.key(0), model, pairs, draws=DRAWS)
    assert np.allclose(found.low[1] - found.low[0], 7.5, rtol=1e-4)
    assert found.mean[1] - found.mean[0] == pytest.approx(7.5, rel=1e-5)
    assert found.std[1] == pytest.approx(found.std[0], rel=1e-5)


def test_a_point_posterior_is_the_maximum_a_posteriori():
    _, y, known = planted()
    source = source_of(y, known)
    model = randomized(model_for(factor_posterior="point", noise_scale=0.3, prior_scale=0.8), 13, 0.2)
    layer = layer_of(model)
    i, j = np.nonzero(known)
    u, v = np.asarray(layer.rows.mean, float), np.asarray(layer.columns.mean, float)
    mean = float(layer.intercept) + (u[i, :-1] * v[j, :-1]).sum(1) + u[i, -1] + v[j, -1]
    penalty = -sum(scipy.stats.norm.logpdf(side, 0.0, 0.8).sum() for side in (u, v))
    assert float(cost(model)[0]) == pytest.approx(penalty, rel=1e-5)
    assert gradient(model, source)[1] == pytest.approx(scipy.stats.norm.logpdf(y[i, j], mean, 0.3).sum(), rel=1e-4)


@pytest.mark.parametrize("kind", ["ordinal", "distilled"])
def test_models_come_back_from_files_with_their_posterior(tmp_path, kind):
    model = whisky(2.0)[1] if kind == "distilled" else randomized(model_for("ordinal", levels=[1.0, 2.0, 4.0]), 14)
    save_model(tmp_path / "model.safetensors", model)
    again = load_model(tmp_path / "model.safetensors")
    assert again.spec == model.spec
    assert jax.tree.structure(again) == jax.tree.structure(model)
    assert all(np.array_equal(a, b) for a, b in zip(*(jax.tree.leaves(m) for m in (model, again)), strict=True))


def test_refusals_say_what_to_do():
    with pytest.raises(InputError, match="one pair at a time"):
        build(jr.key(0), "factorization", {"shape": [3], "rank": 1})
    with pytest.raises(InputError, match="settled by"):
        build(jr.key(0), "factorization", {"shape": [1]})
    with pytest.raises(InputError, match="units of measurements"):
        model_for("ordinal", levels=[1.0, 2.0], physical=True)
    with pytest.raises(InputError, match="use it with the model factorization"):
        build(jr.key(0), "vae", {"shape": [4], "likelihood": "cauchy"})
    with pytest.raises(InputError, match="no values of pairs"):
        pairs_in(Source(Example(jnp.zeros((2, 3))), "real", dynamic=False))
    with pytest.raises(InputError, match="draws must be at least 1"):
        predict_pairs(jr.key(0), model_for(), np.zeros((2, 2), np.float32), draws=0)


def test_errors_are_those_of_the_means():
    answers = Answers(*(np.array(part) for part in ([1.0, 2.0], [1.0, 1.0], [0.5, 1.0], [1.5, 3.0])))
    assert pair_errors(answers, np.array([1.0, 5.0])) == Errors(math.sqrt(4.5), 1.5, 0.5, 2)
