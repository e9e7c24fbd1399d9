"""Our random numbers are those of `jax.random`, made in other ways."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nelbo.core import random_normals, random_words


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), count=st.integers(0, 70), impl=st.sampled_from(["threefry2x32", "rbg"]))
def test_random_words_are_those_of_jax(seed, count, impl):
    key = jr.key(seed, impl=impl)
    np.testing.assert_array_equal(random_words(jr.clone(key), count), jr.bits(key, (count,), jnp.uint32))


def test_random_normals_are_those_of_jax():
    """Up to rounding, which differs where programs are fused in other ways."""
    ours = jax.jit(random_normals, static_argnums=1)
    theirs = jax.jit(jr.normal, static_argnums=1)
    for seed, shape in ((0, (300, 7)), (1, (2001,)), (2, ())):
        np.testing.assert_allclose(ours(jr.key(seed), shape), theirs(jr.key(seed), shape), rtol=2e-6, atol=1e-7)
    half = random_normals(jr.key(3), (5,), jnp.bfloat16)
    np.testing.assert_array_equal(half, jr.normal(jr.key(3), (5,), jnp.bfloat16))


def test_random_words_of_many_keys_are_those_of_jax():
    keys = jr.split(jr.key(3), 5)
    ours = jax.jit(jax.vmap(lambda k: random_words(k, 9)))(keys)
    np.testing.assert_array_equal(ours, jax.vmap(lambda k: jr.bits(k, (9,), jnp.uint32))(keys))


def test_random_words_follow_the_older_order_of_words_where_it_is_chosen():
    with jax.threefry_partitionable(False):
        key = jr.key(5)
        np.testing.assert_array_equal(random_words(jr.clone(key), 9), jr.bits(key, (9,), jnp.uint32))
