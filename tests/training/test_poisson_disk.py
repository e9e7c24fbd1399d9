"""Poisson-disk batches: distances, exact probabilities of small sets, the variants with labels; and features."""

import itertools

import jax.random as jr
import numpy as np
import pytest
import scipy.stats
from scipy.spatial.distance import pdist

from nelbo.core import InputError
from nelbo.data import Split
from nelbo.training import PoissonDisk, features_of, mingling, order_named

LINE = np.array([0.0, 0.1, 0.2, 1.0, 1.1, 2.0])[:, None]


def begin(x, size, *, seed=0, steps=100, **options):
    return PoissonDisk(jr.key(seed), len(x), size, steps, features=np.asarray(x, float), **options)


def batches(order, count):
    return order.feed(0, count, count).indices


def cloud(count, columns=3, seed=0):
    return np.random.default_rng(seed).normal(size=(count, columns)) / np.sqrt(2 * columns)


@pytest.mark.parametrize("radius", [0.5, None])
def test_examples_of_a_batch_keep_their_distance(radius):
    x = cloud(200)
    order = begin(x, 12, radius=radius)
    found = batches(order, 50)
    assert min(pdist(x[one]).min() for one in found) > order.radius
    assert order.radius == radius or 0.4 < order.radius < 0.7
    assert all(len(set(one)) == 12 for one in found)
    # a resumed run asks for the middle first
    np.testing.assert_array_equal(begin(x, 12, radius=radius).feed(40, 10, 10).indices, found[40:])
    assert (batches(begin(x, 12, radius=radius, seed=1), 50) != found).any()


def pair_probabilities(radius):
    """Of the ordered pairs that two darts make, with every order of the candidates; exact."""
    table = np.zeros((len(LINE), len(LINE)))
    for order in itertools.permutations(range(len(LINE))):
        first, *rest = order
        second = next((one for one in rest if abs(LINE[one] - LINE[first]) > radius), None)
        if second is not None:
            table[first, second] += 1
    return table / table.sum()


def test_frequencies_are_those_of_all_orders_of_darts():
    """H0: pairs come as enumerated; chi-square over 5000 batches, p > 1e-6. Places in a batch are exchangeable."""
    p = pair_probabilities(0.95)
    p = (p + p.T) / 2
    i, j = batches(begin(LINE, 2, radius=0.95), 5000).T
    counts = np.zeros_like(p)
    np.add.at(counts, (i, j), 1)
    assert not counts[p == 0].any()
    assert scipy.stats.chisquare(counts[p > 0], 5000 * p[p > 0]).pvalue > 1e-6


def test_no_radius_is_uniform_sampling_without_replacement():
    """H0: all pairs alike; chi-square over 5000 batches, p > 1e-6."""
    i, j = np.sort(batches(begin(LINE, 2, radius=0.0), 5000), axis=1).T
    counts = np.bincount(6 * i + j, minlength=36)
    assert scipy.stats.chisquare(counts[counts > 0]).pvalue > 1e-6
    assert (counts > 0).sum() == 15


def test_weights_come_from_the_probability_of_each_example():
    """5000 simulations estimate b to 2 to 4 %; five standard errors are allowed."""
    b = pair_probabilities(0.95)
    b = b.sum(0) + b.sum(1)
    order = begin(LINE, 2, radius=0.95, simulations=5000)
    weights = order.weights(np.arange(6)[None])[0]
    exact = 2 / (6 * b)
    np.testing.assert_allclose(weights, exact, rtol=0.1)
    assert np.ptp(exact) > 0.2  # uniform weights would not do
    assert order.record()["risk"] == "unbiased, with estimated probabilities"
    assert begin(LINE, 2, radius=0.95).record() == {
        "name": "poisson-disk", "variant": "vanilla", "radius": 0.95, "risk": "diversified"
    }  # fmt: skip


def test_a_radius_may_shrink_over_the_run():
    x = cloud(200)
    order = begin(x, 12, radius=0.5, final_radius=0.1, steps=50)
    least = [pdist(x[one]).min() for one in batches(order, 50)]
    radii = np.linspace(0.5, 0.1, 50)
    assert (least > radii).all()
    assert min(least[25:]) < 0.4


def two_classes(count=300):
    """Points of a square, whose class is the sign of the first coordinate."""
    x = np.random.default_rng(0).uniform(-1, 1, size=(count, 2))
    return x, (x[:, 0] > 0).astype(int)


def test_mingling_counts_neighbours_of_another_class():
    x, y = two_classes()
    degrees = mingling(x, y, 4)
    distances = np.linalg.norm(x[:, None] - x, axis=-1) + 10 * np.eye(len(x))
    nearest = np.argsort(distances, axis=1)[:, :4]
    np.testing.assert_array_equal(degrees, (y[nearest] != y[:, None]).sum(1))
    assert np.abs(x[degrees > 0, 0]).max() < 0.3


def test_only_easy_examples_keep_the_radius():
    x, y = two_classes()
    degrees = mingling(x, y, 4)
    order = begin(x, 12, radius=0.4, variant="easy", degrees=degrees)
    found = batches(order, 100)
    easy = [one[degrees[one] == 0] for one in found]
    assert min(pdist(x[one]).min() for one in easy if len(one) > 1) > 0.4
    assert min(pdist(x[one]).min() for one in found) < 0.4
    share = (degrees[found] > 0).mean()
    assert share > (degrees > 0).mean()


def test_dense_batches_fall_on_boundaries_and_annealed_ones_do_so_at_the_end():
    x, y = two_classes()
    degrees = mingling(x, y, 4)
    dense = batches(begin(x, 12, radius=0.3, variant="dense", degrees=degrees), 100)
    assert (degrees[dense] > 0).mean() > 0.5 > (degrees > 0).mean()
    annealed = degrees[batches(begin(x, 12, radius=0.3, variant="anneal", degrees=degrees, steps=100), 100)]
    assert annealed[:20].mean() < annealed[-20:].mean()


def test_what_cannot_work_is_refused():
    x = cloud(200)
    with pytest.raises(InputError, match=r"At a radius of 1.5 only \d examples have room in a batch of 12: lower the"):
        begin(x, 12, radius=1.5)
    with pytest.raises(InputError, match="positive number or zero"):
        begin(x, 12, radius=-1.0)
    with pytest.raises(InputError, match="these batches are annealed"):
        begin(x, 12, radius=0.3, final_radius=0.1, simulations=10)
    plain = Split(x)
    with pytest.raises(InputError, match="go by classes, and these data have none"):
        order_named("poisson-disk", plain, {"variant": "easy"})
    with pytest.raises(InputError, match="neighbours must be from 1 to 199"):
        order_named("poisson-disk", Split(x, np.zeros(200, int)), {"variant": "easy", "neighbours": 200})
    with pytest.raises(InputError, match="option of poisson-disk batches 'variant' must be 'vanilla' or 'easy'"):
        order_named("poisson-disk", plain, {"variant": "hard"})


def rms(x):
    return np.sqrt((pdist(x) ** 2).sum() * 2 / len(x) ** 2)


def test_features_are_in_units_of_the_typical_distance(tmp_path):
    x, y = 100 * cloud(50), np.arange(50) % 3
    rows = Split(x.astype(np.float32), y)
    plain = features_of(rows, "inputs", 0.0)
    np.testing.assert_allclose(plain * rms(x), x, rtol=1e-5)
    mixed = features_of(rows, "inputs", 0.25)
    onehot = (y[:, None] == np.arange(3)) * 1.0
    wanted = 0.75 * pdist(x, "sqeuclidean") / rms(x) ** 2 + 0.25 * pdist(onehot, "sqeuclidean") / rms(onehot) ** 2
    np.testing.assert_allclose(pdist(mixed, "sqeuclidean"), wanted, rtol=1e-5)
    assert features_of(rows, "inputs", 1.0).shape == (50, 3)
    assert features_of(Split(x, 1.5 * y), "inputs", 1.0).shape == (50, 1)  # numbers that are predicted
    np.testing.assert_allclose(np.ptp(features_of(rows, "standardized", 0.0).std(0)), 0, atol=1e-6)
    np.save(tmp_path / "z.npy", x[:, :2])
    np.testing.assert_allclose(features_of(rows, str(tmp_path / "z.npy"), 0.0) * rms(x[:, :2]), x[:, :2], rtol=1e-6)


def test_gaps_are_filled_with_the_mean_of_their_entry():
    x, there = cloud(20), np.ones((20, 3), bool)
    there[4, 1] = False
    hidden = np.where(there, x, 0.0)
    filled = np.where(there, x, x[there[:, 1], 1].mean())
    found, wanted = features_of(Split(hidden, observed=there), "inputs", 0.0), features_of(Split(filled), "inputs", 0.0)
    np.testing.assert_allclose(found, wanted, rtol=1e-12)


def test_features_that_cannot_work_are_refused(tmp_path):
    rows = Split(cloud(20))
    with pytest.raises(InputError, match="no labels to mix"):
        features_of(rows, "inputs", 0.5)
    with pytest.raises(InputError, match="from 0 to 1, got 2"):
        features_of(rows, "inputs", 2.0)
    with pytest.raises(InputError, match=r"features must be inputs or standardized, or a \.npy file, got 'imputs'"):
        features_of(rows, "imputs", 0.0)
    with pytest.raises(InputError, match="nothing tells them apart"):
        features_of(Split(np.ones((20, 3))), "inputs", 0.0)
    np.save(tmp_path / "z.npy", cloud(19))
    with pytest.raises(InputError, match="a row for each of the 20 training examples"):
        features_of(rows, str(tmp_path / "z.npy"), 0.0)
    with pytest.raises(InputError, match="cannot be read as features"):
        features_of(rows, str(tmp_path / "none.npy"), 0.0)
    (tmp_path / "bad.npy").write_bytes(b"no array")
    with pytest.raises(InputError, match="cannot be read as features"):
        features_of(rows, str(tmp_path / "bad.npy"), 0.0)
