"""Classical mean field and variational EM against enumeration (float64 NumPy)."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from oracles_discrete import Network, bits, sigmoid

from nelbo.core import InputError
from nelbo.models import BeliefNet, amortization_gap, mean_field, mean_field_bound, sbn, variational_em

X = jnp.array([1.0, 0.0, 1.0, 1.0, 0.0])
KINDS = ("exact", "saul", "quadratic")
ROUNDING = 2e-5


def fixture(latents=4):
    model = sbn(jr.key(3), (5,), layers=(latents,), init=1.2)
    return model, BeliefNet.of(model)


def exact_elbo(net, x, mu):
    W, c, b = (np.asarray(a, float) for a in (net.weight, net.bias, net.prior))
    x, mu = np.asarray(x, float), np.asarray(mu, float)
    total = 0.0
    for z in bits(len(mu)):
        q = np.prod(np.where(z == 1, mu, 1 - mu))
        a = W @ z + c
        log_p = np.sum(x * a - np.logaddexp(0, a)) + np.sum(z * b - np.logaddexp(0, b))
        total += q * (log_p - np.log(q)) if q > 0 else 0.0
    return total


@pytest.mark.slow
def test_the_exact_bound_is_the_enumerated_one_and_the_others_lie_below():
    _, net = fixture()
    mu = jnp.array([0.2, 0.9, 0.5, 0.35])
    elbo = exact_elbo(net, X, mu)
    xi = jnp.full(5, 0.4)
    assert float(mean_field_bound(net, X, mu, xi)) == pytest.approx(elbo, abs=1e-4)
    assert float(mean_field_bound(net, X, mu, xi, bound="saul")) < elbo
    assert float(mean_field_bound(net, X, mu, xi, bound="quadratic")) < elbo


@pytest.mark.share(2)
@pytest.mark.parametrize("bound", KINDS)
def test_sequential_updates_never_lower_the_bound_which_stays_below_the_evidence(bound):
    model, net = fixture()
    q = mean_field(net, X, bound=bound, sweeps=15, start=jnp.array([0.3, 0.6, 0.5, 0.4]))
    assert np.diff(np.asarray(q.bounds)).min() > -ROUNDING
    assert float(q.bounds[-1]) > float(q.bounds[0])
    elbo = exact_elbo(net, X, q.mu)
    assert float(q.bounds[-1]) <= elbo + 1e-4
    assert elbo < Network(model).log_evidence(np.asarray(X, float))
    if bound == "exact":  # coordinate-wise stationary: finite differences of the enumerated bound
        for j in range(4):
            step = np.zeros(4)
            step[j] = 1e-3
            here = np.asarray(q.mu, float)
            assert exact_elbo(net, X, here) >= exact_elbo(net, X, np.clip(here + step, 0, 1)) - 1e-6
            assert exact_elbo(net, X, here) >= exact_elbo(net, X, np.clip(here - step, 0, 1)) - 1e-6


@pytest.mark.share(2)
@pytest.mark.parametrize("bound", ["saul", "quadratic"])
def test_xi_is_the_best_one(bound):
    _, net = fixture()
    q = mean_field(net, X, bound=bound, sweeps=3)
    best = float(mean_field_bound(net, X, q.mu, q.xi, bound=bound))
    for step in (-0.05, 0.05):
        xi = jnp.clip(q.xi + step, 0.0, 1.0) if bound == "saul" else q.xi + step
        assert float(mean_field_bound(net, X, q.mu, xi, bound=bound)) < best


def test_one_latent_makes_mean_field_exact():
    model, net = fixture(latents=1)
    q = mean_field(net, X, sweeps=2)
    assert float(q.bounds[-1]) == pytest.approx(Network(model).log_evidence(np.asarray(X, float)), abs=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("bound", KINDS)
def test_variational_em_climbs(bound):
    _, truth = fixture(2)
    rng = np.random.default_rng(0)
    z = rng.random((60, 2)) < 0.5
    xs = jnp.asarray(rng.random((60, 5)) < sigmoid(z @ (2 * np.asarray(truth.weight).T)), jnp.float32)
    start = BeliefNet(0.1 * jr.normal(jr.key(1), (5, 2)), jnp.zeros(5), jnp.zeros(2))
    fitted = variational_em(start, xs, bound=bound, rounds=8, sweeps=3)
    assert np.diff(np.asarray(fitted.bounds)).min() > -ROUNDING
    assert float(fitted.bounds[-1]) > float(fitted.bounds[0]) + 0.05
    rates = np.clip(np.asarray(xs).mean(0), 1e-6, 1 - 1e-6)
    independent = (np.asarray(xs) * np.log(rates) + (1 - np.asarray(xs)) * np.log(1 - rates)).sum(1).mean()
    if bound == "exact":
        assert float(fitted.bounds[-1]) > independent


def test_the_amortization_gap_is_what_free_parameters_gain():
    model, net = fixture()
    gaps = [float(amortization_gap(model, x)) for x in (X, 1.0 - X)]
    assert min(gaps) > 0.01
    mu = model.recognition.layers[0]((X,)).mean
    free = mean_field(net, X, start=mu)
    assert gaps[0] == pytest.approx(exact_elbo(net, X, free.mu) - exact_elbo(net, X, mu), abs=1e-4)


@pytest.mark.slow
def test_bad_settings_are_one_sentence():
    model, net = fixture()
    with pytest.raises(InputError, match="mean-field bound"):
        mean_field(net, X, bound="exakt")
    with pytest.raises(InputError, match="one latent layer"):
        BeliefNet.of(sbn(jr.key(0), (5,), layers=(3, 2)))
    with pytest.raises(InputError, match="at most 16"):
        mean_field(BeliefNet(jnp.zeros((5, 17)), jnp.zeros(5), jnp.zeros(17)), X)
    with pytest.raises(InputError, match="factorial"):
        amortization_gap(sbn(jr.key(0), (5,), layers=(3,), recognition="autoregressive"), X)
    assert jax.tree.all(jax.tree.map(lambda a: bool(jnp.isfinite(a).all()), (model.generative, net)))
