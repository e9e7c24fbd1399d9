"""A second call with equal shapes and settings compiles nothing, and a model of the same structure shares programs."""

import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
import zoo
from compiling import compilations

from nelbo.codecs import Layout, compress, decompress
from nelbo.models import fdarn, hvae, nade, vae

SHAPE = (6,)
SMALL = Layout(batch=8, lanes=4, block=20)
# a family for each way to code: the chain has bins from draws of the model, NADE a state
MODELS = {
    "vae": lambda key: vae(key, SHAPE, latents=2, hidden=(3,), likelihood="beta-binomial"),
    "mask and moments": lambda key: vae(
        key, SHAPE, latents=2, hidden=(3,), missing="mask", centre=jnp.zeros(SHAPE), spread=jnp.ones(SHAPE)
    ),
    "hvae": lambda key: hvae(key, SHAPE, layers=(3, 2), hidden=(3,)),
    "fdarn": lambda key: fdarn(key, SHAPE, layers=(3, 2)),
    "nade": lambda key: nade(key, SHAPE, hidden=(3,)),
}


@pytest.mark.share(8)
@pytest.mark.parametrize("name", MODELS)
def test_a_second_call_compiles_nothing(name):
    first, second = (zoo.randomized(MODELS[name](jr.key(i)), jr.key(i + 2)) for i in range(2))
    x = np.random.default_rng(0).integers(0, 2, (30, *SHAPE)).astype(np.uint8)
    with compilations() as found:
        assert np.array_equal(decompress(compress(first, x, layout=SMALL), first), x)
    assert found  # so that the count below can fail
    with compilations() as found:
        packed = compress(second, 1 - x, layout=SMALL)
        assert np.array_equal(decompress(packed, second), 1 - x)
    assert not found
