"""Deep latent Gaussian models: the process, closed-form KL in every layer, linear cases against exact normals."""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
import scipy.stats

from nelbo.core import Example, InputError
from nelbo.data import Source
from nelbo.evaluation import importance_bound
from nelbo.models import Mixing, build, dlgm, factor_analysis, load_model, save_model
from nelbo.objectives import Sgvb

FAMILIES = ("diagonal", "rank-one", "low-rank", "full")


@eqx.filter_jit
def jittered(model, seed=1):
    """The model with every array moved, so that no test passes because something is zero or one."""
    leaves, tree = jax.tree.flatten(eqx.filter(model, eqx.is_inexact_array))
    keys = jr.split(jr.key(seed), len(leaves))
    moved = [leaf + 0.3 * jr.normal(k, leaf.shape) for k, leaf in zip(keys, leaves, strict=True)]
    return eqx.combine(jax.tree.unflatten(tree, moved), model)


def exact_visible(model, latents):
    """W, b and the noise scales of a linear model, from the means at zero and at each unit vector, in float64."""
    sizes = [layer.size for layer in model.generative.layers[1:]]
    splits = np.cumsum(sizes)[:-1]

    @eqx.filter_jit
    @functools.partial(eqx.filter_vmap, in_axes=(None, 0))
    def at(model, flat):
        made = model.generative.likelihood(tuple(jnp.split(flat, splits)))
        return made.mean, made.scale

    means, scales = (np.asarray(part, np.float64) for part in at(model, np.eye(latents + 1, latents, dtype=np.float32)))
    return (means[:-1] - means[-1]).T, means[-1], scales[-1]


@pytest.mark.share(3)
@pytest.mark.parametrize("covariance", ["diagonal", "low-rank", "full"])
def test_mixing_starts_as_the_identity_and_is_the_matrix_it_says(covariance):
    mixing = Mixing(jr.key(0), 4, covariance=covariance, rank=2)
    noise = jnp.arange(4.0)
    np.testing.assert_allclose(mixing(noise), noise)
    moved = jittered(mixing)
    matrix = jax.vmap(moved, out_axes=1)(jnp.eye(4))
    np.testing.assert_allclose(moved(noise), matrix @ noise, rtol=1e-5)
    off = np.asarray(matrix - jnp.diag(jnp.diagonal(matrix)))
    assert (np.abs(off).max() > 0) == (covariance != "diagonal")


@pytest.mark.slow
@pytest.mark.parametrize("posterior", FAMILIES)
def test_bound_and_kl_of_linear_models_are_their_closed_forms(posterior):
    """With T linear the exact ELBO of N(m, C) is known; layer for layer the KL is, too (relative 1e-5)."""
    model = jittered(
        dlgm(jr.key(0), (5,), layers=(3, 2), hidden=(), recognition_hidden=(4,), likelihood="gaussian-fixed",
             covariance="full", posterior=posterior, rank=2)
    )  # fmt: skip
    w, b, scale = exact_visible(model, 5)
    x = jnp.linspace(-1.0, 1.0, 5)

    @eqx.filter_jit
    def run(model, key):
        draw = model.draw(key, x)
        parts = [(p.mean, getattr(p, "covariance", None)) for p in draw.parts]
        return model.kl(draw), parts, [p.variance for p in draw.parts]

    kl, parts, variances = run(model, jr.key(1))
    means, covariances = [], []
    for layer, (mean, covariance) in enumerate(parts):
        m = np.asarray(mean, np.float64)
        c = np.asarray(jnp.diag(variances[layer]) if covariance is None else covariance, np.float64)
        exact = 0.5 * (np.trace(c) + m @ m - len(m) - np.linalg.slogdet(c)[1])
        assert float(kl[layer]) == pytest.approx(exact, rel=1e-5)
        means.append(m)
        covariances.append(c)
    mean = np.concatenate(means)
    residual = np.asarray(x, np.float64) - b - w @ mean
    joint = np.zeros((5, 5))
    joint[:3, :3], joint[3:, 3:] = covariances
    expected = scipy.stats.norm.logpdf(residual, 0.0, scale).sum() - 0.5 * (np.diag(w @ joint @ w.T) / scale**2).sum()
    # z-test of E_q log p(x|z) against its closed form; |z| < 5, false alarm 6e-7, fixed seed
    log_p = eqx.filter_jit(eqx.filter_vmap(lambda k: model.draw(k, x).log_p[0]))
    draws = np.asarray(log_p(jr.split(jr.key(2), 20_000)), np.float64)
    assert abs(draws.mean() - expected) < 5 * draws.std() / np.sqrt(len(draws))


def log_evidence(w, b, scale, x, observed=None):
    seen = np.ones(len(b), bool) if observed is None else observed
    covariance = (w @ w.T + np.diag(scale**2))[np.ix_(seen, seen)]
    return scipy.stats.multivariate_normal(b[seen], covariance).logpdf(np.asarray(x, np.float64)[seen])


@pytest.mark.slow
def test_with_a_full_covariance_the_bound_is_log_p_at_the_optimum():
    """Factor analysis with q set to the exact posterior: log w is log p(x) for every draw, and KL form B agrees."""
    model = jittered(factor_analysis(jr.key(0), (6,), latents=3, scale=0.7))
    w, b, scale = exact_visible(model, 3)
    covariance = np.linalg.inv(np.eye(3) + w.T @ (w / scale[:, None] ** 2))
    gain = covariance @ w.T / scale**2
    lower = np.linalg.cholesky(covariance)
    below = lower[np.tril_indices(3, -1)] * np.sqrt(3.0)
    rest = np.concatenate([2.0 * np.log(np.diag(lower)), below])
    model = eqx.tree_at(
        lambda m: (
            m.recognition.layers[0].net.layers[0].kernel,
            m.recognition.layers[0].net.layers[0].bias,
            m.recognition.layers[0].head.rest,
        ),
        model,
        (jnp.asarray(gain.T, jnp.float32), jnp.asarray(-gain @ b, jnp.float32), jnp.asarray(rest, jnp.float32)),
    )
    x = 2.0 * jr.normal(jr.key(3), (6,))
    exact = log_evidence(w, b, scale, x)
    draws = eqx.filter_jit(eqx.filter_vmap(lambda k: model.draw(k, x)))(jr.split(jr.key(4), 50))
    np.testing.assert_allclose(np.asarray(draws.log_p.sum(-1) - draws.log_q.sum(-1)), exact, rtol=1e-5)


@pytest.mark.slow
def test_samples_have_the_covariance_of_the_linear_process():
    """H0: the draws have covariance W W' + noise; 15 z-scores, |z| < 5, false alarm 9e-6, fixed seed."""
    model = jittered(dlgm(jr.key(0), (5,), layers=(3, 2), hidden=(), recognition_hidden=(4,), covariance="low-rank",
                          rank=1, likelihood="gaussian-fixed"))  # fmt: skip
    w, b, scale = exact_visible(model, 5)
    covariance = w @ w.T + np.diag(scale**2)
    sample = eqx.filter_jit(eqx.filter_vmap(lambda k: model.generative.sample(k)[0]))
    draws = np.asarray(sample(jr.split(jr.key(5), 20_000))) - b
    spread = np.sqrt((covariance**2 + np.outer(np.diag(covariance), np.diag(covariance))) / len(draws))
    assert np.abs((draws.T @ draws / len(draws) - covariance) / spread).max() < 5


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("dlgm", {"layers": [4, 3], "hidden": [6], "posterior": "rank-one", "covariance": "low-rank", "rank": 2}),
        ("nonlinear-belief-network", {"layers": [4, 3], "recognition_hidden": [6]}),
        ("nonlinear-factor-analysis", {"latents": 3, "hidden": [6], "posterior": "full"}),
        ("factor-analysis", {"latents": 3}),
        ("linear", {"latents": 3, "posterior": "rank-one"}),
    ],
)
def test_named_models_train_and_come_back_from_their_file(name, arguments, tmp_path):
    model = build(jr.key(0), name, {"shape": [7], "centre": jnp.full(7, 0.4), **arguments})
    batch = jr.bernoulli(jr.key(1), 0.4, (5, 7)).astype(jnp.float32)
    objective = Sgvb("B")

    @eqx.filter_jit
    @eqx.filter_grad
    def gradient(model):
        return objective(jr.key(2), model, batch, objective.init(jr.key(5), model))[0].surrogate

    assert all(bool(jnp.isfinite(g).all()) for g in jax.tree.leaves(gradient(model)))
    save_model(tmp_path / "m.safetensors", model)
    assert eqx.tree_equal(load_model(tmp_path / "m.safetensors"), model)


def test_bad_settings_are_one_sentence():
    with pytest.raises(InputError, match="layers must be positive"):
        build(jr.key(0), "dlgm", {"shape": [7], "layers": [3, 0]})
    with pytest.raises(InputError, match="did you mean 'low-rank'"):
        build(jr.key(0), "dlgm", {"shape": [7], "covariance": "lowrank"})


@pytest.mark.slow
def test_the_importance_bound_reaches_the_likelihood_of_the_observed_entries():
    """Probabilistic PCA with missing entries: log p(x_obs) is exact; K = 20000 draws come within 0.02 nats of it."""
    model = jittered(build(jr.key(0), "linear", {"shape": [6], "latents": 2}))
    # a q as wide as the prior and more: posteriors are wider where less is observed, and weights of a q that is
    # narrower than them have no variance
    head = model.recognition.layers[0].head
    model = eqx.tree_at(lambda m: m.recognition.layers[0].head.raw_scale, model, jnp.full_like(head.raw_scale, 0.3))
    w, b, scale = exact_visible(model, 2)
    rng = np.random.default_rng(0)
    x = (rng.normal(size=(8, 2)) @ w.T + b + scale * rng.normal(size=(8, 6))).astype(np.float32)
    observed = rng.random((8, 6)) < 0.6
    source = Source(Example(jnp.asarray(np.where(observed, x, 0.0)), jnp.asarray(observed)), "real", dynamic=False)
    exact = np.array([log_evidence(w, b, scale, row, seen) for row, seen in zip(x, observed, strict=True)])
    score = importance_bound(jr.key(1), model, source, num_samples=20_000)
    np.testing.assert_allclose(score.per_example, exact, atol=0.05)
    assert score.nats == pytest.approx(exact.mean(), abs=0.02)
    hidden = importance_bound(jr.key(2), model, source, num_samples=50)
    assert hidden.nats < exact.mean() + 3 * hidden.standard_error
