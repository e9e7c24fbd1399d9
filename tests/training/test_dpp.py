"""k-determinantal processes against the enumeration of all subsets, and batches drawn by them."""

import itertools
import math

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
import scipy.stats
from small import location

from nelbo.core import Example, InputError
from nelbo.objectives import MaximumLikelihood
from nelbo.training import Dpp, KDpp
from nelbo.training.kdpp import log_symmetric

N, K = 8, 3
SUBSETS = [list(one) for one in itertools.combinations(range(N), K)]
PLACE = {tuple(one): place for place, one in enumerate(SUBSETS)}


def made(columns=5, seed=0):
    return np.random.default_rng(seed).normal(size=(N, columns)) / 2


def probabilities(kernel):
    """Of every subset: its determinant, over their sum."""
    found = np.array([np.linalg.det(kernel[np.ix_(one, one)]) for one in SUBSETS])
    return found / found.sum()


def marginals(p):
    """b_i, and P(i, j) of pairs."""
    inside = np.array([[i in one for i in range(N)] for one in SUBSETS], float)
    return p @ inside, np.einsum("s,si,sj->ij", p, inside, inside)


def draws(process, count, seed=1):
    uniforms = np.random.default_rng(seed).random((count, process.rank + process.size))
    return np.array([np.sort(process.sample(u)) for u in uniforms])


def frequencies(process, count):
    return np.bincount([PLACE[tuple(one)] for one in draws(process, count)], minlength=len(SUBSETS))


def test_symmetric_polynomials_are_those_of_the_enumeration():
    values = np.random.default_rng(0).random(6) + 0.1
    table = np.exp(log_symmetric(np.log(values), 4))
    for n, j in itertools.product(range(7), range(5)):
        every = sum(math.prod(one) for one in itertools.combinations(values[:n], j))
        assert table[n, j] == pytest.approx(every, abs=1e-12)


@pytest.mark.parametrize("columns", [5, 12])
def test_frequencies_are_ratios_of_determinants(columns):
    """H0: subsets come in proportion to their determinants; chi-square over 5,000 draws, p > 1e-6."""
    kernel = made(columns) @ made(columns).T
    p = probabilities(kernel)
    assert scipy.stats.chisquare(frequencies(KDpp.of_kernel(kernel, K), 5_000), 5_000 * p).pvalue > 1e-6


def test_probabilities_of_examples_are_those_of_the_enumeration():
    kernel = made(12) @ made(12).T
    wanted, _ = marginals(probabilities(kernel))
    np.testing.assert_allclose(KDpp.of_kernel(kernel, K).inclusion(), wanted, rtol=1e-9)


def test_the_dual_is_the_exact_process():
    """The same random numbers give the same subsets, and the same probabilities."""
    features = made(5)
    exact, dual = KDpp.of_kernel(features @ features.T, K), KDpp.of_features(features, K)
    assert exact.rank == dual.rank == 5
    np.testing.assert_array_equal(draws(exact, 500), draws(dual, 500))
    np.testing.assert_allclose(exact.inclusion(), dual.inclusion(), rtol=1e-9)


def test_the_identity_is_uniform_sampling_without_replacement():
    """H0: all subsets are equally frequent; chi-square over 5,000 draws, p > 1e-6."""
    process = KDpp.of_kernel(np.eye(N), K)
    np.testing.assert_allclose(process.inclusion(), K / N, rtol=1e-12)
    assert scipy.stats.chisquare(frequencies(process, 5_000)).pvalue > 1e-6


def test_equal_examples_are_never_drawn_together():
    features = np.concatenate([made(4)[:4]] * 2)  # example i + 4 is example i
    process = KDpp.of_kernel(features @ features.T, K)
    assert process.rank == 4
    assert all(len(set(one % 4)) == K for one in draws(process, 300))
    np.testing.assert_allclose(process.inclusion()[:4], process.inclusion()[4:], rtol=1e-9)
    with pytest.raises(InputError, match="Batches of 5 need a kernel of rank 5 or more, but this one has rank 4"):
        KDpp.of_features(features, 5)


def test_large_eigenvalues_and_batches_do_not_overflow():
    features = 1e3 * np.random.default_rng(0).normal(size=(400, 150))
    process = KDpp.of_features(features, 120)
    inclusion = process.inclusion()
    assert inclusion.sum() == pytest.approx(120, rel=1e-9)
    assert ((inclusion > 0) & (inclusion <= 1)).all()
    assert len(set(draws(process, 1)[0])) == 120


def begin(features, size=K, **options):
    return Dpp(jr.key(0), len(features), size, features=features, **options)


def rbf(x, bandwidth=1.0):
    return np.exp(-((x[:, None] - x) ** 2).sum(-1) / (2 * bandwidth**2))


@pytest.mark.parametrize("kernel", ["rbf", "linear", "cosine"])
def test_kernels_are_what_they_say(kernel):
    x = made(4)
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    matrix = {"rbf": rbf(x), "linear": x @ x.T, "cosine": unit @ unit.T}[kernel]
    order = begin(x, kernel=kernel)
    np.testing.assert_allclose(order.process.inclusion(), marginals(probabilities(matrix))[0], rtol=1e-9)
    assert order.record()["kernel"] == kernel
    assert order.record()["rank"] == (N if kernel == "rbf" else 4)


def test_random_features_come_close_to_the_exact_kernel():
    """Their error falls as one over the root of their number; probabilities are compared within 5 of these."""
    x = made(3)
    exact = begin(x).process.inclusion()
    few, many = (np.abs(begin(x, random_features=r).process.inclusion() - exact).max() for r in (20, 20_000))
    assert many < 5 / np.sqrt(20_000)
    assert many < few


@pytest.fixture(scope="module")
def gradients():
    """The gradient of every weighted batch, and that over all the data, by the objective itself."""
    x = jnp.asarray(made(4), jnp.float32)

    @jax.jit
    def slopes(weights):
        def loss(model, batch):
            objective = MaximumLikelihood()
            return objective(jr.key(0), model, batch, objective.init(jr.key(0), model))[0].surrogate

        slope = lambda rows, w: jax.grad(loss)(location(), Example(x[rows], weight=w[rows])).mean  # noqa: E731
        every = jax.vmap(slope, (0, None))(jnp.asarray(SUBSETS), weights)
        return every, slope(jnp.arange(N), jnp.ones(N))

    return lambda weights: [np.asarray(part, np.float64) for part in slopes(jnp.asarray(weights, jnp.float32))]


def test_weighted_gradients_are_unbiased(gradients):
    x = made(4)
    order = begin(x)
    p = probabilities(rbf(x))
    (weights,) = order.weights(np.arange(N)[None])
    every, whole = gradients(weights)
    np.testing.assert_allclose(p @ every, whole, atol=1e-6)
    diversified = begin(x, risk="diversified")
    assert diversified.weights(np.arange(N)[None]) is None
    every, _ = gradients(np.ones(N))
    b, _ = marginals(p)
    np.testing.assert_allclose(p @ every, -(b[:, None] * x).sum(0) / K, atol=1e-6)
    assert np.abs(p @ every - whole).max() > 1e-3  # the test can fail


def test_variance_is_that_of_the_formula_and_below_uniform_on_clusters():
    """Three clusters: exact variances of the weighted mean of the examples, by enumeration and by B9's formula."""
    rng = np.random.default_rng(0)
    x = np.repeat(rng.normal(size=(3, 4)), [3, 3, 2], axis=0) + 0.05 * rng.normal(size=(N, 4))
    p = probabilities(rbf(x))
    b, pairs = marginals(p)
    weights = begin(x).weights(np.arange(N)[None])[0].astype(float)
    g = weights[:, None] * x
    means = np.array([g[one].mean(0) for one in SUBSETS])
    np.testing.assert_allclose(p @ means, x.mean(0), atol=1e-6)
    variance = p @ (means**2) - (p @ means) ** 2
    np.testing.assert_allclose((np.einsum("ij,id,jd->d", pairs, g, g) / K**2) - (p @ means) ** 2, variance, atol=1e-9)
    plain = np.array([x[one].mean(0) for one in SUBSETS])
    assert variance.sum() < 0.5 * plain.var(0).sum()
    np.testing.assert_allclose(np.diag(pairs), b)


def test_what_cannot_work_is_refused():
    with pytest.raises(InputError, match=r"12,000 examples takes 1,152,000,000 bytes.*random_features"):
        begin(np.zeros((12_000, 2)))
    with pytest.raises(InputError, match="2 examples are never drawn"):
        begin(np.concatenate([made(4)[:6], np.zeros((2, 4))]), kernel="linear")
    with pytest.raises(InputError, match="come in pairs"):
        begin(made(3), random_features=7)
    with pytest.raises(InputError, match="bandwidth must be a positive number"):
        begin(made(3), bandwidth=0.0)


def test_many_examples_by_random_features():
    order = begin(np.random.default_rng(0).normal(size=(20_000, 5)), 30, random_features=100)
    indices, weights = order.feed(3, 2, 4)
    assert all(len(set(row)) == 30 for row in indices[:2])
    assert weights.dtype == np.float32
    np.testing.assert_array_equal(order.feed(4, 1, 1).indices[0], indices[1])
