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


def _answers(made):
    drawn = made.sample(jr.key(0), (3,))
    return made.sample(jr.key(0)), drawn, made.log_prob(drawn[0]), made.mean


def types_of(function, *given):
    """What the function would return, without compiling anything."""
    return [found.dtype for found in jax.tree.leaves(eqx.filter_eval_shape(function, *given))]


@pytest.mark.share(2)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", EVERY)
def test_draws_and_scores_follow_the_parameters(name, dtype):
    with float64():
        assert types_of(_answers, as_type(EVERY[name], dtype)) == [dtype] * 4


@pytest.mark.share(6)
@pytest.mark.parametrize("name", EVERY)
def test_draws_are_the_same_as_without(name):
    sample = eqx.filter_jit(lambda made: made.sample(jr.key(0), (3,)))
    with float64():
        drawn = sample(as_type(EVERY[name], "float32"))
    np.testing.assert_allclose(drawn, sample(EVERY[name]), rtol=1e-6)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_readings_and_moments_follow_the_parameters(dtype):
    def read(one, made, value):
        clean = one.clean(made, value, jnp.ones(4, bool)).sample(jr.key(0))
        return one.noisy(made).log_prob(value), clean

    with float64():
        for kind, name in (("bit-flip", "bernoulli"), ("gaussian", "normal")):
            made, one, value = as_type(EVERY[name], dtype), reading(kind, 0.2), jnp.ones(4, dtype)
            assert types_of(read, one, made, value) == [dtype] * 2
            assert one.spoil(jr.key(0), value).dtype == dtype  # which looks at the values
        for function in FUNCTIONS:
            found = types_of(lambda a, b, f=function: moments(f, a, b), np.zeros(3, dtype), np.ones(3, dtype))
            assert set(found) == {np.dtype(dtype)}


def _are_float32(tree):
    return {leaf.dtype for leaf in jax.tree.leaves(eqx.filter(tree, eqx.is_inexact_array))} <= {np.dtype("float32")}


@pytest.mark.parametrize("name", [*LIKELIHOODS, *POSTERIORS])
def test_heads_are_made_and_stay_float32(name):
    def answers(head):
        made = head(jnp.zeros(head.size, jnp.float32))
        shared = SharedCovarianceHead(jr.key(1), head) if name in POSTERIORS else None
        parts = eqx.filter((made, shared), eqx.is_inexact_array)
        return parts, made.sample(jr.key(0)), made.log_prob(jnp.ones(4, jnp.float32))

    with float64():
        head = LIKELIHOODS[name].head((4,)) if name in LIKELIHOODS else posterior_head(name, 4, rank=2)
        assert _are_float32(head)
        assert set(types_of(answers, head)) == {np.dtype("float32")}
