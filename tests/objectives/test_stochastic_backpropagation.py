"""Bonnet's and Price's identities against exact derivatives, and input noise with clean targets."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
import scipy.stats

from nelbo.bayes import WithGlobals, shared_parameters
from nelbo.core import Example, InputError
from nelbo.distributions import CholeskyNormal, Normal
from nelbo.models import Conditional, Reads, dlgm, vae
from nelbo.objectives import InputNoise, Sgvb, StochasticBackpropagation, gaussian_gradient

A = np.array([[2.0, 0.5, 0.0], [0.5, 1.0, -0.3], [0.0, -0.3, 0.7]])
B = np.array([1.0, -2.0, 0.5])
CUBES = np.array([0.3, -0.2, 0.1])
MEAN = np.array([0.3, -0.5, 1.0])
ROOT = np.array([[1.0, 0, 0], [0.4, 0.8, 0], [-0.3, 0.2, 0.6]])


def f(z):
    """A quadratic and a cubic part: both have exact Gaussian expectations."""
    a, b, c = (jnp.asarray(part, jnp.float32) for part in (A, B, CUBES))
    return 0.5 * z @ a @ z + b @ z + c @ z**3


def expectation(mean, root):
    """E[f] in closed form: E z^3 = m^3 + 3 m v."""
    covariance = root @ root.T
    quadratic = 0.5 * (np.trace(A @ covariance) + mean @ A @ mean) + B @ mean
    return quadratic + CUBES @ (mean**3 + 3 * mean * np.diag(covariance))


def finite_difference(function, point, step=1e-5):
    grad = np.zeros_like(point)
    for index in np.ndindex(*point.shape):
        shift = np.zeros_like(point)
        shift[index] = step
        grad[index] = (function(point + shift) - function(point - shift)) / (2 * step)
    return grad


def test_the_factor_of_the_root_gradient_is_one_and_not_the_printed_half():
    """H0: E[g], E[g eps'] and E[H]/2 are the exact gradients; 21 z-scores, |z| < 5, false alarm 1e-5, fixed seed.

    With the factor 1/2 that is printed for the root, the same test fails by far.
    """
    q = CholeskyNormal(jnp.asarray(MEAN, jnp.float32), jnp.asarray(ROOT, jnp.float32))
    count = 40_000
    one = jax.jit(jax.vmap(lambda k: gaussian_gradient(k, f, q)))
    draws = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), one(jr.split(jr.key(0), count)))
    to_mean = finite_difference(lambda m: expectation(m, ROOT), MEAN)
    to_root = finite_difference(lambda r: expectation(MEAN, r), ROOT)
    to_covariance = 0.5 * (A + np.diag(6 * CUBES * MEAN))

    def score(values, exact):
        error = np.maximum(values.std(0) / np.sqrt(count), 1e-6)
        return np.abs((values.mean(0) - exact) / error).max()

    assert score(draws.mean, to_mean) < 5
    assert score(draws.root, to_root) < 5
    assert score(draws.covariance, to_covariance) < 5
    assert score(0.5 * draws.root, to_root) > 50


def test_price_has_no_noise_on_a_quadratic():
    q = Normal(jnp.asarray(MEAN, jnp.float32), jnp.asarray([0.5, 1.0, 2.0]))
    one = jax.jit(lambda k: gaussian_gradient(k, lambda z: 0.5 * z @ jnp.asarray(A, jnp.float32) @ z, q))
    estimate = one(jr.key(0))
    np.testing.assert_allclose(estimate.covariance, 0.5 * A, rtol=1e-5)


def gradients(objective, model, batch, count):
    def one(key):
        def loss(model):
            return objective(key, model, batch, objective.init(jr.key(5), model))[0].surrogate

        grads = eqx.filter_grad(loss)(model)
        return jnp.concatenate([jnp.ravel(leaf) for leaf in jax.tree.leaves(eqx.filter(grads, eqx.is_array))])

    return np.asarray(jax.jit(jax.vmap(one))(jr.split(jr.key(1), count)), np.float64)


@pytest.mark.slow
@pytest.mark.share(2)
@pytest.mark.parametrize("posterior", ["diagonal", "rank-one"])
def test_both_estimators_have_the_gradient_of_automatic_differentiation(posterior):
    """H0: equal means; about 100 z-scores of differences, |z| < 5.5, false alarm 4e-6 a case, fixed seed."""
    model = dlgm(jr.key(0), (4,), layers=(2, 2), hidden=(3,), posterior=posterior, activation="tanh")
    batch = jnp.asarray([[1.0, 0.0, 1.0, 1.0], [0.0, 0.0, 1.0, 0.0]])
    count = 4000
    reference = gradients(Sgvb("B"), model, batch, count)
    for hessian in (False, True):
        estimate = gradients(StochasticBackpropagation(hessian=hessian), model, batch, count)
        spread = np.sqrt((estimate.var(0) + reference.var(0)) / count)
        assert (np.abs(estimate.mean(0) - reference.mean(0)) <= 5.5 * spread + 1e-6).all()


def test_models_whose_posterior_is_no_function_of_the_data_alone_are_refused():
    model = dlgm(jr.key(0), (4,), layers=(2, 2), hidden=(3,))
    nearest = Conditional(model.recognition.layers[1].net, model.recognition.layers[1].head, Reads.NEAREST)
    chained = eqx.tree_at(lambda m: m.recognition.layers, model, (model.recognition.layers[0], nearest))
    with pytest.raises(InputError, match="see the data alone"):
        StochasticBackpropagation().init(jr.key(5), chained)


CALLS = []


class Calls(Sgvb):
    """Keeps the batches that it was given."""

    def __call__(self, key, model, batch, state):
        CALLS.append(batch)
        return eqx.filter_jit(Sgvb.__call__)(self, key, model, batch, state)


@eqx.filter_jit
def one_draw(model, x):
    """Latents of q, and q's mean."""
    latents, parts = model.recognition(x).sample(jr.key(3))
    return latents, parts[0].mean


log_p = eqx.filter_jit(lambda model, x, latents: model.generative.log_prob(x, latents))


@pytest.mark.slow
@pytest.mark.share(3)
@pytest.mark.parametrize(("kind", "rate"), [("bit-flip", 0.2), ("drop-out", 0.2), ("gaussian", 0.5)])
def test_noise_reaches_the_recognition_model_and_not_the_likelihood(kind, rate):
    """H0: entries change with the stated rate; |z| < 5, false alarm 6e-7, fixed seed."""
    model = vae(jr.key(0), (50,), latents=2, hidden=(3,))
    batch = jr.bernoulli(jr.key(1), 0.5, (400, 50)).astype(jnp.float32)
    objective = InputNoise(Calls("B"), noise=kind, rate=rate)
    CALLS.clear()
    objective(jr.key(2), model, batch, objective.init(jr.key(5), model))
    (seen,) = CALLS
    assert (seen.values == batch).all()
    difference = np.asarray(seen.view.values - batch)
    if kind == "gaussian":
        z = (difference.var() / rate**2 - 1) * np.sqrt(difference.size / 2)
    else:
        able = np.asarray(batch) == 1 if kind == "drop-out" else np.ones(batch.shape, bool)
        assert (difference[~able] == 0).all()
        z = ((difference[able] != 0).mean() - rate) / np.sqrt(rate * (1 - rate) / able.sum())
    assert abs(z) < 5
    first = jax.tree.map(lambda leaf: leaf[0], seen)
    latents, mean = one_draw(model, first)
    np.testing.assert_allclose(mean, one_draw(model, Example(first.view.values))[1])
    np.testing.assert_allclose(log_p(model, first, latents), log_p(model, batch[0], latents))


def halves(model, batch):
    """The whole and the hidden half of a batch."""
    CALLS.clear()
    objective = InputNoise(Calls("B"), noise="hide", rate=0.8)
    objective(jr.key(2), model, batch, objective.init(jr.key(5), model))
    return CALLS


@pytest.mark.slow
def test_hidden_entries_reach_the_recognition_model_as_missing_and_not_the_likelihood():
    """H0: the shares that are hidden are uniform on [0, 0.8] (p > 1e-6)."""
    model = vae(jr.key(0), (50,), latents=2, hidden=(3,), missing="mask")
    batch = jr.bernoulli(jr.key(1), 0.5, (400, 50)).astype(jnp.float32)
    known = jnp.broadcast_to(jnp.arange(50) > 4, batch.shape)
    whole, seen = halves(model, batch)
    np.testing.assert_array_equal(whole, batch[:200])
    values, observed = seen.view.values, seen.view.observed
    assert (seen.values == batch[200:]).all()
    assert (np.asarray(values) == np.where(observed, batch[200:], 0.0)).all()
    shares = 1.0 - np.asarray(observed).mean(1)
    # shares of 50 entries scatter around the uniform ones
    rough = np.random.default_rng(0).binomial(50, np.random.default_rng(1).uniform(0, 0.8, 20_000)) / 50
    assert scipy.stats.ks_2samp(shares, rough).pvalue > 1e-6
    # what is missing in the data stays missing, and only that for the likelihood
    _, both = halves(model, Example(jnp.where(known, batch, 0.0), known))
    assert not np.asarray(both.view.observed)[:, :5].any()
    np.testing.assert_array_equal(both.view.observed, np.asarray(observed) & np.asarray(known[200:]))
    first = jax.tree.map(lambda leaf: leaf[0], both)
    latents, mean = one_draw(model, first)
    shown = Example(both.view.values[0], both.view.observed[0])
    np.testing.assert_allclose(mean, one_draw(model, shown)[1])
    clean = log_p(model, Example(jnp.where(known, batch, 0.0)[200], known[200]), latents)
    np.testing.assert_allclose(log_p(model, first, latents), clean)


@pytest.mark.slow
def test_the_generative_model_learns_from_whole_examples_alone():
    """Its gradient is half of that of the whole half; the recognition model's has both parts."""
    model = vae(jr.key(0), (20,), latents=2, hidden=(3,), missing="mask")
    batch = jr.bernoulli(jr.key(1), 0.5, (6, 20)).astype(jnp.float32)
    objective = InputNoise(Sgvb("B"), noise="hide", rate=1.0)
    state = objective.init(jr.key(5), model)
    _, whole_key, _ = jr.split(jr.key(2), 3)
    slope = lambda loss: eqx.filter_jit(eqx.filter_grad(loss))(model)  # noqa: E731
    found = slope(lambda m: objective(jr.key(2), m, batch, state)[0].surrogate)
    whole = slope(lambda m: Sgvb("B")(whole_key, m, batch[:3], state)[0].surrogate)
    for a, b in zip(jax.tree.leaves(found.generative), jax.tree.leaves(whole.generative), strict=True):
        np.testing.assert_allclose(a, 0.5 * b, rtol=1e-5, atol=1e-7)
    first = lambda m: np.asarray(jax.tree.leaves(m.recognition)[0])  # noqa: E731
    assert np.abs(first(found) - 0.5 * first(whole)).max() > 1e-3
    one = objective(jr.key(2), model, batch[:1], state)[0]  # is seen with hidden parts, or as it is
    assert np.isfinite(one.bound)


def test_reported_bounds_are_without_noise_and_wrappers_combine():
    model = vae(jr.key(0), (8,), latents=2, hidden=(3,))
    batch = jr.bernoulli(jr.key(1), 0.5, (5, 8)).astype(jnp.float32)
    objective = WithGlobals(InputNoise(Sgvb("path"), rate=0.5), num_data=10)
    shared = shared_parameters(model, posterior="delta", where="generative")
    plain = eqx.filter_jit(Sgvb("path").bounds)(jr.key(2), model, batch)
    np.testing.assert_allclose(eqx.filter_jit(objective.bounds)(jr.key(2), shared, batch), plain)
    loss, _ = eqx.filter_jit(objective)(jr.key(3), shared, batch, objective.init(jr.key(5), shared))
    assert bool(jnp.isfinite(loss.surrogate))
    with pytest.raises(InputError, match=r"from 0 to 1, got 1\.5"):
        InputNoise(Sgvb(), rate=1.5)
