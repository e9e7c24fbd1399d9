import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
import pytest
import scipy.stats
import zoo

from nelbo.core import Example, InputError
from nelbo.data import Source, Split, source
from nelbo.evaluation import elbo, importance_bound, posterior_means
from nelbo.models import check_source, vae
from nelbo.objectives import Sgvb
from nelbo.tasks import embed, impute, manifold, reconstruct, sample
from nelbo.testing import assert_unbiased
from nelbo.training import fit


def data_of(case):
    return source(Split(np.asarray(case.batch)), "real")


def test_manifold_runs_right_with_the_first_latent_and_up_with_the_second():
    case = zoo.linear_gaussian(size=2)
    weight = lambda m: m.generative.layers[0].net.layers[0].kernel  # noqa: E731
    bias = lambda m: m.generative.layers[0].net.layers[0].bias  # noqa: E731
    model = eqx.tree_at(weight, case.model, jnp.eye(2))
    model = eqx.tree_at(bias, model, jnp.zeros(2))
    grid = manifold(model, side=5)
    quantiles = scipy.stats.norm.ppf((np.arange(5) + 0.5) / 5)
    assert grid.shape == (5, 5, 2)
    np.testing.assert_allclose(grid[:, :, 0], np.tile(quantiles, (5, 1)), atol=1e-5)
    np.testing.assert_allclose(grid[:, :, 1], np.tile(quantiles[::-1, None], (1, 5)), atol=1e-5)


@pytest.mark.parametrize("case", [zoo.linear_gaussian(latents=1), zoo.linear_stack()], ids=["one", "stack"])
def test_manifold_needs_two_latents(case):
    with pytest.raises(InputError, match="one layer of two latents"):
        manifold(case.model)


def test_embedding_puts_the_layers_side_by_side():
    case = zoo.linear_stack()
    rows = embed(jr.key(0), case.model, data_of(case))
    layers = posterior_means(jr.key(0), case.model, data_of(case))
    assert rows.shape == (3, 5)
    np.testing.assert_array_equal(rows, np.concatenate(layers, axis=1))
    first = zoo.affine(case.model.recognition.layers[0])
    np.testing.assert_allclose(rows[:, :3], np.asarray(case.batch) @ first.weight.T + first.bias, rtol=1e-4, atol=1e-5)


def test_every_door_refuses_values_that_the_likelihood_cannot_give():
    model = vae(jr.key(0), (4,), latents=2, hidden=(3,), likelihood="bernoulli")
    x = np.array([[0, 1, 1, 0], [1, 1, -1, 0]], np.float32)
    bad, good = source(Split(x), "real"), source(Split(np.abs(x)), "real")
    doors = [
        lambda rows: elbo(jr.key(0), model, rows, num_samples=1),
        lambda rows: importance_bound(jr.key(0), model, rows, num_samples=1),
        lambda rows: posterior_means(jr.key(0), model, rows),
        lambda rows: embed(jr.key(0), model, rows),
        lambda rows: reconstruct(jr.key(0), model, rows, np.arange(2)),
        lambda rows: impute(jr.key(0), model, rows),
        lambda rows: fit(jr.key(0), model, Sgvb(), rows, optax.sgd(0.1), steps=1, batch_size=2),
        lambda rows: fit(jr.key(0), model, Sgvb(), good, optax.sgd(0.1), steps=1, batch_size=2, valid=rows),
    ]
    for door in doors:
        with pytest.raises(InputError, match=r"Bernoulli likelihood needs zeros and ones .* reach from -1 to 1"):
            door(bad)
    check_source(model, good)
    # 8-bit values are divided by 255 where the likelihood wants numbers from 0 to 1; what is missing is not looked at
    check_source(model, source(Split(np.full((3, 4), 200, np.uint8)), "uint8", pixels="unit"))
    with pytest.raises(InputError, match="reach from 200 to 200"):
        check_source(model, source(Split(np.full((3, 4), 200, np.uint8)), "uint8", pixels="counts"))
    check_source(model, Source(Example(jnp.asarray(x), jnp.asarray(x >= 0)), "real", dynamic=False))


@pytest.mark.parametrize("count", [1, 1000, 2501])
def test_samples_come_in_any_number_and_repeat_with_their_key(count):
    model = zoo.linear_gaussian().model
    drawn = sample(jr.key(1), model, count)
    assert drawn.shape == (count, 4)
    np.testing.assert_array_equal(drawn, sample(jr.key(1), model, count))
    assert count == 1 or len(np.unique(drawn[:, 0])) > 0.99 * count  # no chunk repeats another
    assert (drawn != sample(jr.key(2), model, count)).any(axis=1).all()


def test_samples_and_their_means_have_the_models_moments():
    """H0: E x and Var x are the dense normal's, and so is E of E[x|z]. |z| < 5."""
    case = zoo.linear_gaussian()
    mean, cov = zoo.gaussian_oracle(case.model).joint()
    drawn = sample(jr.key(3), case.model, 10_000)
    assert_unbiased(drawn, mean[:4], what="E x")
    assert_unbiased((drawn - mean[:4]) ** 2, np.diag(cov)[:4], what="Var x")
    noise = zoo.gaussian_oracle(case.model).generative[0].scale
    means = sample(jr.key(4), case.model, 10_000, mean=True)
    assert_unbiased((means - mean[:4]) ** 2, np.diag(cov)[:4] - noise**2, what="Var E[x|z]")


def test_no_samples_are_refused():
    with pytest.raises(InputError, match="at least 1"):
        sample(jr.key(0), zoo.linear_gaussian().model, 0)


def test_reconstruction_decodes_one_draw_of_each_examples_posterior():
    """H0: E of the reconstruction is the decoder at the posterior mean (linear decoder). |z| < 5."""
    case = zoo.linear_gaussian()
    indices = np.full(5000, 1)
    originals, means = reconstruct(jr.key(0), case.model, data_of(case), indices)
    np.testing.assert_array_equal(originals.values, np.asarray(case.batch)[indices])
    up, down = zoo.affine(case.model.recognition.layers[0]), zoo.gaussian_oracle(case.model).generative[0]
    x = np.asarray(case.batch, np.float64)[1]
    assert_unbiased(means, down.weight @ (up.weight @ x + up.bias) + down.bias, what="E reconstruction")
