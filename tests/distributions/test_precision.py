"""With 64-bit numbers switched on, float32 parameters give float32 draws and scores, and float64 ones float64."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from test_supports import EVERY

from nelbo.codecs.sequential import float64
from nelbo.distributions import FUNCTIONS, moments, reading
from nelbo.models import LIKELIHOODS, SharedCovarianceHead, posterior_head

POSTERIORS = ("diagonal", "rank-one", "low-rank", "full")


def as_type(made, dtype):
    return jax.tree.map(lambda leaf: leaf.astype(dtype) if eqx.is_inexact_array(leaf) else leaf, made)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", EVERY)
def test_draws_and_scores_follow_the_parameters(name, dtype):
    with float64():
        made = as_type(EVERY[name], dtype)
        for shape in ((), (3,)):
            drawn = made.sample(jr.key(0), shape)
            assert drawn.dtype == dtype
        assert made.log_prob(drawn[0]).dtype == dtype
        assert made.mean.dtype == dtype
    if dtype == "float32":  # the same draws as without
        np.testing.assert_allclose(drawn, EVERY[name].sample(jr.key(0), (3,)), rtol=1e-6)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_readings_and_moments_follow_the_parameters(dtype):
    with float64():
        for kind, name in (("bit-flip", "bernoulli"), ("gaussian", "normal")):
            made, one, value = as_type(EVERY[name], dtype), reading(kind, 0.2), jnp.ones(4, dtype)
            assert one.noisy(made).log_prob(value).dtype == dtype
            assert one.clean(made, value, jnp.ones(4, bool)).sample(jr.key(0)).dtype == dtype
            assert one.spoil(jr.key(0), value).dtype == dtype
        for function in FUNCTIONS:
            assert all(part.dtype == dtype for part in moments(function, jnp.zeros(3, dtype), jnp.ones(3, dtype)))


def _all_float32(tree):
    return {leaf.dtype for leaf in jax.tree.leaves(eqx.filter(tree, eqx.is_inexact_array))} <= {np.dtype("float32")}


@pytest.mark.parametrize("name", [*LIKELIHOODS, *POSTERIORS])
def test_heads_are_made_and_stay_float32(name):
    with float64():
        head = LIKELIHOODS[name].head((4,)) if name in LIKELIHOODS else posterior_head(name, 4, rank=2)
        assert _all_float32(head)
        made = head(jnp.zeros(head.size, jnp.float32))
        assert _all_float32(made)
        assert made.sample(jr.key(0)).dtype == jnp.float32
        assert made.log_prob(jnp.ones(4, jnp.float32)).dtype == jnp.float32
        if name in POSTERIORS:
            assert _all_float32(SharedCovarianceHead(jr.key(1), head))
