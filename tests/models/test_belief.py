"""Belief networks: probabilities sum to one, special cases agree, and they go through files, training and tasks."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
import pytest
from oracles_discrete import Network, bits

from nelbo.core import InputError
from nelbo.data import Split, source
from nelbo.models import build, load_model, save_model, sbn
from nelbo.objectives import ScoreFunction
from nelbo.training import fit

NAMES = ("sbn", "fdarn", "darn")


def made(name, **options):
    return build(jr.key(0), name, {"shape": (3,), "layers": (2, 2), "init": 1.0} | options)


@pytest.mark.share(2)
@pytest.mark.parametrize("name", NAMES)
def test_probabilities_of_all_x_and_z_sum_to_one(name):
    model = made(name)
    xs = jnp.asarray(bits(3), jnp.float32)
    zs = jnp.asarray(bits(4), jnp.float32)

    @jax.jit
    def joint_of(xs):
        return jax.vmap(lambda x: jax.vmap(lambda z: model.generative.log_prob(x, (z[:2], z[2:])).sum())(zs))(xs)

    joint = joint_of(xs)
    assert np.exp(np.asarray(joint, float)).sum() == pytest.approx(1.0, abs=1e-5)
    np.testing.assert_allclose(
        joint[5], [Network(model).log_p(bits(3)[5], (z[:2], z[2:])).sum() for z in bits(4)], atol=1e-5
    )


@pytest.mark.share(2)
@pytest.mark.parametrize("recognition", ["factorial", "autoregressive"])
def test_the_recognition_model_gives_a_distribution(recognition):
    model = made("sbn", recognition=recognition, recognition_hidden=(4,), centre=jnp.array([0.5, 0.2, 0.9]))
    zs = jnp.asarray(bits(4), jnp.float32)

    @jax.jit
    def log_q_of(x):
        posterior = model.recognition(x)
        return jax.vmap(lambda z: posterior.log_prob((z[:2], z[2:])).sum())(zs)

    log_q = log_q_of(jnp.array([1.0, 0.0, 1.0]))
    assert np.exp(np.asarray(log_q, float)).sum() == pytest.approx(1.0, abs=1e-5)


def test_without_couplings_fdarn_is_a_sigmoid_belief_net():
    fdarn = made("fdarn")
    weights = lambda m: [layer.head.weight for layer in m.generative.layers[1:]]  # noqa: E731
    bare = eqx.tree_at(weights, fdarn, [jnp.zeros_like(w) for w in weights(fdarn)])
    plain = made("sbn")
    copied = eqx.tree_at(
        lambda m: [m.generative.layers[0].net, m.generative.layers[1].net],
        plain,
        [bare.generative.layers[0].net, bare.generative.layers[1].net],
    )
    x, z = jnp.array([1.0, 0.0, 1.0]), (jnp.array([1.0, 0.0]), jnp.array([0.0, 1.0]))
    np.testing.assert_allclose(bare.generative.log_prob(x, z), copied.generative.log_prob(x, z), rtol=1e-6)
    assert not np.allclose(fdarn.generative.log_prob(x, z), copied.generative.log_prob(x, z))


@pytest.mark.share(3)
@pytest.mark.parametrize("name", NAMES)
def test_a_file_brings_the_model_back(name, tmp_path):
    model = made(name, recognition="autoregressive", centre=jnp.array([0.5, 0.2, 0.9]))
    save_model(tmp_path / "model.safetensors", model)
    again = load_model(tmp_path / "model.safetensors")
    assert again.spec == model.spec
    x = jnp.array([1.0, 0.0, 1.0])
    log_w = eqx.filter_jit(lambda model: model.draw(jr.key(1), x).log_w)
    assert float(log_w(again)) == float(log_w(model))


def test_the_centre_is_subtracted_before_recognition():
    centre = jnp.array([0.5, 0.2, 0.9])
    model = made("sbn", centre=centre)
    net = model.recognition.layers[0].net
    np.testing.assert_allclose(model.recognition(centre).part(0, ()).logits, net.layers[0].bias, atol=1e-6)


@pytest.mark.slow
def test_training_raises_the_bound_and_trains_the_baselines():
    rng = np.random.default_rng(0)
    x = (rng.random((200, 1)) < 0.5) * np.ones((1, 8)) * (np.arange(8) < 4) + (np.arange(8) >= 4)
    x = np.where(rng.random(x.shape) < 0.05, 1 - x, x).astype(np.uint8)
    model = sbn(jr.key(0), (8,), layers=(3, 2), centre=jnp.asarray(x.mean(0), jnp.float32))
    objective = ScoreFunction(hidden=(5,))
    with jax.numpy_dtype_promotion("standard"):  # inside optax
        done = fit(jr.key(2), model, objective, source(Split(x), "binary"), optax.adam(0.01), epochs=150, batch_size=20)
    assert done.history[-1]["train_bound"] > done.history[0]["train_bound"] + 2.0
    rate = 0.05
    entropy = -8 * (rate * np.log(rate) + (1 - rate) * np.log(1 - rate)) + np.log(2)
    assert done.history[-1]["train_bound"] < -entropy + 0.3  # not above the truth but by noise
    assert len(done.trained) == 2
    assert np.abs(done.trained[0].layers[1].bias).min() > 0.0  # it starts at zero
    assert int(done.state.carry.carried.count) == 1500


def test_bad_settings_are_one_sentence():
    with pytest.raises(InputError, match="at least one latent layer"):
        made("sbn", layers=())
    with pytest.raises(InputError, match="positive whole"):
        made("sbn", layers=(3, 0))
    with pytest.raises(InputError, match="did you mean 'autoregressive'"):
        made("sbn", recognition="autoregresive")
    with pytest.raises(InputError, match="bernoulli likelihood"):
        made("darn", likelihood="multinomial")


@pytest.mark.parametrize("name", NAMES)
def test_published_networks_have_names(name):
    def sizes(layers):
        model = jax.eval_shape(lambda key: build(key, name, {"shape": (3,), "layers": layers}), jr.key(0))
        return model.spec.arguments["layers"]

    assert sizes("200-200-500") == sizes([200, 200, 500]) == [200, 200, 500]
    assert [sizes(depth) for depth in ("200", "500", "200-200", "200-200-200")] == [
        [200],
        [500],
        [200, 200],
        [200, 200, 200],
    ]
    with pytest.raises(InputError, match="200-200"):
        sizes("200-20")
