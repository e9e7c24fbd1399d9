"""The convolutional codec as a model: latents and hyper-latents, whose negative ELBO is rate and distortion."""

import dataclasses

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from nelbo.core import Example, InputError
from nelbo.models import build, load_model, save_model
from nelbo.models.convolutional_codec import LEAST_SCALE, held_above
from nelbo.objectives import Sgvb

SHAPE = (64, 128, 3)
STEP = 3.5  # log2
KINDS = {
    "factorized": {"prior": "factorized"},
    "hyperprior": {"prior": "hyperprior"},
    "mean-scale": {"prior": "mean-scale"},
    "bits-back": {"hyper": "bits-back"},
}


def model_of(**options):
    return build(jr.key(0), "convolutional-codec", {"shape": SHAPE, "size": "tiny", **options})


def picture():
    rows, columns = np.mgrid[: SHAPE[0], : SHAPE[1]]
    ramp = np.stack([100 + rows + columns / 2, 90 + 2 * rows, 160 - columns], axis=-1)
    return np.clip(ramp + np.random.default_rng(0).normal(0, 6, SHAPE), 0, 255).astype(np.float32)


X = Example(jnp.asarray(picture()), context=jnp.full(1, STEP))
draw = jax.jit(lambda model, key, x: model.draw(key, x))
decoded = jax.jit(lambda model, z, context: model.generative.layers[0](z, context).mean)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_the_negative_elbo_is_rate_and_squared_error(kind):
    model = model_of(**KINDS[kind])
    found = draw(model, jr.key(1), X)
    assert [part.shape for part in found.z] == [(4, 8, 8), (1, 2, 6)][: model.depth]
    error = ((picture() - np.asarray(decoded(model, found.z, X.context), float)) ** 2).sum()
    variance = 4.0**STEP / 12
    constant = 0.5 * np.prod(SHAPE) * np.log(2 * np.pi * variance)
    rate = -float(found.log_p[1:].sum()) + float(found.log_q.sum())
    assert -float(found.log_w) == pytest.approx(rate + error / (2 * variance) + constant, rel=1e-4)
    assert (float(found.log_q.sum()) == 0.0) == (kind != "bits-back")  # q of width one has density one


@pytest.mark.slow
def test_noise_costs_what_rounding_costs_about():
    rates = []
    for quantization in ("uniform", "rounded"):
        model = model_of(quantization=quantization)
        rates.append(np.mean([-float(draw(model, jr.key(i), X).log_p[1:].sum()) for i in range(5)]))
    assert rates[0] == pytest.approx(rates[1], rel=0.1)


@pytest.mark.slow
def test_what_is_not_observed_changes_nothing():
    """A training mask: hidden pixels are neither scored nor seen."""
    model, hidden = model_of(), jnp.ones(SHAPE, bool).at[40:, 70:].set(False)
    other = X.values.at[40:, 70:].set(7.0)
    found = [draw(model, jr.key(2), dataclasses.replace(X, values=v, observed=hidden)).log_w for v in (X.values, other)]
    assert float(found[0]) == float(found[1])


def test_the_least_scale_lets_gradients_out_upwards():
    slope = jax.jit(jax.grad(lambda x, sign: sign * held_above(x, jnp.asarray(LEAST_SCALE))))
    assert float(slope(LEAST_SCALE - 1.0, 1.0)) == 0.0
    assert float(slope(LEAST_SCALE - 1.0, -1.0)) == -1.0
    assert float(slope(LEAST_SCALE + 1.0, 1.0)) == 1.0


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_sgvb_trains_it(kind):
    objective, batch = Sgvb("A"), jax.tree.map(lambda leaf: leaf[None], X)

    @jax.jit
    def slope(model):
        loss = lambda m: objective(jr.key(0), m, batch, objective.init(jr.key(0), m))[0].surrogate  # noqa: E731
        return jax.value_and_grad(loss)(model)

    model = model_of(**KINDS[kind])
    before, step = slope(model)
    norm = float(jnp.sqrt(sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(step))))
    after, _ = slope(jax.tree.map(lambda a, g: a - 1e-4 / norm * g, model, step))
    assert float(after) < float(before)
    assert all(float(jnp.abs(leaf).max()) > 0.0 for leaf in jax.tree.leaves(step.generative.layers[0]))


@pytest.mark.slow
def test_a_model_comes_back_from_disk(tmp_path):
    model = model_of()
    save_model(tmp_path / "model.safetensors", model)
    back = load_model(tmp_path / "model.safetensors")
    assert jax.tree.all(jax.tree.map(lambda a, b: bool((a == b).all()), model, back))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"shape": (96, 64, 3)}, "multiples of 64"),
        ({"shape": (24, 64, 3), "prior": "factorized"}, "multiples of 16"),
        ({"shape": (64, 64, 1)}, "colour crops"),
        ({"size": "huge"}, "huge"),
        ({"prior": "context"}, "context"),
        ({"prior": "factorized", "hyper": "bits-back"}, "no hyper-latents"),
        ({"start": "ones"}, "ones"),
        ({"context": 0}, "context must be 1"),
    ],
)
def test_impossible_options_are_refused(options, words):
    with pytest.raises(InputError, match=words):
        model_of(**options)
