"""Sobol draws in objectives: less noise for as many draws, and numbers of draws that grow.

Their means are held by test_laws.py.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
import zoo

from nelbo.core import InputError
from nelbo.models import sbn
from nelbo.nets import trainable
from nelbo.objectives import Iwae, Sgvb, StochasticBackpropagation
from nelbo.objectives.draws import growing_power


def variance(objective, case, repeats=200):
    """Of the gradient, summed over parameters."""
    state = objective.init(jr.key(0), case.model)
    params, static = eqx.partition(case.model, trainable(case.model))

    def loss(p, k):
        return objective(k, eqx.combine(p, static), case.batch, state)[0].surrogate

    draws = jax.jit(jax.vmap(jax.grad(loss), (None, 0)))(params, jr.split(jr.key(1), repeats))
    return sum(float(leaf.var(0).sum()) for leaf in jax.tree.leaves(draws))


@pytest.mark.slow
@pytest.mark.parametrize(
    "objective",
    [
        lambda n, draws: Sgvb("A", num_samples=n, draws=draws),
        lambda n, draws: StochasticBackpropagation(hessian=False, num_samples=n, draws=draws),
    ],
    ids=["sgvb", "stochastic-backpropagation"],
)
def test_sixteen_sobol_draws_have_less_noise_than_a_hundred_independent_ones(objective):
    case = zoo.linear_gaussian()
    assert variance(objective(16, "sobol"), case) < variance(objective(100, "iid"), case)


@pytest.mark.slow
def test_importance_weighted_bounds_are_less_noisy_too():
    case = zoo.linear_gaussian()
    assert variance(Iwae(16, draws="sobol"), case, 2000) < 0.9 * variance(Iwae(16), case, 2000)


@pytest.mark.slow
def test_numbers_of_draws_grow_to_the_last():
    """1 / tau^t, rounded up to a power of two."""
    tau = 0.9
    powers = jax.jit(jax.vmap(lambda t: growing_power(t, tau, 16)))(jnp.arange(40)).tolist()
    wanted = [min(16, 2 ** int(np.ceil(np.log2(tau**-t) - 1e-6))) for t in range(40)]
    assert [2**power for power in powers] == wanted
    case, objective = zoo.linear_gaussian(), Sgvb("B", num_samples=4, draws="sobol", growth=0.5)
    spread = []
    step = jax.jit(lambda k, state: objective(k, case.model, case.batch, state)[0].bound)
    for t in (0, 5):
        state = eqx.tree_at(lambda s: s.carried, objective.init(jr.key(0), case.model), jnp.asarray(t, jnp.int32))
        spread.append(np.var([float(step(k, state)) for k in jr.split(jr.key(1), 50)]))
    assert spread[1] < 0.4 * spread[0]


def test_what_has_no_sobol_draws_is_refused():
    with pytest.raises(InputError, match="powers of two"):
        Sgvb(num_samples=10, draws="sobol")
    with pytest.raises(InputError, match="powers of two"):
        Sgvb(draws="sobol")
    with pytest.raises(InputError, match="between 0 and 1"):
        Sgvb(num_samples=4, growth=1.0)
    model = sbn(jr.key(0), (4,), layers=(2,))
    with pytest.raises(InputError, match="normal latents"):
        jax.eval_shape(lambda k: Iwae(4, draws="sobol").bounds(k, model, jnp.zeros((2, 4))), jr.key(0))
