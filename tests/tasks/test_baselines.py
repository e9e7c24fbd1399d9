"""Mean and neighbour filling against scikit-learn, and the scores of fillings."""

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
import scipy.stats
from sklearn.impute import KNNImputer, SimpleImputer

from nelbo.core import Example, InputError
from nelbo.data import Source
from nelbo.models import factor_analysis
from nelbo.tasks import ImputationSettings, filling_scores, hide, imputation_scores, impute, mean_fill, neighbour_fill

RNG = np.random.default_rng(0)
TRAIN = RNG.normal(size=(60, 5)).astype(np.float32)
ROWS = RNG.normal(size=(30, 5)).astype(np.float32)
OBSERVED = RNG.random((30, 5)) < 0.6
OBSERVED[:, 0] |= ~OBSERVED.any(1)
GAPS = np.where(OBSERVED, ROWS, np.nan)


def test_means_and_neighbours_are_those_of_scikit_learn():
    filled = mean_fill(TRAIN, ROWS, OBSERVED)
    np.testing.assert_allclose(filled.values, SimpleImputer().fit(TRAIN).transform(GAPS), rtol=1e-5)
    assert (filled.count[~OBSERVED] == 60).all()
    assert (filled.count[OBSERVED] == 0).all()
    for k, ours in neighbour_fill(TRAIN, ROWS, OBSERVED, (1, 4)).items():
        expected = KNNImputer(n_neighbors=k).fit(TRAIN).transform(GAPS)
        np.testing.assert_allclose(ours.values, expected, rtol=1e-4, atol=1e-5)
        assert (ours.count[~OBSERVED] == k).all()


def test_gaps_in_the_training_rows_count_for_nothing():
    seen = RNG.random(TRAIN.shape) < 0.7
    seen[:, 4] = False
    garbage = np.where(seen, TRAIN, 99.0).astype(np.float32)
    mean = mean_fill(garbage, ROWS, OBSERVED, seen).values
    expected = np.ma.masked_array(TRAIN, ~seen).mean(0).filled(0.0)
    np.testing.assert_allclose(mean, np.where(OBSERVED, ROWS, expected), rtol=1e-5)
    (near,) = neighbour_fill(garbage, ROWS, OBSERVED, (3,), seen).values()
    assert np.abs(near.values).max() < 10
    # the distance is the mean over shared entries: checked by hand on one row
    row = int(np.flatnonzero(~OBSERVED[:, 1])[0])
    shared = seen & OBSERVED[row]
    distance = np.where(shared, (TRAIN - ROWS[row]) ** 2, 0).sum(1) / np.maximum(shared.sum(1), 1e-9)
    nearest = np.where(shared.any(1), distance, np.inf).argsort()[:3]
    known = nearest[seen[nearest, 1]]
    assert near.values[row, 1] == pytest.approx(TRAIN[known, 1].mean() if len(known) else expected[1], rel=1e-4)


def test_images_keep_their_shape_and_bad_numbers_are_refused():
    images = RNG.random((20, 3, 2, 1)).astype(np.float32)
    filled = mean_fill(images, images[:4], np.zeros((4, 3, 2, 1), bool))
    np.testing.assert_allclose(filled.values, np.broadcast_to(images.mean(0), (4, 3, 2, 1)), rtol=1e-5)
    for wrong in ((0,), (21,), ()):
        with pytest.raises(InputError, match="number of neighbours must be from 1 to 20"):
            neighbour_fill(images, images[:4], np.ones((4, 3, 2, 1), bool), wrong)


def test_a_share_with_half_a_count_added_is_the_log_probability_of_bits():
    train = np.array([[1.0, 0.0], [1.0, 1.0], [1.0, 0.0]], np.float32)
    truth, observed = np.array([[1.0, 1.0]], np.float32), np.zeros((1, 2), bool)
    filled = mean_fill(train, truth, observed)
    scores = filling_scores(truth, filled, observed, binary=True)
    assert scores["nats_per_hidden_entry"] == pytest.approx(np.log([3.5 / 4, 1.5 / 4]).mean())
    assert scores["rmse"] == pytest.approx(np.sqrt((2 / 3) ** 2 / 2))
    assert "nats_per_hidden_entry" not in filling_scores(
        truth, mean_fill(train, truth, observed), observed, binary=False
    )
    assert filling_scores(truth, mean_fill(train, truth, ~observed), ~observed, binary=True) == {
        "rmse": 0.0,
        "hidden": 0,
    }


@pytest.mark.slow
def test_the_log_density_of_hidden_entries_is_that_of_the_mixture_of_draws():
    """One row, z drawn by the imputation: the scores are the log of the mean of p(x_hidden | z) over the draws.

    With the loadings at zero p(x | z) does not depend on z, so both numbers are known exactly.
    """
    model = factor_analysis(jr.key(0), (5,), latents=2, scale=0.7)
    net = lambda m: m.generative.layers[0].net.layers[0]  # noqa: E731
    bias = np.linspace(-1, 1, 5).astype(np.float32)
    places = lambda m: (net(m).kernel, net(m).bias)  # noqa: E731
    model = eqx.tree_at(places, model, (jnp.zeros((2, 5)), jnp.asarray(bias)))
    truth = Source(Example(jnp.asarray(ROWS)), "real", dynamic=False)
    result = impute(jr.key(1), model, hide(truth, OBSERVED), ImputationSettings("metropolis", 2, 3), truth=truth)
    logs = np.where(OBSERVED, 0.0, scipy.stats.norm.logpdf(ROWS, bias, 0.7))
    np.testing.assert_allclose(result.joint_nats, logs.sum(1), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(result.entry_nats, logs.sum(1), rtol=1e-4, atol=1e-5)
    scores = imputation_scores(ROWS, result)
    assert scores["nats_per_hidden_entry"] == pytest.approx(logs[~OBSERVED].mean(), rel=1e-4)
    assert scores["hidden_nats"] == pytest.approx(logs.sum(1)[(~OBSERVED).any(1)].mean(), rel=1e-4)
    with pytest.raises(InputError, match="truth must have the shape"):
        impute(jr.key(1), model, hide(truth, OBSERVED), truth=truth.head(3))
