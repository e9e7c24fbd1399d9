"""Sparse Gaussian processes: with every point induced the exact posterior and evidence, with fewer a bound."""

import jax
import jax.numpy as jnp
import numpy as np
from scipy.stats import multivariate_normal

from nelbo.priors import inducing_bound, inducing_posterior, inducing_statistics, kernel_named, whitened

N, LATENTS = 24, 2
KERNEL = kernel_named("matern32", (2.0, 5.0))
random = np.random.default_rng(3)
TIMES = np.sort(random.uniform(0.0, 12.0, N)).astype(np.float32)
NOISE = random.uniform(0.1, 1.0, (N, LATENTS)).astype(np.float32)  # variance of each reading
Y = random.normal(size=(N, LATENTS)).astype(np.float32)


@jax.jit
def sparse(places, y, precision, scale):
    """Posterior moments at all times and the bound on log p(y), for each of several precisions of the readings."""

    def one(precision, scale):
        a, variance = whitened(KERNEL(places, places), KERNEL(places, jnp.asarray(TIMES)), 1e-6), jnp.ones((LATENTS, N))
        posterior = inducing_posterior(inducing_statistics(a, y, precision), scale)
        moments = posterior.moments(a, variance)
        return *moments, scale * inducing_bound(y, precision, moments).sum() - posterior.kl()

    return jax.vmap(one)(precision, scale)


def of_all(places):
    """With every reading read."""
    found = sparse(places, Y, (1.0 / NOISE)[None], np.ones(1, np.float32))
    return [np.asarray(part[0], float) for part in found]


def exact():
    """The same by dense matrices in float64."""
    covariances = np.asarray(KERNEL(jnp.asarray(TIMES), jnp.asarray(TIMES)), np.float64)
    mean, variance, evidence = np.zeros((N, LATENTS)), np.zeros((N, LATENTS)), 0.0
    for i, k in enumerate(covariances):
        noisy = k + np.diag(NOISE[:, i]).astype(float)
        gain = np.linalg.solve(noisy, k).T
        mean[:, i], variance[:, i] = gain @ Y[:, i], np.diag(k - gain @ k)
        evidence += multivariate_normal.logpdf(Y[:, i], np.zeros(N), noisy)
    return mean, variance, evidence


def test_all_points_induced_are_the_exact_process_and_its_evidence():
    for one, other in zip(of_all(TIMES), exact(), strict=True):
        np.testing.assert_allclose(one, other, rtol=2e-4, atol=2e-4)


def batches(size, count=400):
    """The posterior mean by `count` random batches of a size, the other readings not being read."""
    rows = np.stack([np.random.default_rng(seed).permutation(N) < size for seed in range(count)])
    values, precision = np.where(rows.any(0)[:, None], Y, np.nan), np.where(rows[..., None], 1.0 / NOISE, 0.0)
    found = sparse(
        TIMES[::3], values.astype(np.float32), precision.astype(np.float32), np.full(count, N / size, np.float32)
    )
    return np.asarray(found[0], float)


def test_fewer_points_bound_the_evidence_and_the_bias_of_a_batch_shrinks_as_it_grows():
    """The standard error of a bias is that of a mean of 400 draws, 0.02 here; the differences are several times it."""
    mean, _, bound = of_all(TIMES[::3])
    assert bound < exact()[2]
    bias = {size: np.abs(batches(size).mean(0) - mean).mean() for size in (3, 12, N)}
    assert 2.0 * bias[12] < bias[3]
    assert bias[N] < 1e-5
