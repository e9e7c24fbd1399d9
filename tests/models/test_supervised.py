"""Regression and classification against closed forms, scikit-learn and scipy."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
import pytest
import scipy.stats

from nelbo.bayes import WithGlobals, shared_parameters, with_samples
from nelbo.core import Example, InputError
from nelbo.data import Source
from nelbo.distributions import Normal, Poisson, StudentT, class_count
from nelbo.evaluation import mixture_quantile, predictive
from nelbo.models import Globals, build, with_globals, without_globals
from nelbo.nets import trainable
from nelbo.objectives import MaximumLikelihood
from nelbo.tasks import predict
from nelbo.training import fit

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 3)).astype(np.float32)
NOISE, PRIOR = 0.5, 1.5


def rows(x, y=None, observed=None):
    y = np.zeros(len(x)) if y is None else y
    context = Example(jnp.asarray(x), None if observed is None else jnp.asarray(observed))
    return Source(Example(jnp.asarray(y, jnp.float32)[:, None], context=context), "real", dynamic=False)


def linear_model(name="regression", **options):
    return build(jr.key(0), name, {"shape": [3], "architecture": "linear", **options})


def dense(model):
    return model.generative.layers[0].net.layers[0]


def weights_of(model):
    """Weights and bias as one float64 vector."""
    layer = dense(model)
    return np.concatenate([np.asarray(layer.weight, np.float64).ravel(), np.asarray(layer.bias, np.float64)])


def minimized(model, objective, data):
    """The model at the optimum of an objective that is smooth and of few numbers: whole batches and L-BFGS."""
    params, static = eqx.partition(model, trainable(model))
    state, batch = objective.init(jr.key(0), model), data.arrays

    def loss(params):
        return objective(jr.key(1), eqx.combine(params, static), batch, state)[0].surrogate

    solver = optax.lbfgs()

    @jax.jit
    def solve(params):
        def step(_, carry):
            params, inner = carry
            value, gradient = optax.value_and_grad_from_state(loss)(params, state=inner)
            updates, inner = solver.update(gradient, inner, params, value=value, grad=gradient, value_fn=loss)
            return optax.apply_updates(params, updates), inner

        return jax.lax.fori_loop(0, 60, step, (params, solver.init(params)))[0]

    with jax.numpy_dtype_promotion("standard"):  # optax mixes types
        return eqx.combine(solve(params), static)


def design(x):
    return np.concatenate([np.asarray(x, np.float64), np.ones((len(x), 1))], 1)


def exact_posterior(x, y):
    """Mean and covariance of weights and bias under N(0, PRIOR^2) and Gaussian noise (Bishop 2006, eq. 3.53)."""
    a = design(x)
    covariance = np.linalg.inv(a.T @ a / NOISE**2 + np.eye(4) / PRIOR**2)
    return covariance @ a.T @ y / NOISE**2, covariance


def test_the_map_of_a_linear_regression_is_the_posterior_mean():
    y = X @ np.array([1.0, -2.0, 0.5]) + 0.3 + NOISE * RNG.normal(size=len(X))
    model = shared_parameters(linear_model(noise=NOISE), posterior="delta", prior_scale=PRIOR)
    found = minimized(model, WithGlobals(MaximumLikelihood(), len(X)), rows(X, y))
    np.testing.assert_allclose(weights_of(found), exact_posterior(X, y)[0], atol=2e-3)


def test_the_prior_on_the_noise_moves_it_by_little():
    """At the best of n log s + SSR / 2 s^2 + (log s)^2 / 2, log s is about -log s / 2n from that of the residuals."""
    y = 1e-1 * RNG.normal(size=len(X))
    model = shared_parameters(linear_model(), posterior="delta", prior_scale=1.0)
    found = minimized(model, WithGlobals(MaximumLikelihood(), len(X)), rows(X, y))
    raw = float(found.generative.layers[0].head.raw_scale)
    moved = np.log(np.exp(raw) + 1e-3) - 0.5 * np.log(np.mean((y - design(X) @ weights_of(found)) ** 2))
    assert moved == pytest.approx(-raw / (2 * len(X)), rel=0.1)


def test_a_logistic_regression_is_scikit_learns_at_equal_penalty():
    from sklearn.linear_model import LogisticRegression

    y = (X @ np.array([1.0, -2.0, 0.5]) + RNG.logistic(size=len(X)) > 0).astype(int)
    model = shared_parameters(
        linear_model("classification", likelihood="bernoulli"), posterior="delta", prior_scale=PRIOR
    )
    found = minimized(model, WithGlobals(MaximumLikelihood(), len(X)), rows(X, y))
    # a column of ones without an intercept: there the bias is not penalized, here it is
    theirs = LogisticRegression(C=PRIOR**2, fit_intercept=False, tol=1e-8).fit(design(X), y)
    np.testing.assert_allclose(weights_of(found), theirs.coef_[0], atol=2e-3)
    probabilities = predict(jr.key(0), found, rows(X)).probabilities
    np.testing.assert_allclose(probabilities, theirs.predict_proba(design(X)), atol=1e-3)


def test_the_predictive_variance_is_the_closed_form():
    """Noise and weights together, under the exact posterior; 4000 draws.

    The estimate of a variance has a relative standard deviation of sqrt(2 / 4000) = 2.2 %, of its weight part alone:
    at 12 % ten examples fail together by chance less than once in a million.
    """
    y = X @ np.array([1.0, -2.0, 0.5]) + NOISE * RNG.normal(size=len(X))
    few, new = X[:6], X[30:]
    mean, covariance = exact_posterior(few, y[:6])
    model = with_posterior(linear_model(noise=NOISE), mean, covariance)
    found = predict(jr.key(3), model, rows(new), draws=4000, interval=0.9)
    weight_variance = np.einsum("ni,ij,nj->n", design(new), covariance, design(new))
    std = np.sqrt(NOISE**2 + weight_variance)
    np.testing.assert_allclose(found.std**2 - NOISE**2, weight_variance, rtol=0.12)
    np.testing.assert_allclose(found.mean, design(new) @ mean, atol=5 * np.sqrt(weight_variance.max() / 4000))
    np.testing.assert_allclose(found.high - found.low, 2 * scipy.stats.norm.ppf(0.95) * std, rtol=0.06)
    # log p(y | x, data) with the draws averaged inside the logarithm
    scores = predictive(jr.key(3), model, rows(new, y[30:]), draws=4000)
    exact = scipy.stats.norm.logpdf(y[30:], design(new) @ mean, std)
    np.testing.assert_allclose(scores.log_score, exact, atol=0.12)


def test_stored_draws_are_averaged_over_and_the_models_own_point_is_not_asked():
    model = linear_model(noise=NOISE)
    params = eqx.filter(model, trainable(model))
    shifts = np.array([1.0, -2.0, 4.0], np.float32)
    sampled = with_samples(model, jax.tree.map(lambda leaf: jnp.stack([leaf + s for s in shifts]), params))
    y = np.zeros(4)
    found = predictive(jr.key(0), sampled, rows(X[:4], y))
    weights = weights_of(model)
    means = np.stack([design(X[:4]) @ (weights + s) for s in shifts])
    exact = np.log(scipy.stats.norm.pdf(y, means, NOISE).mean(0))
    assert found.draws == 3  # as many as there are, and not the hundred that are asked for
    np.testing.assert_allclose(found.log_score, exact, rtol=1e-4)
    np.testing.assert_allclose(found.mean, means.mean(0), rtol=1e-4, atol=1e-5)


class ExactPosterior(Globals):
    """N(the model's weights, L L^T) over weights and bias together."""

    lower: jax.Array
    in_bound = True
    of_family = False

    def sample(self, key, model):
        whole = without_globals(model)
        drawn = self.lower @ jr.normal(key, (4,))
        new = (dense(whole).kernel + drawn[:3, None], dense(whole).bias + drawn[3:])
        return eqx.tree_at(places, whole, new)

    def cost(self, key, model):
        raise AssertionError(f"predictions do not ask what {key} and {model} cost")


def places(model):
    return dense(model).kernel, dense(model).bias


def with_posterior(model, mean, covariance):
    """The model with the exact posterior over its weights."""
    values = (jnp.asarray(mean[:3, None], jnp.float32), jnp.asarray(mean[3:], jnp.float32))
    exact = ExactPosterior(jnp.asarray(np.linalg.cholesky(covariance), jnp.float32))
    return with_globals(eqx.tree_at(places, model, values), exact)


@pytest.mark.share(4)
@pytest.mark.parametrize("likelihood", ["gaussian", "student-t", "poisson"])
def test_a_target_is_in_the_users_units(likelihood):
    """Density, mean, variance and quantiles are scipy's at the parameters in the target's units."""
    model = linear_model(likelihood=likelihood, target_centre=jnp.array([7.0]), target_spread=jnp.array([2.0]))
    data = rows(X[:5], np.array([3.0, 5.0, 7.0, 9.0, 12.0]))
    found = predictive(jr.key(0), model, data, levels=(0.05, 0.5, 0.95))
    raw = design(X[:5]) @ weights_of(model)
    scale = 2.0 * (1.0 + 1e-3)
    theirs = {
        "gaussian": scipy.stats.norm(7.0 + 2.0 * raw, scale),
        "student-t": scipy.stats.t(4.0, 7.0 + 2.0 * raw, scale),
        "poisson": scipy.stats.poisson(7.0 * np.exp(raw)),
    }[likelihood]
    log_density = theirs.logpmf if likelihood == "poisson" else theirs.logpdf
    np.testing.assert_allclose(found.log_score, log_density(found.target), rtol=1e-4)
    np.testing.assert_allclose(found.mean, theirs.mean(), rtol=1e-4)
    np.testing.assert_allclose(found.std, theirs.std(), rtol=1e-4)
    for i, level in enumerate((0.05, 0.5, 0.95)):
        np.testing.assert_allclose(found.quantiles[:, i], theirs.ppf(level), rtol=1e-4, atol=1e-3)
    middle = 0.5 * theirs.pmf(found.target) if likelihood == "poisson" else 0.0
    np.testing.assert_allclose(found.cdf, theirs.cdf(found.target) - middle, atol=1e-4)


def test_cumulative_distributions_are_scipys():
    at = jnp.array([-30.0, -2.0, 0.0, 0.7, 25.0])
    one = jnp.ones(5)
    t = StudentT(4.0 * one, 0.5 * one, 2.0 * one)
    np.testing.assert_allclose(t.cdf(at), scipy.stats.t.cdf(np.asarray(at), 4.0, 0.5, 2.0), atol=1e-6)
    counts = jnp.array([-1.0, 0.0, 2.0, 2.9, 8.0])
    np.testing.assert_allclose(
        Poisson(jnp.log(3.0 * one)).cdf(counts), scipy.stats.poisson.cdf(np.asarray(counts), 3.0), atol=1e-6
    )
    draws = Poisson(jnp.log(3.0 * jnp.ones(1))).sample(jr.key(0), (2000,))
    assert float(draws.mean()) == pytest.approx(3.0, abs=0.2)  # five standard errors
    assert class_count(Poisson(one)) is None


def test_a_quantile_of_a_mixture_halves_its_mass():
    parts = Normal(jnp.array([[-4.0], [4.0]]), jnp.array([[1.0], [1.0]]))
    quantile = jax.jit(lambda level: mixture_quantile(parts, level))
    for level in (0.25, 0.75):
        y = float(quantile(jnp.asarray(level)))
        mass = np.mean(scipy.stats.norm.cdf(y, [-4.0, 4.0], 1.0))
        assert mass == pytest.approx(level, abs=1e-4)


@pytest.mark.slow
def test_probabilities_are_averaged_not_logits():
    model = shared_parameters(linear_model("classification", classes=3), posterior="mean-field", log_scale=1.0)
    found = predict(jr.key(5), model, rows(X[:4]), draws=8)
    drawn = model.globals.draws(jr.key(5), model, 8)
    logits = np.stack(
        [
            design(X[:4]) @ np.concatenate([kernel, bias[None]])
            for kernel, bias in zip(dense(drawn).kernel, dense(drawn).bias, strict=True)
        ]
    )
    soft = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    np.testing.assert_allclose(found.probabilities, soft.mean(0), atol=1e-4)
    assert found.draws == 8


@pytest.mark.slow
def test_missing_features_are_at_the_mean_and_the_mask_is_seen():
    x = np.where(np.arange(3) == 1, 0.0, X[:4]).astype(np.float32)
    observed = np.broadcast_to(np.arange(3) != 1, x.shape)
    centre = jnp.array([1.0, 2.0, 3.0])
    model = linear_model(missing="mean", centre=centre, spread=jnp.ones(3))
    filled = np.where(observed, x, np.asarray(centre))
    gaps, whole = (predict(jr.key(0), model, data).mean for data in (rows(x, observed=observed), rows(filled)))
    np.testing.assert_allclose(gaps, whole, rtol=1e-5)
    told = linear_model(missing="mask", centre=centre, spread=jnp.ones(3))
    gaps, whole = (predict(jr.key(0), told, data).mean for data in (rows(x, observed=observed), rows(filled)))
    assert np.abs(gaps - whole).max() > 1e-3


@pytest.mark.slow
def test_a_network_learns_and_equal_columns_do_no_harm():
    """A parabola, whose feature stands there twice; the best line leaves a standard deviation of 0.75."""
    x = RNG.uniform(-2, 2, (200, 1)).astype(np.float32)
    y = x[:, 0] ** 2 + 0.1 * RNG.normal(size=200)
    model = build(jr.key(0), "regression", {"shape": [2], "hidden": [16]})
    data = rows(np.repeat(x, 2, 1), y)
    with jax.numpy_dtype_promotion("standard"):
        done = fit(jr.key(1), model, MaximumLikelihood(), data, optax.adam(0.02), steps=400, batch_size=50, keep="last")
    found = predict(jr.key(0), done.model, data)
    assert np.sqrt(np.mean((found.mean - y) ** 2)) < 0.3


def test_impossible_settings_are_refused():
    for options, words in (
        ({"likelihood": "bernoulli"}, "likelihood of a regression"),
        ({"noise": -1.0}, "noise must be a positive"),
        ({"likelihood": "poisson", "noise": 1.0}, "no noise"),
        ({"architecture": "deep"}, "architecture"),
        ({"architecture": "conv"}, "height x width"),
    ):
        with pytest.raises(InputError, match=words):
            linear_model(**options)
    with pytest.raises(InputError, match="two classes"):
        linear_model("classification", likelihood="bernoulli", classes=3)
    with pytest.raises(InputError, match="features"):
        linear_model().draw(jr.key(0), Example(jnp.ones(1)))
    with pytest.raises(InputError, match="between 0 and 1"):
        predict(jr.key(0), linear_model(), rows(X), interval=1.0)
    with pytest.raises(InputError, match="predicts nothing"):
        predict(jr.key(0), build(jr.key(0), "vae", {"shape": [3], "latents": 1, "hidden": [2]}), rows(X))
