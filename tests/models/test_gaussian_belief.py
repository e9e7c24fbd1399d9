"""The non-linear Gaussian belief network of Frey and Hinton: moments, bound, coordinate ascent, variational EM."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
import scipy.stats

from nelbo.core import Example, InputError
from nelbo.data import Source
from nelbo.distributions import FUNCTIONS, MOMENTS, moments
from nelbo.evaluation import importance_bound
from nelbo.models import (
    belief_network_em,
    belief_network_model,
    fit_beliefs,
    gaussian_belief_bound,
    gaussian_belief_net,
    prior_beliefs,
)

SIZE = 6


@pytest.mark.share(2)
@pytest.mark.parametrize("function", MOMENTS)
def test_moments_are_those_of_quadrature(function):
    mu, phi = (a.ravel() for a in np.meshgrid([-3.0, -0.7, 0.0, 0.4, 2.5], [0.01, 0.5, 4.0]))
    # the midpoint rule on quantiles' side: a fine grid of 14 standard deviations that has zero between two points
    step = 14.0 / 200_000
    first, second = [], []
    for m, p in zip(mu, phi, strict=True):
        x = m + np.sqrt(p) * (np.arange(200_000) + 0.5) * step - np.sqrt(p) * 7.0
        weight = scipy.stats.norm.pdf(x, m, np.sqrt(p)) * np.sqrt(p) * step
        f = {"linear": x, "relu": np.maximum(x, 0), "step": x > 0, "probit": scipy.stats.norm.cdf(x)}[function]
        first.append((weight * f).sum())
        second.append((weight * f**2).sum())
    mean, square = moments(function, jnp.asarray(mu, jnp.float32), jnp.asarray(phi, jnp.float32))
    np.testing.assert_allclose(mean, first, atol=3e-5, rtol=1e-4)
    np.testing.assert_allclose(square, second, atol=3e-5, rtol=1e-4)


def net_of(functions, visible, layers=(3, 2), seed=0, scale=1.0):
    """A net with random numbers in all places."""
    net = gaussian_belief_net(jr.key(seed), SIZE, layers, functions=functions, visible=visible)
    leaves, tree = jax.tree.flatten(net)
    keys = jr.split(jr.key(seed + 1), len(leaves))
    drawn = [leaf + 0.4 * scale * jr.normal(k, leaf.shape) for k, leaf in zip(keys, leaves, strict=True)]
    return jax.tree.unflatten(tree, drawn)


def example(visible, seed=5):
    draw = jr.normal(jr.key(seed), (SIZE,))
    return (draw > 0).astype(jnp.float32) if visible == "binary" else draw


CASES = [
    pytest.param("linear", "real", marks=pytest.mark.slow),
    pytest.param("relu", "real", marks=pytest.mark.slow),
    pytest.param("relu", "binary", marks=pytest.mark.slow),
    ("step", "binary"),
    pytest.param("probit", "binary", marks=pytest.mark.slow),
    (("probit", "relu"), "real"),  # both kinds of function
]


@pytest.mark.slow
@pytest.mark.parametrize(("functions", "visible"), CASES)
def test_no_sweep_lowers_the_bound_and_the_bound_is_one(functions, visible):
    """Coordinate ascent from the prior, the bound against E_q log w by Monte Carlo (z-test, |z| < 5, fixed seed).

    For real visible units they are equal; binary ones lose what the truncated normal's factor gives away.
    """
    net, x = net_of(functions, visible), example(visible)
    model = belief_network_model(net, sweeps=8)

    @eqx.filter_jit
    def run(net, model):
        q, bounds = fit_beliefs(net, x, sweeps=8)
        draws = jax.vmap(lambda k: model.draw(k, x))(jr.split(jr.key(3), 20_000))
        return gaussian_belief_bound(net, x, prior_beliefs(net)), bounds, q, draws.log_p.sum(-1) - draws.log_q.sum(-1)

    start, bounds, q, log_w = run(net, model)
    rises = np.diff(np.concatenate([[float(start)], np.asarray(bounds)]))
    assert (rises > -1e-4).all()
    assert rises.sum() > 0.1
    assert all((phi > 0).all() for phi in q.phi)
    log_w = np.asarray(log_w, np.float64)
    z = (log_w.mean() - float(bounds[-1])) / (log_w.std() / np.sqrt(len(log_w)))
    assert z > -5
    if visible == "real":
        assert z < 5


@pytest.mark.slow
@pytest.mark.parametrize("visible", ["real", "binary"])
def test_one_latent_against_quadrature(visible):
    """The bound lies below log p(x), and importance sampling through the same model reaches it (within 0.02 nats)."""
    net = net_of("relu", visible, layers=(1,))
    x = example(visible)
    mean, scale = (float(value[0]) for value in (net.biases[1], jnp.exp(net.log_scales[1])))
    grid = mean + scale * np.linspace(-9, 9, 20_001)
    inputs = np.asarray(net.biases[0]) + np.maximum(grid, 0)[:, None] * np.asarray(net.weights[0])[:, 0]
    if visible == "binary":
        log_x = scipy.stats.norm.logcdf((2 * np.asarray(x) - 1) * inputs).sum(1)
    else:
        log_x = scipy.stats.norm.logpdf(np.asarray(x), inputs, np.exp(np.asarray(net.log_scales[0]))).sum(1)
    exact = np.log(np.trapezoid(np.exp(log_x) * scipy.stats.norm.pdf(grid, mean, scale), grid))
    _, bounds = fit_beliefs(net, x, sweeps=20)
    assert bounds[-1] < exact + 1e-4
    assert bounds[-1] > exact - 1.0
    score = importance_bound(jr.key(0), belief_network_model(net, sweeps=10, widen=1.3),
                             Source(Example(x[None]), "real", dynamic=False), num_samples=20_000)  # fmt: skip
    assert score.nats == pytest.approx(exact, abs=0.02)


def orthogonal_factor_analysis():
    """Linear units whose weights are orthogonal in the metric of the noise: the exact posterior is factorial."""
    net = net_of("linear", "real", layers=(2,))
    scale = np.exp(np.asarray(net.log_scales[0], np.float64))
    basis = np.linalg.qr(np.random.default_rng(0).normal(size=(SIZE, 2)))[0]
    weight = scale[:, None] * basis * [1.5, 0.7]
    return eqx.tree_at(lambda n: n.weights, net, (jnp.asarray(weight, jnp.float32),)), weight, scale


@pytest.mark.slow
def test_linear_units_are_factor_analysis_and_the_bound_is_log_p_where_q_can_be_exact():
    net, weight, scale = orthogonal_factor_analysis()
    x = example("real")
    prior = np.exp(2 * np.asarray(net.log_scales[1], np.float64))
    mean = np.asarray(net.biases[0], np.float64) + weight @ np.asarray(net.biases[1], np.float64)
    covariance = weight * prior @ weight.T + np.diag(scale**2)
    q, bounds = fit_beliefs(net, x, sweeps=6)
    exact = scipy.stats.multivariate_normal(mean, covariance).logpdf(np.asarray(x, np.float64))
    assert float(bounds[-1]) == pytest.approx(exact, rel=1e-5)
    np.testing.assert_allclose(q.phi[0], 1 / (1 / prior + (weight**2 / scale[:, None] ** 2).sum(0)), rtol=1e-4)
    # the same with entries missing: log p of the observed ones
    seen = np.array([True, True, False, True, False, True])
    net2 = eqx.tree_at(lambda n: n.weights, net, (net.weights[0].at[:, 1].set(0.0),))
    w2 = np.asarray(net2.weights[0], np.float64)
    part = (w2 * prior @ w2.T + np.diag(scale**2))[np.ix_(seen, seen)]
    middle = np.asarray(net.biases[0], np.float64) + w2 @ np.asarray(net.biases[1], np.float64)
    _, partial = fit_beliefs(net2, jnp.where(jnp.asarray(seen), x, 0.0), sweeps=6, observed=jnp.asarray(seen))
    expected = scipy.stats.multivariate_normal(middle[seen], part).logpdf(np.asarray(x, np.float64)[seen])
    assert float(partial[-1]) == pytest.approx(expected, rel=1e-5)
    masked = Example(jnp.where(jnp.asarray(seen), x, 7.0), jnp.asarray(seen))
    draw = belief_network_model(net2, sweeps=6).draw(jr.key(0), masked)
    assert float(draw.log_w) == pytest.approx(expected, rel=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("visible", ["real", "binary"])
def test_em_never_lowers_the_bound_and_learns_what_there_is(visible):
    """Data of a net with one rectified latent: the bound rises in every round, beyond that of independent entries."""
    rng = np.random.default_rng(0)
    weight = np.tile([2.0, -2.0, 1.5, 1.5, -2.5, 2.0], 5)
    inputs = np.maximum(rng.normal(size=(300, 1)), 0) * weight - 0.5
    data = inputs + (1.0 if visible == "binary" else 0.4) * rng.normal(size=inputs.shape)
    xs = (data > 0).astype(np.float32) if visible == "binary" else data.astype(np.float32)
    net = gaussian_belief_net(jr.key(1), 30, (2,), visible=visible, centre=jnp.asarray(xs.mean(0)))
    fitted, bounds = belief_network_em(net, jnp.asarray(xs), rounds=25, sweeps=2)
    assert (np.diff(np.asarray(bounds)) > -1e-4).all()
    if visible == "binary":
        share = xs.mean(0)
        independent = (share * np.log(share) + (1 - share) * np.log1p(-share)).sum()
    else:
        independent = scipy.stats.norm.logpdf(xs, xs.mean(0), xs.std(0)).sum(1).mean()
    assert bounds[-1] > independent + 1.0
    x, z = belief_network_model(fitted).generative.sample(jr.key(2))
    assert x.shape == (30,)
    assert z[0].shape == (2,)


def test_bad_settings_are_one_sentence():
    assert set(FUNCTIONS) == set(MOMENTS)
    with pytest.raises(InputError, match="did you mean 'relu'"):
        gaussian_belief_net(jr.key(0), 3, (2,), functions="rel")
    with pytest.raises(InputError, match="Unknown kind of visible unit"):
        gaussian_belief_net(jr.key(0), 3, (2,), visible="grey")
    with pytest.raises(InputError, match="one function for each latent layer"):
        gaussian_belief_net(jr.key(0), 3, (2, 2), functions=("relu",))
