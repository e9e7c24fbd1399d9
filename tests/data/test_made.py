"""Sets that are made of MNIST: what turns, what is left out, what is missing."""

import dataclasses

import numpy as np
import pytest

from nelbo.data import MADE, Data, Schema, Split
from nelbo.data import made as made_module
from nelbo.data.made import ANGLES, UNSEEN, rotated_mnist, turned, whole_healing_mnist


@pytest.fixture(scope="module")
def mnist():
    """Stripes in the place of digits, all of them threes."""
    random = np.random.default_rng(0)
    x = (random.random((400, 28, 28, 1)) * 255).astype(np.uint8)
    split = Split(x, np.full(400, 3))
    return Data("mnist", dict.fromkeys(("train", "valid", "test"), split), Schema((28, 28, 1), "uint8"))


def test_turning_is_that_of_scipy_and_quarter_turns_are_exact():
    from scipy.ndimage import rotate

    images = np.random.default_rng(1).random((3, 28, 28))
    found = turned(images, np.array([33.0, 90.0, -90.0]))
    np.testing.assert_allclose(found[1], np.rot90(images[1], 1), atol=1e-5)
    np.testing.assert_allclose(found[2], np.rot90(images[2], -1), atol=1e-5)
    inside = np.hypot(*(np.mgrid[:28, :28] - 13.5)) < 12  # at the border SciPy takes what comes from outside as zero
    wanted = rotate(images[0], 33.0, reshape=False, order=1)
    np.testing.assert_allclose(found[0][inside], wanted[inside], atol=1e-5)


def test_one_angle_is_for_testing_alone(mnist):
    data = rotated_mnist(mnist)
    angles = {name: set(np.unique(split.context[:, 0])) for name, split in data.splits.items()}
    assert angles["test"] == {UNSEEN * 360.0 / ANGLES}
    assert angles["train"] == angles["valid"] == set(np.arange(ANGLES) * 360.0 / ANGLES) - angles["test"]
    rows = [tuple(row) for split in data.splits.values() for row in split.context.tolist()]
    assert len(set(rows)) == len(rows)
    assert len(data.train) + len(data.test) == 360 * ANGLES * 3 // 4


def test_masks_do_not_look_at_the_pixels(mnist, monkeypatch):
    monkeypatch.setattr(made_module, "SEQUENCES", (2, 2, 40))
    x, observed = whole_healing_mnist(mnist, ("test",))["test"]
    assert x.shape == observed.shape == (40, 10, 784)
    assert abs(observed.mean() - 0.4) < 0.005  # its standard deviation is 0.0009
    assert abs(observed[x == 1].mean() - observed[x == 0].mean()) < 0.01
    assert (x[:, 0] != x[:, 5]).any()
    again = whole_healing_mnist(dataclasses.replace(mnist), ("test",))["test"]
    assert np.array_equal(again[0], x)
    assert set(MADE) >= {"rotated-mnist", "healing-mnist"}
