"""Incomplete examples: what recognition models see of them, and objectives that read the observed entries only."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
import scipy.stats

from nelbo.core import Example, InputError
from nelbo.data import Source
from nelbo.models import build, load_model, save_model
from nelbo.objectives import InputNoise, Iwae
from nelbo.training import fit, optimizer

SIZE = 6
OBSERVED = jnp.array([[True, False, True, True, False, True], [True, True, False, True, True, False]])
CENTRE = jnp.linspace(0.2, 0.8, SIZE)


def masked(garbage):
    values = jnp.asarray(np.random.default_rng(0).random((2, SIZE)) < 0.5, jnp.float32)
    return Example(jnp.where(OBSERVED, values, garbage), OBSERVED)


def model_of(missing, name="vae", **options):
    sizes = {"latents": 2, "hidden": (4,)} if name == "vae" else {"layers": (2, 2), "hidden": (4,)}
    return build(jr.key(0), name, {"shape": [SIZE], "missing": missing, "centre": CENTRE, **sizes, **options})


def row(batch, i=0):
    return jax.tree.map(lambda leaf: leaf[i], batch)


@pytest.mark.slow
def test_what_q_sees_under_each_rule():
    x = row(masked(0.0))
    seen = {name: np.asarray(model_of(name).recognition.see(x)) for name in ("zero", "mean", "mask")}
    np.testing.assert_array_equal(seen["zero"], x.values - CENTRE)
    np.testing.assert_array_equal(seen["mean"], np.where(x.observed, x.values - CENTRE, 0.0))
    np.testing.assert_array_equal(seen["mask"], np.concatenate([seen["mean"], x.observed]))
    whole = model_of("mask").recognition.see(x.values)
    np.testing.assert_array_equal(whole, np.concatenate([x.values - CENTRE, np.ones(SIZE)]))
    noisy = Example(x.values, x.observed, seen=Example(1.0 - x.values))
    np.testing.assert_array_equal(
        model_of("zero").recognition.see(noisy), np.where(x.observed, 1.0 - x.values, 0.0) - CENTRE
    )


def loss_and_gradient(objective):
    @eqx.filter_jit
    @eqx.filter_value_and_grad
    def loss(model, batch):
        return objective(jr.key(2), model, batch, objective.init(jr.key(5), model))[0].surrogate

    return loss


OBJECTIVES = {
    "iwae": Iwae(4),
    "dreg": Iwae(4, form="dreg"),
    "noise": InputNoise(Iwae(3), noise="bit-flip", rate=0.3),
}


@pytest.mark.share(4)
@pytest.mark.parametrize(
    ("missing", "name", "objective"),
    [("zero", "vae", "iwae"), ("mean", "vae", "dreg"), ("mask", "dlgm", "iwae"), ("zero", "dlgm", "noise")],
)  # fmt: skip
def test_loss_and_gradient_do_not_depend_on_hidden_values(missing, name, objective):
    model, loss = model_of(missing, name), loss_and_gradient(OBJECTIVES[objective])
    results = [loss(model, masked(garbage)) for garbage in (0.0, 1.0, 0.37)]
    for other in results[1:]:
        assert eqx.tree_equal(results[0], other)
    # and they do depend on the observed ones
    moved = eqx.tree_at(lambda b: b.values, masked(0.0), 1.0 - masked(0.0).values)
    assert not eqx.tree_equal(results[0], loss(model, moved))


@pytest.mark.slow
def test_the_importance_weighted_gradient_is_that_of_the_model_of_the_observed_entries_alone():
    """Leave the hidden columns out of every weight: the same bound, the same gradient in what is left."""
    kept = np.flatnonzero(np.asarray(OBSERVED[0]))
    whole = build(jr.key(0), "vae", {"shape": [SIZE], "latents": 2, "hidden": (4,)})
    places = lambda m: (  # noqa: E731
        m.recognition.layers[0].net.layers[0].kernel,
        m.generative.layers[0].net.layers[-1].kernel,
        m.generative.layers[0].net.layers[-1].bias,
    )
    small = build(jr.key(0), "vae", {"shape": [len(kept)], "latents": 2, "hidden": (4,)})
    encoder, weight, bias = places(whole)
    small = eqx.tree_at(
        lambda m: (*places(m), m.recognition.layers[0].net.layers[1], m.generative.layers[0].net.layers[0]),
        small,
        (encoder[kept], weight[:, kept], bias[kept], whole.recognition.layers[0].net.layers[1],
         whole.generative.layers[0].net.layers[0]),
    )  # fmt: skip
    batch = jax.tree.map(lambda leaf: leaf[:1], masked(0.0))
    loss, gradient = loss_and_gradient(Iwae(5))(whole, batch)
    small_loss, small_gradient = loss_and_gradient(Iwae(5))(small, batch.values[:, kept])
    assert float(loss) == pytest.approx(float(small_loss), rel=1e-5)
    for (w, s), axis in zip(zip(places(gradient), places(small_gradient), strict=True), (0, 1, 0), strict=True):
        np.testing.assert_allclose(jnp.take(w, kept, axis=axis), s, rtol=1e-4, atol=1e-6)
        hidden = np.setdiff1d(np.arange(SIZE), kept)
        assert (np.asarray(jnp.take(w, hidden, axis=axis)) == 0).all()


@pytest.mark.slow
def test_training_on_incomplete_data_finds_the_distribution_of_complete_data():
    """Linear decoder, 4 entries, 40 % hidden: log p of complete rows comes within 0.1 nats of the truth's.

    Zeros taken for data do not: the best model of them (in closed form) is far away.
    """
    rng = np.random.default_rng(0)
    w, scale = np.array([[1.5, 0.0], [1.0, 0.5], [-1.2, 0.8], [0.3, -1.4]]), 0.5
    covariance = w @ w.T + scale**2 * np.eye(4)
    x = rng.multivariate_normal(np.zeros(4), covariance, 4000).astype(np.float32)
    observed = rng.random(x.shape) < 0.6
    data = Source(Example(jnp.asarray(np.where(observed, x, 0.0)), jnp.asarray(observed)), "real", dynamic=False)
    options = {"shape": [4], "latents": 2, "hidden": (16,), "likelihood": "gaussian-pixel", "missing": "mask"}
    model = build(jr.key(0), "vae", options)
    # a linear decoder, so that the fitted log p(x) is known exactly
    linear = build(jr.key(1), "linear", {"shape": [4], "latents": 2})
    model = eqx.tree_at(lambda m: m.generative, model, linear.generative)
    rate = optimizer("adam", learning_rate=5e-3, schedule="cosine", steps=1500)
    fitted = fit(jr.key(1), model, Iwae(20), data, rate, steps=1500, batch_size=100, keep="last").model
    visible = fitted.generative.layers[0]
    weight = np.asarray(visible.net.layers[0].weight, np.float64)
    mean = np.asarray(visible.net.layers[0].bias, np.float64)
    sigma = np.asarray(fitted.generative.likelihood((jnp.zeros(2),)).scale, np.float64)
    test = rng.multivariate_normal(np.zeros(4), covariance, 4000)
    learnt = scipy.stats.multivariate_normal(mean, weight @ weight.T + np.diag(sigma**2)).logpdf(test).mean()
    truth = scipy.stats.multivariate_normal(np.zeros(4), covariance).logpdf(test).mean()
    assert truth - learnt < 0.1
    zeros = np.where(observed, x, 0.0)
    values, vectors = np.linalg.eigh(np.cov(zeros.T))
    values[:2] = values[:2].mean()  # probabilistic PCA with two latents
    naive = scipy.stats.multivariate_normal(zeros.mean(0), vectors * values @ vectors.T).logpdf(test).mean()
    assert truth - naive > 0.5


@pytest.mark.slow
def test_the_rule_is_kept_in_the_file_and_bad_rules_are_one_sentence(tmp_path):
    model = model_of("mask", "dlgm")
    save_model(tmp_path / "m.safetensors", model)
    assert eqx.tree_equal(load_model(tmp_path / "m.safetensors"), model)
    conv = {"shape": [4, 4, 1], "latents": 2, "hidden": (3,), "architecture": "conv", "channels": (2,)}
    picture = build(jr.key(0), "vae", {**conv, "missing": "mask", "centre": jnp.zeros((4, 4, 1))})
    assert picture.draw(jr.key(1), jnp.ones((4, 4, 1))).z[0].shape == (2,)
    with pytest.raises(InputError, match="Unknown rule for missing entries 'nan'"):
        model_of("nan")
    with pytest.raises(InputError, match="missing=mean fills with the training data's mean"):
        model_of("mean", centre=False)
