"""Samplers on a quadratic loss, where the covariance of their draws is known exactly.

Tolerances: 500 chains, visited five times each after they have forgotten their start, a mixing time or more apart; the
relative standard error of a variance is sqrt(2 / 2500) = 2.8 %, and at most 6.3 % if the visits of a chain were one and
the same. Relative errors (in Frobenius norm) under 15 % are accepted, five of the former; the seeds are fixed.
Differences that matter are larger: without the factor in question the covariances are off by factors.
"""

import functools

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
import pytest
from quadratic import A, C, D, N, S, V, covariance, states
from scipy.linalg import solve_continuous_lyapunov

from nelbo.bayes import (
    collect,
    collected,
    constant_sgd,
    learned_precision,
    normal_kl,
    sgfs,
    sghmc,
    sgld,
    stationary_covariance,
)
from nelbo.core import InputError

POSTERIOR = np.linalg.inv(N * A)
EYE = np.eye(D)


def near(found, exact, tolerance=0.15):
    assert np.linalg.norm(found - exact) < tolerance * np.linalg.norm(exact), f"{found} is not {exact}"


@pytest.mark.parametrize("scale", [1e-3, 0.2])
def test_the_exact_discrete_covariance_tends_to_the_lyapunov_solution(scale):
    step = scale * EYE
    exact = stationary_covariance(step, A, step @ V @ step)
    lyapunov = solve_continuous_lyapunov(A, scale * V)
    error = np.linalg.norm(exact - lyapunov) / np.linalg.norm(lyapunov)
    assert error < scale
    assert error > scale / 10  # of the first order in the step


def test_the_optimal_step_minimizes_the_divergence_on_a_grid():
    best = 2.0 * D / (N * np.trace(V))

    def divergence(step):
        return normal_kl(solve_continuous_lyapunov(A, step * V), N * A)

    grid = best * np.geomspace(0.1, 10, 401)
    assert grid[np.argmin([divergence(step) for step in grid])] == pytest.approx(best, rel=0.006)
    # a diagonal one: diag(V)^-1 for a diagonal Hessian, coordinate by coordinate
    steps = 2.0 / (N * np.diag(V))
    hessian = np.diag(np.diag(A))
    for k in range(D):
        alone = [
            solve_continuous_lyapunov(hessian[k : k + 1, k : k + 1], r * steps[k] * V[k : k + 1, k : k + 1])
            for r in (0.9, 1.0, 1.1)
        ]
        values = [normal_kl(c, N * hessian[k : k + 1, k : k + 1]) for c in alone]
        assert min(values) == values[1]
    full = 2.0 / N * np.linalg.inv(V)
    np.testing.assert_allclose(stationary_covariance(1e-3 * full, A, 1e-3 * full @ V @ full), POSTERIOR, rtol=0.02)


STEPS = {
    "scalar": 2.0 * D / (N * np.trace(V)) * EYE,
    "diagonal": 2.0 / N * np.diag(1 / np.diag(V)),
    "full": 2.0 / N * np.linalg.inv(V),
}


@pytest.mark.slow
@pytest.mark.share(2)
@pytest.mark.parametrize("kind", STEPS)
def test_constant_sgd_measures_the_noise_and_has_the_covariance_of_its_step(kind):
    _, state, seen = states(constant_sgd(N, preconditioner=kind, plain_steps=300))
    step = STEPS[kind]
    near(covariance(seen), stationary_covariance(step, A, step @ V @ step))
    second = state.adaptation.second
    if kind == "full":
        near(np.asarray(second).mean(0), V, 0.02)
        near(covariance(seen), POSTERIOR)
    else:
        near(np.asarray(second["theta"]).mean(0), np.diag(V), 0.02)


def test_only_the_ratio_of_step_and_momentum_matters():
    """With momentum the step is (1 - momentum) times as long, and the covariance is the same."""
    _, _, seen = states(constant_sgd(N, preconditioner="full", momentum=0.8, plain_steps=300))
    near(covariance(seen), POSTERIOR)


def test_the_step_is_proportional_to_the_temperature():
    _, _, seen = states(constant_sgd(N, preconditioner="full", temperature=0.3, plain_steps=300))
    near(covariance(seen), 0.3 * POSTERIOR)


@pytest.mark.share(2)
@pytest.mark.parametrize(("kind", "share"), [("full", 0.2), ("diagonal", 0.5)])
def test_fisher_scoring(kind, share):
    _, _, seen = states(sgfs(N, preconditioner=kind, minibatch_share=share, plain_steps=300))
    step = share * STEPS[kind]
    inverse = {"full": np.linalg.inv(V), "diagonal": np.diag(1 / np.diag(V))}[kind]
    injected = (2 / N) ** 2 * share * (1 - share) * inverse
    near(covariance(seen), stationary_covariance(step, A, step @ V @ step + injected))
    if kind == "full":
        near(covariance(seen), POSTERIOR)


@pytest.mark.share(2)
@pytest.mark.parametrize("rate", [0.02, 0.1])
def test_langevin_dynamics_have_a_bias_of_the_order_of_the_step(rate):
    """With e = 2 l / N: A Sigma + Sigma A = (2 / N) I + (e N / 2) V; the second term is the bias."""
    _, _, seen = states(sgld(N, learning_rate=rate))
    step = 2 * rate / N
    near(covariance(seen), stationary_covariance(rate * EYE, A, rate**2 * V + step * EYE))
    biased = solve_continuous_lyapunov(A, 2 / N * EYE + step * N / 2 * V)
    near(covariance(seen), biased, 0.2)
    assert np.linalg.norm(biased - POSTERIOR) > 0.4 * rate / 0.02 * np.linalg.norm(POSTERIOR)


@pytest.mark.share(2)
@pytest.mark.parametrize("temperature", [1.0, 0.1])
@pytest.mark.parametrize("make", [sgld, sghmc])
def test_a_gaussian_target_has_variance_of_temperature_over_precision(make, temperature):
    """Without minibatch noise, at a small step."""
    _, state, seen = states(make(N, learning_rate=0.02, temperature=temperature), noisy=False)
    near(covariance(seen), temperature * POSTERIOR)
    configurational = np.asarray(state.temperatures.configurational)
    assert configurational.mean() == pytest.approx(temperature, abs=5 * temperature / np.sqrt(500))  # 5 s.e. (d = 2)
    if make is sghmc:  # m' M^-1 m / d is a mean of two squares of normals: variance T^2; the step heats it a little
        assert np.asarray(state.temperatures.kinetic).mean() == pytest.approx(temperature, rel=0.2)


def test_minibatch_noise_heats_hamiltonian_dynamics():
    _, state, seen = states(sghmc(N, learning_rate=0.1))
    assert np.asarray(state.temperatures.kinetic).mean() > 1.3
    assert np.trace(covariance(seen)) > 1.3 * np.trace(POSTERIOR)


@pytest.mark.slow
def test_preconditioned_dynamics_keep_the_target():
    """Masses and G change the way, not the target. G follows the size of the gradient, here that of its noise."""
    sampler = sghmc(N, learning_rate=0.01, cycle=50, preconditioner="layerwise")
    _, state, seen = states(sampler, noisy=False)
    near(covariance(seen), POSTERIOR)
    assert float(np.asarray(state.adaptation.masses["theta"]).min()) == 1.0  # a single array
    rate = 2e-3
    _, _, seen = states(sgld(N, preconditioner="rms", learning_rate=rate))
    step = rate * np.diag(1 / np.sqrt(np.diag(V)))
    near(covariance(seen), stationary_covariance(step, A, step @ V @ step + 2 / N * step), 0.2)


@pytest.mark.slow
def test_averages_over_one_pass_are_draws_whatever_the_step():
    """cov = A^-1 C A^-1 / (T S), T = N / S steps; exact for many mixing times within a window, here within 20 %."""
    rate, window = 0.5, N // S
    sampler = collect(sgd_as_sampler(rate), draws=4, burn_in=100, thin=window, average=True)
    _, state, _ = states(sampler, steps=500, every=100)
    draws = np.asarray(collected(first(state), burn_in=100, thin=window).draws["theta"])
    assert draws.shape == (4, D)
    every = np.asarray(state.draws["theta"], np.float64).reshape(-1, D)
    exact = np.linalg.inv(A) @ C @ np.linalg.inv(A) / N
    near(every.T @ every / len(every), exact, 0.2)
    other = collect(sgd_as_sampler(rate / 2), draws=4, burn_in=100, thin=window, average=True)
    again = np.asarray(states(other, steps=500, every=100)[1].draws["theta"], np.float64).reshape(-1, D)
    near(again.T @ again / len(again), exact, 0.2)


def sgd_as_sampler(rate):
    """Plain descent: Langevin dynamics without noise."""
    return cached_sgld(rate)


@functools.cache
def cached_sgld(rate):
    return sgld(N, learning_rate=rate, temperature=0.0)


def first(state):
    return jax.tree.map(lambda leaf: leaf[0], state)


def test_draws_are_the_parameters_at_the_end_of_their_steps():
    sampler = collect(sghmc(N, temperature=1.0, seed=3), draws=3, burn_in=4, thin=2)
    params = {"theta": jnp.ones(D)}
    state, seen, heat = sampler.init(params), [], []
    step = jax.jit(sampler.update)
    for t in range(11):
        gradient = jax.tree.map(lambda p, t=t: p + jnp.sin(1.0 * t), params)
        updates, state = step(gradient, state, params)
        params = optax.apply_updates(params, updates)
        seen.append(np.asarray(params["theta"]))
        heat.append([float(part) for part in state.sampler.temperatures])
    found = collected(state, burn_in=4, thin=2)
    np.testing.assert_array_equal(found.draws["theta"], np.stack([seen[5], seen[7], seen[9]]))
    means = np.asarray(heat)[4:10].reshape(3, 2, 2).mean(1)
    np.testing.assert_allclose(np.stack([found.kinetic, found.configurational], 1), means, rtol=1e-5)


@pytest.mark.parametrize("make", [sgld, sghmc])
def test_cold_dynamics_are_descent_bit_for_bit(make):
    momentum = {"momentum": 0.9} if make is sghmc else {}
    ours, usual = make(N, learning_rate=0.03, temperature=0.0, **momentum), optax.sgd(0.03, **momentum)

    @functools.partial(jax.jit, static_argnames="optimizer")
    def end(optimizer):
        def body(carry, key):
            params, state = carry
            noise = jr.normal(key, ())
            grads = jax.tree.map(lambda p: jnp.tanh(p) + noise, params)
            updates, state = optimizer.update(grads, state, params)
            return (optax.apply_updates(params, updates), state), None

        params = {"a": jnp.linspace(-1, 1, 7), "b": jnp.ones((2, 3))}
        return jax.lax.scan(body, (params, optimizer.init(params)), jr.split(jr.key(0), 200))[0][0]

    for one, other in zip(jax.tree.leaves(end(ours)), jax.tree.leaves(end(usual)), strict=True):
        np.testing.assert_array_equal(one, other)


def test_cycles_and_decay_of_the_step():
    sampler = sghmc(N, learning_rate=0.1, momentum=0.5, temperature=0.0, cycle=4)
    one = {"theta": jnp.ones(1)}
    state, trace = sampler.init(one), 0.0
    for t in range(6):
        updates, state = sampler.update(one, state, one)
        part = 0.5 * (1 + np.cos(np.pi * (t % 4) / 4))
        trace = part + (1 - part * 0.5) * trace
        assert float(updates["theta"][0]) == pytest.approx(-0.1 * part * trace, rel=1e-5)
    sampler = sgld(N, learning_rate=0.1, temperature=0.0, decay_steps=10, power=1.0)
    state = sampler.init(one)
    for t in range(3):
        updates, state = sampler.update(one, state, one)
        assert float(updates["theta"][0]) == pytest.approx(-0.1 / (1 + t / 10), rel=1e-5)


def test_layers_with_larger_gradients_are_heavier():
    sampler = sghmc(N, temperature=0.0, momentum=0.0, cycle=40, preconditioner="layerwise")
    params = {"small": jnp.zeros(3), "large": jnp.zeros(2)}
    grads = {"small": jnp.full(3, 0.1), "large": jnp.full(2, 0.4)}
    state, step = sampler.init(params), jax.jit(sampler.update)
    for _ in range(40):
        updates, state = step(grads, state, params)
    updates, state = step(grads, state, params)
    assert float(state.adaptation.masses["large"]) == pytest.approx(4.0, rel=1e-3)
    assert float(state.adaptation.masses["small"]) == 1.0
    # a step of the same length along both: the trace over the mass; the old momentum was scaled with the root
    assert float(updates["large"][0] / updates["small"][0]) == pytest.approx(1.0, rel=1e-3)


def test_variational_em_reaches_the_fixed_point_of_a_gaussian_mean():
    """x ~ N(theta, 1), theta ~ N(0, 1 / lambda): lambda = D / (||m||^2 + D / (N + lambda)), m the posterior mean."""
    count, units, mean = 50, 8, np.linspace(-0.4, 0.5, 8).astype(np.float32)
    sampler = learned_precision(sgld(count, learning_rate=0.1), count, memory=20_000)

    @jax.jit
    def end():
        def body(carry, _):
            params, state = carry
            updates, state = sampler.update(params - mean, state, params)  # of the likelihood alone: no batches
            return (params + updates, state), None

        params = jnp.zeros(units)
        return jax.lax.scan(body, (params, sampler.init(params)), None, length=30_000)[0][1]

    state = end()
    precision = float(units / np.sum(mean**2))
    for _ in range(500):
        posterior = count * mean / (count + precision)
        precision = units / (np.sum(posterior**2) + units / (count + precision))
    # the step of 0.1 widens the posterior by 5 %: 1 % of lambda; the mean over 20,000 correlated steps: 2 %
    assert float(state.precision(units)) == pytest.approx(precision, rel=0.08)


def test_impossible_settings_are_refused():
    for make in (sgld, sghmc, constant_sgd, sgfs):
        with pytest.raises(InputError, match="at least 1, got 0"):
            make(0)
        with pytest.raises(InputError, match="temperature"):
            make(N, temperature=-1.0)
        with pytest.raises(InputError, match="learning rate"):
            make(N, learning_rate=0.0)
        with pytest.raises(InputError, match="preconditioner"):
            make(N, preconditioner="diagnal")
    with pytest.raises(InputError, match="give cycle"):
        sghmc(N, preconditioner="layerwise")
    with pytest.raises(InputError, match="momentum"):
        sghmc(N, momentum=1.0)
    with pytest.raises(InputError, match="minibatch_share"):
        sgfs(N, minibatch_share=0.0)
    with pytest.raises(InputError, match="take diagonal or scalar"):
        constant_sgd(N, preconditioner="full").init({"w": jnp.zeros(3000)})
    with pytest.raises(InputError, match="draws must be at least 1"):
        collect(sgld(N), draws=0)
    with pytest.raises(InputError, match="first one comes after 12"):
        collected(collect(sgld(N), draws=1, burn_in=2, thin=10).init({"w": jnp.zeros(3)}), burn_in=2, thin=10)
    with pytest.raises(InputError, match="collects no draws"):
        collected(optax.sgd(0.1).init({"w": jnp.zeros(3)}))
