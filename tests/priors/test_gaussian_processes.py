"""Gaussian processes against dense linear algebra in float64, and their state-space forms against them."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from scipy.stats import multivariate_normal

from nelbo.core import InputError
from nelbo.distributions import BandedNormal, Normal, closed_form_kl
from nelbo.priors import (
    JITTER,
    KERNELS,
    ConditionedProcess,
    DenseProcess,
    SmoothedProcess,
    chain,
    gaussian_process,
    joined,
    kalman_filter,
    kalman_smoother,
    kernel_named,
)

LENGTHS = (0.7, 3.0)
TIMES = np.array([0.0, 0.3, 1.0, 1.7, 3.1, 3.2, 5.0])
MARKOV = ("matern12", "matern32", "matern52", "matern12*cosine", "matern52+matern12", "matern32*cosine+matern12")


def textbook(name, lag, length, period=2.5):
    """The covariance of one latent in float64, from its formula."""
    if "+" in name:
        return np.mean([textbook(part, lag, length) for part in name.split("+")], axis=0)
    if "*" in name:
        return np.prod([textbook(part, lag, length) for part in name.split("*")], axis=0)
    r = np.abs(lag)
    return {
        "white": lambda: (r == 0.0) * 1.0,
        "rbf": lambda: np.exp(-0.5 * (r / length) ** 2),
        "cauchy": lambda: 1.0 / (1.0 + (r / length) ** 2),
        "matern12": lambda: np.exp(-r / length),
        "matern32": lambda: (1 + np.sqrt(3) * r / length) * np.exp(-np.sqrt(3) * r / length),
        "matern52": lambda: (
            (1 + np.sqrt(5) * r / length + 5 * r**2 / (3 * length**2)) * np.exp(-np.sqrt(5) * r / length)
        ),
        "periodic": lambda: np.exp(-2.0 * np.sin(np.pi * r / period) ** 2),
        "cosine": lambda: np.cos(2 * np.pi * r / period),
    }[name]()


def covariances(name):
    lag = TIMES[:, None] - TIMES[None, :]
    return np.stack([textbook(name, lag, length) + JITTER * np.eye(len(TIMES)) for length in LENGTHS])


def process(name, form):
    return gaussian_process((kernel_named(name, LENGTHS, period=2.5),), jnp.asarray(TIMES, jnp.float32), form)


@pytest.mark.parametrize("name", [k for k in KERNELS if k != "linear"] + ["rbf*periodic+matern12"])
def test_kernels_are_their_formulas(name):
    kernel = kernel_named(name, LENGTHS, period=2.5)
    found = kernel(jnp.asarray(TIMES, jnp.float32), jnp.asarray(TIMES, jnp.float32))
    np.testing.assert_allclose(found, covariances(name) - JITTER * np.eye(len(TIMES)), atol=2e-6)


def test_the_linear_kernel_is_that_of_a_random_line():
    found = kernel_named("linear", (2.0,))(jnp.array([0.0, 1.0]), jnp.array([0.0, 3.0]))
    np.testing.assert_allclose(found[0], [[1.0, 1.0], [1.0, 1.75]])


@jax.jit
def answers(p, value, y, precision):
    """All that a process is asked for, as one program."""
    return p.log_prob(value), p.variance, p.given(y, precision)


READINGS = np.random.default_rng(0).normal(size=(len(TIMES), 2))
PRECISION = np.array([[4.0, 0.5], [0.0, 2.0], [1.0, 0.0], [0.0, 0.0], [9.0, 3.0], [0.2, 1.0], [5.0, 0.0]])


FAST = {("matern32*cosine+matern12", "dense"), ("matern32*cosine+matern12", "state-space"), ("matern52", "state-space")}


@pytest.mark.share(4)
@pytest.mark.parametrize(
    ("name", "form"),
    [
        pytest.param(name, form, marks=() if (name, form) in FAST else pytest.mark.slow)
        for name in MARKOV
        for form in ("dense", "state-space")
    ],
)
def test_density_posterior_and_evidence_are_those_of_the_dense_process(name, form):
    value = READINGS[::-1].copy()
    arrays = (jnp.asarray(a, jnp.float32) for a in (value, np.where(PRECISION > 0, READINGS, np.nan), PRECISION))
    log_prob, variance, (mean, spread, evidence) = answers(process(name, form), *arrays)
    np.testing.assert_allclose(variance, 1.0 + JITTER, rtol=1e-5)
    exact_log_prob = exact_evidence = 0.0
    for latent, k in enumerate(covariances(name)):
        exact_log_prob += multivariate_normal(cov=k).logpdf(value[:, latent])
        seen = PRECISION[:, latent] > 0
        noisy = k[np.ix_(seen, seen)] + np.diag(1 / PRECISION[seen, latent])
        exact_evidence += multivariate_normal(cov=noisy).logpdf(READINGS[seen, latent])
        gain = k[:, seen] @ np.linalg.inv(noisy)
        np.testing.assert_allclose(mean[:, latent], gain @ READINGS[seen, latent], atol=1e-5)
        np.testing.assert_allclose(spread[:, latent], np.diag(k - gain @ k[seen]), atol=1e-5)
    np.testing.assert_allclose(evidence, exact_evidence, atol=1e-5, rtol=1e-5)
    np.testing.assert_allclose(log_prob, exact_log_prob, rtol=2e-4, atol=2e-4)


@pytest.mark.slow
@pytest.mark.parametrize("form", ["dense", "state-space"])
def test_draws_have_the_covariance(form):
    """20,000 draws; each entry is held within 5 standard errors, a false alarm of at most 1e-4 over all of them."""
    draws = np.asarray(jax.jit(lambda p, key: p.sample(key, (20_000,)))(process("matern32", form), jr.key(0)))
    for latent, k in enumerate(covariances("matern32")):
        error = np.sqrt((k**2 + np.outer(np.diag(k), np.diag(k))) / len(draws))
        assert (np.abs(np.cov(draws[..., latent].T) - k) < 5 * error).all()


@pytest.mark.slow
@pytest.mark.parametrize("form", ["dense", "state-space"])
def test_draws_given_some_values_have_the_conditional_moments(form):
    known = np.array([True, True, False, True, False, False, True])
    z = np.asarray(READINGS, np.float32)
    pinned = jax.jit(lambda p, keys: jax.vmap(lambda key: p.pinned(key, jnp.asarray(z), jnp.asarray(known)))(keys))
    draws = np.asarray(pinned(process("matern12", form), jr.split(jr.key(1), 20_000)))
    assert (draws[:, known] == z[known]).all()
    for latent, k in enumerate(covariances("matern12")):
        gain = k[np.ix_(~known, known)] @ np.linalg.inv(k[np.ix_(known, known)])
        mean, cov = gain @ z[known, latent], k[np.ix_(~known, ~known)] - gain @ k[np.ix_(known, ~known)]
        found = draws[:, ~known, latent]
        # 5 standard errors, and what readings of variance 1e-4 leave open
        np.testing.assert_array_less(np.abs(found.mean(0) - mean), 5 * np.sqrt(np.diag(cov) / len(draws)) + 2e-3)
        np.testing.assert_allclose(np.cov(found.T), cov, atol=0.04)


def banded(seed=3):
    loc, raw, beside = jr.normal(jr.key(seed), (3, len(TIMES), 2))
    return BandedNormal(loc, 0.3 + jnp.exp(0.3 * raw), 0.7 * beside)


def banded_covariance(q):
    """Dense, in float64, of each latent."""
    found = []
    for latent in range(2):
        diagonal, beside = (np.asarray(part, np.float64)[:, latent] for part in (q.diagonal, q.beside))
        inverse = np.linalg.inv(np.diag(diagonal) + np.diag(beside[:-1], 1))
        found.append(inverse @ inverse.T)
    return found


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "form"), [("conditioned", "dense"), ("conditioned", "state-space"), ("smoothed", "state-space")]
)
def test_a_process_given_readings_goes_on_beyond_them(kind, form):
    """Five readings, one of them missing, and two further times; 4000 draws, so 14 means and 105 covariances within
    5.5 standard errors: a false alarm of about 5e-6.
    """
    longer = process("matern32", form)
    shorter = gaussian_process((kernel_named("matern32", LENGTHS),), jnp.asarray(TIMES[:5], jnp.float32), form)
    random = np.random.default_rng(4)
    readings, weight = random.normal(size=(5, 2)), np.array([[1.0, 0.5], [0.0, 2.0]])
    precision = np.array([3.0, 0.0, 5.0, 2.0, 8.0])[:, None] * np.ones(2)
    y, ones = jnp.asarray(readings, jnp.float32), jnp.asarray(precision, jnp.float32)
    if kind == "conditioned":
        weight, q = np.eye(2), ConditionedProcess(shorter, y, ones)
    else:
        q = SmoothedProcess(shorter, y, ones, jnp.asarray(weight, jnp.float32))
    further = q.extended(longer)
    prior = np.zeros((14, 14))
    for i, one in enumerate(covariances("matern32")):
        prior[i::2, i::2] = one
    seen = precision.ravel() > 0.0
    reading = np.kron(np.eye(5, 7), weight)[seen]
    gain = prior @ reading.T @ np.linalg.inv(reading @ prior @ reading.T + np.diag(1.0 / precision.ravel()[seen]))
    mean, covariance = gain @ readings.ravel()[seen], prior - gain @ reading @ prior
    np.testing.assert_allclose(np.ravel(further.mean), mean, atol=1e-4)
    np.testing.assert_allclose(np.ravel(further.variance), np.diag(covariance), atol=1e-4)
    draws = np.asarray(jax.jit(jax.vmap(further.sample))(jr.split(jr.key(0), 4000)), float).reshape(4000, 14)
    scale = np.sqrt(np.diag(covariance))
    assert (np.abs(draws.mean(0) - mean) < 5.5 * scale / np.sqrt(4000)).all()
    error = np.sqrt((np.outer(scale, scale) ** 2 + covariance**2) / 4000)
    assert (np.abs(np.cov(draws.T) - covariance) < 5.5 * error).all()


def test_banded_normals_are_the_dense_ones():
    q = banded()

    @jax.jit
    def everything(q, value):
        return q.log_prob(value), q.variance, q.entropy(), q.roots, q.sample(jr.key(0), (20_000,))

    value = READINGS
    log_prob, variance, entropy, roots, draws = everything(q, jnp.asarray(value, jnp.float32))
    exact = [multivariate_normal(np.asarray(q.loc)[:, i], c) for i, c in enumerate(banded_covariance(q))]
    np.testing.assert_allclose(log_prob, sum(d.logpdf(value[:, i]) for i, d in enumerate(exact)), rtol=1e-5)
    np.testing.assert_allclose(entropy, sum(d.entropy() for d in exact), rtol=1e-5)
    for i, c in enumerate(banded_covariance(q)):
        np.testing.assert_allclose(variance[:, i], np.diag(c), rtol=1e-4)
        np.testing.assert_allclose(roots[i] @ roots[i].T, c, rtol=1e-4, atol=1e-4)
        # 20,000 draws, 5 standard errors
        error = np.sqrt((c**2 + np.outer(np.diag(c), np.diag(c))) / len(draws))
        assert (np.abs(np.cov(np.asarray(draws)[..., i].T) - c) < 5 * error).all()


def exact_kl(q_mean, q_cov, p_cov):
    inverse = np.linalg.inv(p_cov)
    logs = np.linalg.slogdet(p_cov)[1] - np.linalg.slogdet(q_cov)[1]
    return 0.5 * (np.trace(inverse @ q_cov) + q_mean @ inverse @ q_mean - len(q_mean) + logs)


def test_kl_to_a_process_is_exact():
    q, p = banded(), process("cauchy", "dense")
    independent = Normal(q.loc, q.diagonal)
    for one, parts in (
        (q, banded_covariance(q)),
        (independent, [np.diag(np.asarray(q.diagonal, np.float64)[:, i] ** 2) for i in (0, 1)]),
    ):
        exact = sum(
            exact_kl(np.asarray(q.loc, np.float64)[:, i], c, k)
            for i, (c, k) in enumerate(zip(parts, covariances("cauchy"), strict=True))
        )
        np.testing.assert_allclose(jax.jit(closed_form_kl)(one, p), exact, rtol=2e-4)


def test_with_an_identity_kernel_the_kl_is_that_of_a_plain_auto_encoder():
    p = DenseProcess(jnp.broadcast_to(jnp.eye(4, dtype=jnp.float32), (2, 4, 4)))
    q = Normal(jr.normal(jr.key(0), (4, 2)), jnp.exp(0.3 * jr.normal(jr.key(1), (4, 2))))
    plain = closed_form_kl(q, Normal(jnp.zeros((4, 2)), jnp.ones((4, 2))))
    np.testing.assert_allclose(closed_form_kl(q, p), plain, rtol=1e-5)


def test_what_no_process_is():
    with pytest.raises(InputError, match=r"matern12"):
        kernel_named("matern", (1.0,))
    with pytest.raises(InputError, match="needs a period"):
        kernel_named("periodic", (1.0,))
    with pytest.raises(InputError, match="positive"):
        kernel_named("rbf", (0.0,))
    with pytest.raises(InputError, match="for Markov kernels alone"):
        process("rbf", "state-space")


def test_several_channels_of_several_latents_are_filtered_together():
    """Five channels, some of them missing, of two latents: by a dense normal over everything."""
    weight = np.random.default_rng(1).normal(size=(5, 2))
    y = np.random.default_rng(2).normal(size=(len(TIMES), 5))
    precision = np.random.default_rng(3).uniform(0.5, 4.0, size=y.shape) * (np.arange(y.size).reshape(y.shape) % 3 > 0)
    parts = chain(kernel_named("matern32", LENGTHS), jnp.asarray(TIMES, jnp.float32))

    @jax.jit
    def found(y, precision, weight):
        whole = joined(parts)
        filtered = kalman_filter(whole, y, precision, weight)
        return filtered.log_evidence, *kalman_smoother(whole, filtered)

    log_p, mean, cov = found(*(jnp.asarray(a, jnp.float32) for a in (y, precision, weight)))
    smooth = [k - JITTER * np.eye(len(TIMES)) for k in covariances("matern32")]
    prior = np.zeros((2 * len(TIMES),) * 2)  # times first, latents inside
    for latent, k in enumerate(smooth):
        prior[latent::2, latent::2] = k
    reading, seen = np.kron(np.eye(len(TIMES)), weight), precision.ravel() > 0
    noisy = (reading @ prior @ reading.T)[np.ix_(seen, seen)] + np.diag(1 / precision.ravel()[seen])
    gain = prior @ reading[seen].T @ np.linalg.inv(noisy)
    np.testing.assert_allclose(log_p, multivariate_normal(cov=noisy).logpdf(y.ravel()[seen]), rtol=1e-5)
    np.testing.assert_allclose(np.ravel(mean), gain @ y.ravel()[seen], atol=1e-5)
    exact = prior - gain @ reading[seen] @ prior
    for t in range(len(TIMES)):
        np.testing.assert_allclose(cov[t], exact[2 * t : 2 * t + 2, 2 * t : 2 * t + 2], atol=1e-5)
