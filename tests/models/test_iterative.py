"""Iterative amortized inference: hand-made Newton steps, the laws of a model, bytes, and what training is worth."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
import zoo

from nelbo.codecs import compress, decompress
from nelbo.core import InputError
from nelbo.data import load, source
from nelbo.evaluation import elbo
from nelbo.models import Iterative, Model, load_model, save_model, vae
from nelbo.nets import MLP, trainable
from nelbo.objectives import Sgvb
from nelbo.testing import check_model
from nelbo.training import fit, optimizer

SMALL = {"latents": 2, "hidden": (3,), "recognition": "iterative", "recognition_steps": 1, "update_hidden": (4,)}


@pytest.fixture(scope="module")
def model():
    return vae(jr.key(0), (5,), **SMALL)


@pytest.mark.slow
def test_one_newton_step_reaches_the_exact_posterior():
    """A linear network of the plain gradient: the mean's step is the inverse precision, the scale is a constant."""
    case = zoo.linear_gaussian(latents=1)
    _, cov = zoo.exact_posterior(case.model, case.batch[0])
    first = float(zoo.affine(case.model.recognition.layers[0]).scale[0])
    kernel = np.zeros((6, 4))  # from parameters, offset and slope, of mean and scale each, to two targets and two gates
    kernel[4, 0] = cov[0, 0] / first**2
    bias = np.array([0.0, 0.5 * np.log(cov[0, 0]) - np.log(first), -30.0, -30.0])
    net = MLP(jr.key(0), (6, 4))
    net = eqx.tree_at(
        lambda n: (n.layers[0].kernel, n.layers[0].bias),
        net,
        (jnp.asarray(kernel, jnp.float32), jnp.asarray(bias, jnp.float32)),
    )
    step = Iterative(case.model.recognition, net, steps=1, encoding="plain")
    newton = Model(case.model.generative, step)

    @jax.jit
    def moments(x):
        part = newton.posterior(x).part(0, ())
        return part.mean, part.variance

    for x in case.examples:
        mean, cov = zoo.exact_posterior(case.model, x)
        found = moments(x)
        np.testing.assert_allclose(found[0], mean, atol=1e-4)
        np.testing.assert_allclose(found[1], np.diag(cov), rtol=1e-4)


@pytest.mark.slow
def test_it_comes_back_from_disk(model, tmp_path):
    save_model(tmp_path / "model.safetensors", model)
    again = load_model(tmp_path / "model.safetensors")
    assert again.spec == model.spec
    assert jax.tree.structure(again) == jax.tree.structure(model)
    assert all((a == b).all() for a, b in zip(jax.tree.leaves(again), jax.tree.leaves(model), strict=True))
    assert "recognition" not in vae(jr.key(0), (5,), latents=2, hidden=(3,)).spec.arguments


@pytest.mark.slow
def test_it_obeys_the_laws_of_a_model(model):
    x = jr.bernoulli(jr.key(1), 0.5, (5,)).astype(jnp.float32)
    check_model(model, jr.key(2), x, draws=500)


@pytest.mark.slow
def test_p_learns_from_the_last_step_alone_and_q_from_all(model):
    x = jr.bernoulli(jr.key(1), 0.5, (2, 5)).astype(jnp.float32)
    objective = Sgvb("B")
    params, static = eqx.partition(model, trainable(model))

    def loss(p):
        return objective(jr.key(4), eqx.combine(p, static), x, objective.init(jr.key(0), model))[0].surrogate

    def by_hand(p):
        """With the same draws: each posterior's bound with p held, and the last one's likelihood with z held."""
        m = eqx.combine(p, static)
        held = eqx.combine(eqx.tree_at(lambda t: t.generative, p, jax.lax.stop_gradient(p.generative)), static)
        total = 0.0
        for k, one in zip(jr.split(jr.key(4), 2), x, strict=True):
            keys = jr.split(k, 2)
            for key, posterior in zip((keys[1], keys[0]), m.recognition.path(one, m.generative), strict=True):
                draw = held.draw(key, one, posterior=posterior)
                total = total + (held.kl(draw).sum() - draw.log_p[0]) / 2
            total = total - m.generative.log_prob(one, jax.lax.stop_gradient(draw.z))[0]
        return total / 2

    ours, wanted = jax.jit(jax.grad(loss))(params), jax.jit(jax.grad(by_hand))(params)
    for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(wanted), strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-4, atol=1e-5)


@pytest.mark.slow
def test_after_training_its_bound_is_above_that_of_one_pass():
    """The same decoder, as many steps, on digits; at its step count and, as a check of the order, without its steps."""
    data = load("digits", binarize="static")
    train, test = (source(split, data.values) for split in (data.train, data.test))
    bounds = {}
    for name in ("amortized", "iterative"):
        made = vae(jr.key(0), data.shape, latents=8, hidden=(64,), recognition=name, centre=data.train.x.mean(0))
        fitted = fit(
            jr.key(1), made, Sgvb("B"), train, optimizer("adam", learning_rate=2e-3), steps=3000, batch_size=64
        )
        bounds[name] = elbo(jr.key(2), fitted.model, test, num_samples=50).nats
        if name == "iterative":
            first = Model(fitted.model.generative, fitted.model.recognition.inner)
            bounds["first answer"] = elbo(jr.key(2), first, test, num_samples=50).nats
    assert bounds["iterative"] > bounds["amortized"]
    assert bounds["iterative"] > bounds["first answer"]


@pytest.mark.slow
def test_bytes_come_back(model):
    x = np.asarray(jr.bernoulli(jr.key(5), 0.5, (7, 5)), np.uint8)
    assert (decompress(compress(model, x), model) == x).all()


def test_impossible_settings_are_refused(model):
    with pytest.raises(InputError, match="at least 1 step"):
        Iterative(model.recognition.inner, model.recognition.update, steps=0)
    with pytest.raises(InputError, match="encoding"):
        Iterative(model.recognition.inner, model.recognition.update, encoding="none")
    with pytest.raises(InputError, match="recognition"):
        vae(jr.key(0), (5,), recognition="iterated")
    with pytest.raises(InputError, match="generative"):
        model.recognition(jnp.zeros(5))
