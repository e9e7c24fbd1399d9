"""Kernels against a normal with known mean and covariance, and their step sizes."""

import functools

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from nelbo.samplers import BitFlips, Hamiltonian, Independence, NoUTurn, WeightedState, run_chain

MEAN = np.array([1.0, -2.0, 0.5])
FACTOR = np.array([[1.0, 0.0, 0.0], [0.6, 0.5, 0.0], [-0.3, 0.2, 0.8]])
COVARIANCE = FACTOR @ FACTOR.T
PRECISION = jnp.asarray(np.linalg.inv(COVARIANCE), jnp.float32)
WIDE = 1.5  # standard deviation of the proposals, wider than any of the target


def log_density(position, unit=1.0):
    """The normal's log density at a tree of two parts, in units of `unit`."""
    centred = jnp.concatenate([position["a"], position["b"]]) / unit - jnp.asarray(MEAN, jnp.float32)
    return -0.5 * (centred @ PRECISION @ centred)


def split(flat):
    return {"a": flat[:1], "b": flat[1:]}


def log_weight(position):
    flat = jnp.concatenate([position["a"], position["b"]]) - jnp.asarray(MEAN, jnp.float32)
    return log_density(position) + 0.5 * (flat @ flat) / WIDE**2


def proposal(key):
    position = split(jnp.asarray(MEAN, jnp.float32) + WIDE * jr.normal(key, (3,)))
    return WeightedState(position, log_weight(position))


KERNELS = {
    "hamiltonian": Hamiltonian(log_density, warmup=30),
    "no-u-turn": NoUTurn(log_density, warmup=30, leapfrogs=4),
    "independence": Independence(proposal, log_weight),
}


@functools.partial(jax.jit, static_argnums=(0, 1))
def ends(name, steps, key):
    """The last positions of 4000 chains from far away (500, where they wait for the longest), and their acceptance
    over the second half."""

    def one(key):
        kernel = KERNELS[name]
        state, accepted, _ = run_chain(key, kernel, split(jnp.full(3, 4.0)), steps)
        position = kernel.position(state)
        return jnp.concatenate([position["a"], position["b"]]), accepted[steps // 2 :].mean()

    return jax.vmap(one)(jr.split(key, 500 if name == "no-u-turn" else 4000))


@pytest.mark.share(3)
@pytest.mark.parametrize("name", KERNELS)
def test_the_last_states_of_many_chains_have_the_mean_and_covariance_of_the_target(name):
    """H0: independent draws of the normal; 9 z-scores, |z| < 5, false alarm 5e-6 a kernel, fixed seed."""
    last, accepted = ends(name, 60, jr.key(1))
    centred = np.asarray(last, np.float64) - MEAN
    first = centred.mean(0) / np.sqrt(np.diag(COVARIANCE) / len(centred))
    spread = np.sqrt((COVARIANCE**2 + np.outer(np.diag(COVARIANCE), np.diag(COVARIANCE))) / len(centred))
    second = ((centred.T @ centred / len(centred) - COVARIANCE) / spread)[np.triu_indices(3)]
    assert np.abs(np.concatenate([first, second])).max() < 5
    assert 0.1 < float(accepted.mean()) < 0.97


def test_one_step_leaves_the_target_as_it_is():
    """H0: after one step from exact draws, squared Mahalanobis distances have mean 3 and variance 6; |z| < 5, 6e-7."""
    flat = MEAN + np.random.default_rng(0).normal(size=(20_000, 3)) @ FACTOR.T
    kernel = Hamiltonian(log_density, first_step=0.7, leapfrogs=3)

    def moved(key, start):
        state, info = kernel.step(key, kernel.init(split(start)))
        position = kernel.position(state)
        return -2.0 * log_density(position), info.accepted

    distance, accepted = jax.jit(jax.vmap(moved))(jr.split(jr.key(0), len(flat)), jnp.asarray(flat, jnp.float32))
    assert abs(float(distance.mean()) - 3.0) < 5 * np.sqrt(6 / len(flat))
    assert 0.2 < float(accepted.mean()) < 0.95  # without the correction the distances would grow


@pytest.mark.slow
@pytest.mark.parametrize("unit", [1e-3, 1.0, 30.0])
def test_the_step_size_is_learned_from_whatever_units(unit):
    """Two thousand chains whose target is a thousand times narrower, or thirty times wider, than the first step."""
    kernel = Hamiltonian(functools.partial(log_density, unit=unit), warmup=40)

    def one(key):
        state, accepted, _ = run_chain(key, kernel, split(unit * jnp.asarray(MEAN, jnp.float32)), 80)
        return accepted[40:].mean(), -2.0 * log_density(kernel.position(state), unit)

    accepted, distance = jax.jit(jax.vmap(one))(jr.split(jr.key(2), 2000))
    assert 0.5 < float(accepted.mean()) < 0.95
    # H0: chi-squared of 3 degrees; |z| < 5, false alarm 6e-7
    assert abs(float(distance.mean()) - 3.0) < 5 * np.sqrt(6 / 2000)


def test_what_is_gathered_on_the_way_is_what_the_chain_visits():
    kernel = Independence(proposal, log_weight)

    def gather(visited, i, position):
        return visited.at[i].set(position["a"][0])

    state, accepted, visited = run_chain(jr.key(0), kernel, split(jnp.zeros(3)), 50, gather, jnp.zeros(50))
    assert visited[-1] == state.position["a"][0]
    moves = np.diff(np.asarray(visited), prepend=0.0) != 0
    np.testing.assert_array_equal(moves, np.asarray(accepted) == 1.0)
    assert 5 < moves.sum() < 45


def test_a_weight_that_is_no_number_is_never_taken():
    kernel = Independence(lambda key: WeightedState(jr.normal(key, (2,)), jnp.asarray(jnp.nan)), jnp.sum)
    state, info = kernel.step(jr.key(0), kernel.init(jnp.ones(2)))
    assert (state.position == 1).all()
    assert info.accepted == 0


FIELD = jnp.array([0.8, -1.2, 0.3, 0.0])
COUPLING = jnp.array([[0.0, 2.0, -1.0, 0.5], [0.0, 0.0, 1.5, 0.0], [0.0, 0.0, 0.0, -2.0], [0.0, 0.0, 0.0, 0.0]])
STATES = np.array([[n >> i & 1 for i in range(4)] for n in range(16)], np.float32)


def log_mass(position):
    z = jnp.concatenate([position["a"], position["b"]])
    return z @ FIELD + z @ COUPLING @ z


class Uncorrected(BitFlips):
    """Without the probability of the way back."""

    def _log_hastings(self, at, new, flipped):  # noqa: ARG002
        return jnp.zeros(())


def surprise(kernel):
    """Chi-squared of the 16 states of 40000 chains after one step from exact draws, and the mean acceptance."""
    logs = np.asarray([log_mass(split(jnp.asarray(z))) for z in STATES], np.float64)
    masses = np.exp(logs - logs.max())
    masses /= masses.sum()
    starts = np.random.default_rng(1).choice(16, size=40_000, p=masses)

    def moved(key, start):
        state, info = kernel.step(key, kernel.init(split(start)))
        position = kernel.position(state)
        return jnp.concatenate([position["a"], position["b"]]), info.accepted

    ends, accepted = jax.jit(jax.vmap(moved))(jr.split(jr.key(3), len(starts)), jnp.asarray(STATES[starts]))
    counts = np.bincount(np.asarray(ends @ jnp.array([1.0, 2.0, 4.0, 8.0]), int), minlength=16)
    expected = masses * len(starts)
    return float(((counts - expected) ** 2 / expected).sum()), float(accepted.mean())


@pytest.mark.slow
def test_flips_leave_the_masses_of_binary_units_as_they_are():
    """H0: chi-squared of 15 degrees; above 56 with probability 1e-6. A wrong rule is seen."""
    right, accepted = surprise(BitFlips(log_mass, moves=3, length=1.0))
    assert right < 56
    assert 0.3 < accepted < 0.97
    assert surprise(Uncorrected(log_mass, moves=3, length=1.0))[0] > 200
    assert surprise(BitFlips(lambda z: 1.1 * log_mass(z), moves=3, length=1.0))[0] > 100
