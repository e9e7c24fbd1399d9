"""The image codec as a model: its negative ELBO is rate plus lambda times distortion."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from nelbo.core import Example, InputError
from nelbo.models import build, load_model, save_model
from nelbo.nets import LappedTransform
from nelbo.objectives import Sgvb

SHAPE = (32, 64, 3)
STEP = 3.0  # log2


def model_of(**options):
    return build(jr.key(0), "image-codec", {"shape": SHAPE, "block": 8, "units": 4, **options})


@pytest.fixture(scope="module")
def model():
    return model_of()


@pytest.fixture(scope="module")
def batch():
    rows, columns = np.mgrid[:32, :64]
    ramp = np.stack([100 + rows + columns, 90 + 2 * rows, 160 - columns], axis=-1)
    noise = np.random.default_rng(0).normal(0, 6, (2, *SHAPE))
    return Example(jnp.asarray(np.clip(ramp + noise, 0, 255), jnp.float32), context=jnp.full((2, 1), STEP))


draw = jax.jit(lambda model, key, x: model.draw(key, x))
back_and_forth = jax.jit(lambda transform, x: (transform.analysis(x), transform.synthesis(transform.analysis(x))))


def one(batch):
    return jax.tree.map(lambda leaf: leaf[0], batch)


@pytest.mark.parametrize("size", [8, 16])
def test_the_transform_is_orthonormal_and_comes_back(size):
    x = jnp.asarray(np.random.default_rng(1).normal(0, 50, (64, 96, 3)), jnp.float32)
    y, back = back_and_forth(LappedTransform(size), x)
    assert y.shape == (64 // size, 96 // size, 3 * size**2)
    np.testing.assert_allclose(back, x, atol=1e-3)
    assert abs(float((y**2).sum() / (x**2).sum()) - 1.0) < 1e-5


def test_the_negative_elbo_is_rate_and_squared_error(model, batch):
    found = draw(model, jr.key(1), one(batch))
    x, z = one(batch), found.z
    picture = np.asarray(model.generative.layers[0].picture(z, x.context), float)
    error = ((np.asarray(x.values, float) - picture) ** 2).sum()
    variance = 4.0**STEP / 12
    constant = 0.5 * np.prod(SHAPE) * np.log(2 * np.pi * variance)
    rate = -float(found.log_p[1:].sum())
    assert all(np.array_equal(part, np.round(part)) for part in z)
    assert float(found.log_q.sum()) == 0.0
    assert -float(found.log_w) == pytest.approx(rate + error / (2 * variance) + constant, rel=1e-4)
    assert error / np.prod(SHAPE) == pytest.approx(4.0**STEP / 12, rel=0.3)  # uniform within a step, about


@pytest.mark.slow
def test_noise_costs_what_rounding_costs_about(model, batch):
    noisy = model_of(quantization="uniform")
    rates = [-float(draw(one_model, jr.key(1), one(batch)).log_p[1:].sum()) for one_model in (model, noisy)]
    assert rates[1] == pytest.approx(rates[0], rel=0.25)


@pytest.mark.slow
def test_sgvb_trains_it(model, batch):
    objective = Sgvb("A")

    @jax.jit
    def slope(model):
        return jax.value_and_grad(lambda m: objective(jr.key(0), m, batch, objective.init(jr.key(0), m))[0].surrogate)(
            model
        )

    before, step = slope(model)
    after, _ = slope(jax.tree.map(lambda a, g: a - 1e-7 * g, model, step))
    assert float(after) < float(before)
    # the transform is fixed
    assert float(jnp.abs(step.recognition.transform.block).max()) == 0.0


@pytest.mark.slow
def test_a_model_comes_back_from_disk(model, tmp_path):
    save_model(tmp_path / "model.safetensors", model)
    back = load_model(tmp_path / "model.safetensors")
    assert jax.tree.all(jax.tree.map(lambda a, b: bool((a == b).all()), model, back))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"shape": (30, 64, 3)}, "multiples of 32"),
        ({"shape": (32, 64, 1)}, "colour crops"),
        ({"block": 5}, "8 or 16"),
        ({"dead_zone": 0.5}, "dead_zone"),
        ({"quantization": "trellis"}, "trellis"),
        ({"density": "cauchy"}, "cauchy"),
        ({"context": 0}, "context must be 1"),
    ],
)
def test_impossible_options_are_refused(options, words):
    with pytest.raises(InputError, match=words):
        model_of(**options)


def test_what_is_not_observed_is_not_seen(model, batch):
    x = one(batch)
    hidden = jnp.ones(SHAPE, bool).at[3:9, 20:30].set(False)
    seen = [
        model.recognition.see(Example(values, hidden, context=x.context))
        for values in (x.values, jnp.where(hidden, x.values, 255.0))
    ]
    np.testing.assert_array_equal(*seen)
    assert not np.array_equal(seen[0], model.recognition.see(x))
