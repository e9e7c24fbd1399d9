"""A second task with equal shapes and settings compiles nothing; a grey image is the same without its channel axis."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from compiling import compilations

from nelbo.core import Example, InputError
from nelbo.data import Source
from nelbo.models import vae
from nelbo.tasks import ImputationSettings, chain_frames, embed, hide, impute, reconstruct, rows_as_seen, sample

SHAPE = (4, 3, 1)
# strong weights: an answer that ignored its input would be seen
MODEL = vae(jr.key(0), SHAPE, latents=2, hidden=(5,), init=1.0)


def pictures(seed, shape=SHAPE):
    return Source(Example(jnp.asarray(np.random.default_rng(seed).integers(0, 2, (6, *shape)), jnp.float32)), "binary",
                  dynamic=False)  # fmt: skip


def tasks(seed, model):
    """Every task once, with numbers that depend on the seed and shapes that do not."""
    data, keys = pictures(seed), iter([jr.key(10 * seed + i) for i in range(6)])
    mask = np.random.default_rng(seed + 100).random((6, *SHAPE)) < 0.5
    mask[:, 0, 0] = True
    hidden = hide(data, mask)
    for method in ("metropolis", "hmc"):
        impute(next(keys), model, hidden, ImputationSettings(method, steps=3, draws=2, proposals=4), truth=data)
    embed(next(keys), model, data)
    sample(next(keys), model, 3, mean=True)
    reconstruct(next(keys), model, data, np.arange(2))
    chain_frames(next(keys), model, rows_as_seen(hidden), steps=2)


def test_a_second_call_compiles_nothing():
    with compilations() as first:
        tasks(1, MODEL)
    # an equal model with other numbers, as another fit would give
    again = jax.tree.map(lambda leaf: leaf + 0.1 if isinstance(leaf, jax.Array) else leaf, MODEL)
    with compilations() as second:
        tasks(2, again)
    assert len(first) > 5
    assert second == []


@pytest.mark.share(2)
@pytest.mark.parametrize("method", ["importance", "chain"])
def test_a_grey_image_without_its_channel_axis_is_the_same_image(method):
    data = pictures(3)
    flat = Source(Example(data.arrays.values[..., 0]), "binary", dynamic=False)
    mask = np.random.default_rng(0).random(SHAPE) < 0.5
    settings = ImputationSettings(method, steps=2, draws=3, proposals=20)
    whole = impute(jr.key(0), MODEL, hide(data, mask), settings, truth=data)
    for given in (mask, mask[..., 0]):
        less = impute(jr.key(0), MODEL, hide(flat, given), settings, truth=flat)
        assert less.draws.shape == (3, 6, 4, 3)
        for name in ("mean", "std", "low", "high", "draws", "observed"):
            np.testing.assert_array_equal(vars(less)[name], vars(whole)[name][..., 0])
        np.testing.assert_array_equal(less.joint_nats, whole.joint_nats)
    np.testing.assert_array_equal(embed(jr.key(0), MODEL, flat), embed(jr.key(0), MODEL, data))
    indices = np.arange(4)
    np.testing.assert_array_equal(
        reconstruct(jr.key(0), MODEL, flat, indices)[1], reconstruct(jr.key(0), MODEL, data, indices)[1]
    )


def test_rows_of_another_shape_are_refused_in_a_sentence():
    for task in (impute, embed):
        with pytest.raises(InputError, match=r"examples of shape \[3, 4, 1\], but the model's have \[4, 3, 1\]"):
            task(jr.key(0), MODEL, pictures(0, (3, 4, 1)))
