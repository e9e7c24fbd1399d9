"""Content of one sequence in the motion of another."""

import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from nelbo.core import Example, InputError
from nelbo.data import Source
from nelbo.models import build
from nelbo.tasks import predict_frames, sequence_codes, swap

OPTIONS = {
    "shape": [3, 2],
    "latents": 1,
    "static_latents": 2,
    "hidden": (),
    "state_size": 3,
    "static_encoder": "pooled",
}
MODEL = build(jr.key(0), "dsae", OPTIONS | {"likelihood": "gaussian-fixed", "posterior": "factorized", "prior": "ar1"})
FILMS = jr.normal(jr.key(1), (4, 3, 2))


def test_a_swap_has_the_static_code_of_one_and_the_dynamic_codes_of_the_other():
    """The decoder is linear: what is decoded is W z_t + V f + b, and a swap adds up to what it was made of."""
    static, dynamic = sequence_codes(MODEL, Source(Example(FILMS), "real", dynamic=False))
    assert static.shape == (4, 2)
    assert dynamic.shape == (4, 3, 1)
    layer = MODEL.generative.layers[0].net.layers[0]
    matrix, bias = np.asarray(layer.kernel), np.asarray(layer.bias)
    order = np.array([1, 0, 3, 2])
    found = swap(MODEL, Example(FILMS), Example(FILMS[order]))
    np.testing.assert_allclose(found, dynamic[order] @ matrix[:1] + (static @ matrix[1:])[:, None] + bias, atol=1e-5)
    with pytest.raises(InputError, match="as many sequences for content as for motion"):
        swap(MODEL, Example(FILMS), Example(FILMS[:2]))


@pytest.mark.slow  # the processes are those of tests/models/test_series.py
def test_a_forecast_goes_on_with_the_static_code_of_the_past():
    """Far ahead z is its prior's, N(0, 1), and f is still the posterior's. 600 draws, 2 means within 5 standard errors:
    a false alarm of about 1e-6.
    """
    past, seen, truth = np.asarray(FILMS[:1]), np.ones((1, 3, 2), bool), np.zeros((1, 40, 2), np.float32)
    found = predict_frames(jr.key(2), MODEL, past, seen, horizon=40, draws=600, truth=truth)
    assert found.draws.shape == (1, 600, 40, 2)
    static, _ = sequence_codes(MODEL, Source(Example(FILMS), "real", dynamic=False))
    layer = MODEL.generative.layers[0].net.layers[0]
    matrix, bias = np.asarray(layer.kernel), np.asarray(layer.bias)
    far = found.draws[0, :, -1]
    assert (np.abs(far.mean(0) - (static[0] @ matrix[1:] + bias)) < 5 * far.std(0) / np.sqrt(600)).all()
    assert np.isfinite(found.log_score).all()


def test_models_without_a_static_code_are_refused():
    plain = build(jr.key(0), "vae", {"shape": [6], "latents": 1, "hidden": [2]})
    with pytest.raises(InputError, match="this one has no static code"):
        swap(plain, Example(jnp.zeros((1, 6))), Example(jnp.zeros((1, 6))))
