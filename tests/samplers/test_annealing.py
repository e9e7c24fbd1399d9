"""Annealed importance sampling against normals whose normalizing constants are known."""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from nelbo.core import InputError
from nelbo.samplers import (
    Hamiltonian,
    Kernel,
    annealed,
    learned_steps,
    linear_betas,
    piecewise_betas,
    run_chain,
    sigmoid_betas,
)
from nelbo.samplers.kernel import Info

MEAN, SCALE = jnp.array([0.8, -0.5]), jnp.array([0.6, 0.8])
LOG_RATIO = float(np.log(0.6 * 0.8))  # of the integrals of the two functions below


def base(x):
    return -0.5 * (x @ x)


def target(x):
    return -0.5 * (((x - MEAN) / SCALE) ** 2).sum()


def log_ratio(old, new, x):
    return (new - old) * (target(x) - base(x))


class RandomWalk(Kernel[jax.Array]):
    """Metropolis steps; `rule` is what the logarithm of the acceptance is made of."""

    log_density: object
    rule: str = eqx.field(static=True, default="right")

    def init(self, position):
        return position

    def step(self, key, state):
        move, accept = jr.split(key)
        new = state + 0.8 * jr.normal(move, state.shape)
        change = self.log_density(new) - self.log_density(state)
        change = {"right": change, "reversed": -change, "perturbed": 2.0 * change}[self.rule]
        taken = jnp.log(jr.uniform(accept)) < change
        return jnp.where(taken, new, state), Info(jnp.minimum(1.0, jnp.exp(change)))

    def position(self, state):
        return state


def walk(beta, rule="right"):
    return RandomWalk(lambda x: base(x) + beta * (target(x) - base(x)), rule)


@functools.partial(jax.jit, static_argnums=(2, 3, 4))
def weights(key, betas, count, rule="right", reverse=False):
    def one(k):
        start, way = jr.split(k)
        noise = jr.normal(start, (2,))
        at = MEAN + SCALE * noise if reverse else noise
        found = annealed(way, at, log_ratio, functools.partial(walk, rule=rule), betas, reverse=reverse)
        return found.log_weight, log_ratio(0.0, 1.0, at)

    return jax.vmap(one)(jr.split(key, count))


def estimates(found, reverse=False):
    """Log ratio of the integrals, and z-score of its exponential against the exact one."""
    w = np.exp((-1 if reverse else 1) * (np.asarray(found, np.float64) - LOG_RATIO))
    return np.log(w.mean()), (w.mean() - 1.0) / (w.std() / np.sqrt(len(w)))


BETAS = jnp.asarray(sigmoid_betas(25), jnp.float32)


@pytest.mark.share(4)
@pytest.mark.parametrize("reverse", [False, True])
def test_the_mean_weight_is_the_ratio_of_the_integrals(reverse):
    """H0: unbiased both ways; |z| < 4.5, false alarm 7e-6."""
    found, _ = weights(jr.key(3), BETAS, 4000, reverse=reverse)
    error, z = estimates(found, reverse)
    assert abs(error) < 0.05
    assert abs(z) < 4.5


@pytest.mark.parametrize("rule", ["reversed", "perturbed"])
def test_a_wrong_rule_of_acceptance_is_seen(rule):
    found, _ = weights(jr.key(3), BETAS, 4000, rule)
    error, z = estimates(found)
    assert abs(z) > 4.5 or abs(error) > 0.05


def test_one_temperature_is_importance_sampling_from_the_base():
    found, plain = weights(jr.key(0), jnp.asarray(linear_betas(1), jnp.float32), 50)
    np.testing.assert_allclose(found, plain, rtol=1e-6)


@pytest.mark.slow
def test_the_bracket_shrinks_with_the_number_of_temperatures():
    gaps = []
    for count in (4, 25):
        betas = jnp.asarray(sigmoid_betas(count), jnp.float32)
        forward, _ = weights(jr.key(1), betas, 4000)
        backward, _ = weights(jr.key(2), betas, 4000, reverse=True)
        gaps.append(float(backward.mean() - forward.mean()))
        assert forward.mean() < LOG_RATIO < backward.mean()
    assert gaps[0] > 2 * gaps[1]


def test_the_weights_of_a_long_ladder_keep_their_digits():
    """A chain that never moves has the weight of one step, whatever the number of temperatures."""

    class Still(RandomWalk):
        def step(self, key, state):  # noqa: ARG002
            return state, Info(jnp.zeros(()))

    def one(betas):
        at = jnp.array([30.0, -20.0])
        return annealed(jr.key(0), at, log_ratio, lambda _: Still(base), betas).log_weight

    found = jax.jit(one)(jnp.asarray(linear_betas(5000), jnp.float32))
    np.testing.assert_allclose(found, log_ratio(0.0, 1.0, jnp.array([30.0, -20.0])), rtol=1e-6)


@pytest.mark.slow
def test_step_sizes_that_were_learned_have_the_acceptance_that_was_asked_for():
    betas = jnp.asarray(sigmoid_betas(200), jnp.float32)

    def kernel(beta, step):
        density = lambda x: base(x) + beta * (1e4 * target(x) - base(x))  # noqa: E731
        return Hamiltonian(density, leapfrogs=3, first_step=step)

    @jax.jit
    def both(key):
        start, pilot, way = jr.split(key, 3)
        at = jr.normal(start, (40, 2))
        steps = learned_steps(pilot, at, kernel, betas, target=0.8)
        chain = kernel(jnp.ones(()), steps[-1])
        ends = MEAN[None] + 0.01 * SCALE[None] * at
        accepted = jax.vmap(lambda k, x: run_chain(k, chain, x, 20)[1])(jr.split(way, 40), ends)
        return steps, accepted

    steps, accepted = both(jr.key(0))
    assert steps[-1] < 0.05 * steps[0]
    assert 0.6 < float(accepted.mean()) < 0.95


def test_ladders():
    betas = sigmoid_betas(10)
    np.testing.assert_allclose(betas + betas[::-1], 1.0, atol=1e-12)
    assert betas[0] == 0
    assert (np.diff(betas)[:5] > np.diff(betas)[0] - 1e-12).all()
    published = piecewise_betas([(0.5, 500), (0.9, 4000), (1.0, 10000)])
    assert len(published) == 14501
    assert (published[500], published[4500], published[-1]) == (0.5, 0.9, 1.0)
    for wrong in ([], [(0.5, 3)], [(0.5, 3), (0.4, 2), (1.0, 1)], [(1.0, 0)]):
        with pytest.raises(InputError):
            piecewise_betas(wrong)
    with pytest.raises(InputError):
        linear_betas(0)
