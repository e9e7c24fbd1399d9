"""Simulation-based calibration of Hamiltonian chains on posteriors (Talts et al. 2018).

For z from the prior and x from p(x|z), the rank of z among independent draws of p(z|x) is uniform. Chains of a decoder
with Bernoulli data start away from z, so that a rank is uniform only if they find the posterior.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
import scipy.stats
import zoo

from nelbo.samplers import Hamiltonian, run_chain

DRAWS, REPLICATES = 9, 1500


@eqx.filter_jit
def ranks(key, model, power):
    """Of each latent, among the ends of nine chains on p(z|x)^power."""

    def one(key):
        z_key, start_key, chain_key = jr.split(key, 3)
        x, z = model.generative.sample(z_key)
        kernel = Hamiltonian(lambda at: power * model.generative.log_prob(x, at).sum(), warmup=15)

        def end(start, move):
            state, *_ = run_chain(move, kernel, (jr.normal(start, z[0].shape),), 25)
            return kernel.position(state)[0]

        ends = jax.vmap(end)(jr.split(start_key, DRAWS), jr.split(chain_key, DRAWS))
        return (ends < z[0][None]).sum(0)

    return jax.vmap(one)(jr.split(key, REPLICATES))


@pytest.mark.slow
@pytest.mark.share(2)
@pytest.mark.parametrize(("power", "right"), [(1.0, True), (1.5, False)])
def test_ranks_are_uniform(power, right):
    """H0: ten equally probable ranks, chi-squared of each of two latents; p > 1e-5, false alarm 2e-5, fixed seed.

    Chains of a sharpened posterior fail it.
    """
    model = zoo.randomized(zoo.tiny_vae().model, jr.key(0), 1.5)
    found = np.asarray(ranks(jr.key(1), model, jnp.asarray(power, jnp.float32)))
    least = min(scipy.stats.chisquare(np.bincount(row, minlength=DRAWS + 1)).pvalue for row in found.T)
    assert (least > 1e-5) == right, least
