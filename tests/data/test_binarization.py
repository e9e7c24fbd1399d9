import numpy as np
import pytest

from nelbo.core import InputError
from nelbo.data import SPLITS, Data, Schema, Split, binarize, load
from nelbo.data.streams import Stream

FALSE_ALARM_SIGMAS = 5.0  # 6e-7 a comparison; the seeds are fixed, so a red test stays red


def data_of(name, split, values):
    return Data(name, dict.fromkeys(SPLITS, split), Schema(split.x.shape[1:], values))


def greys(kind, n=4000):
    x = np.tile(np.arange(256, dtype=np.uint8), (n, 1))
    x = x if kind == "uint8" else (x / np.float32(255)).astype(np.float32)
    return data_of("greys", Split(x), kind)


@pytest.mark.parametrize("kind", ["uint8", "unit"])
def test_static_draws_have_the_grey_value_as_mean(kind):
    made = binarize(greys(kind), "static", seed=0)
    assert (made.values, made.binarization, made.train.x.dtype) == ("binary", "static(seed=0)", np.uint8)
    p = np.arange(256) / 255
    error = made.train.x.mean(0) - p
    assert (np.abs(error) <= FALSE_ALARM_SIGMAS * np.sqrt(p * (1 - p) / 4000)).all()  # black and white exactly
    # neighbours are drawn apart: the covariance of adjacent columns is zero within its error
    centred = made.train.x - p
    products = (centred[:, 1:] * centred[:, :-1]).mean(0)
    variance = p * (1 - p)
    assert (np.abs(products) <= FALSE_ALARM_SIGMAS * np.sqrt(variance[1:] * variance[:-1] / 4000) + 1e-12).all()


def test_splits_and_seeds_have_their_own_streams():
    first, second = binarize(greys("uint8", 50), "static"), binarize(greys("uint8", 50), "static", seed=1)
    draws = [s.x for made in (first, second) for s in made.splits.values()]
    for i, one in enumerate(draws):
        for other in draws[:i]:
            assert (one != other).mean() > 0.1
    assert second.binarization == "static(seed=1)"
    again = binarize(greys("uint8", 50), "static")
    assert again.describe() == first.describe()


def test_static_draw_does_not_depend_on_the_chunk(monkeypatch):
    whole = binarize(greys("uint8", 50), "static").train.x
    monkeypatch.setattr("nelbo.data.binarization._CHUNK", 1000)
    np.testing.assert_array_equal(binarize(greys("uint8", 50), "static").train.x, whole)


STATIC_DIGITS = {
    "train": "6744db3fffc102f2539b5d882337ed15f5f2708f58cd7b8898352fbc82ab851e",
    "valid": "2c09a0a891fa3016634cdecf2e89912c23cb6a8de9e37dfcd234e95413b72a58",
    "test": "841b68e399a33dff424821c75f2e44348a7cade650218545c22a30d3ff6fd3d2",
}


def test_static_digits_are_frozen():
    # a change here would change every number that was ever measured on static binarization
    assert load("digits", binarize="static").describe()["sha256"] == STATIC_DIGITS


def test_streams_are_frozen():
    assert Stream("test", 0).uniform((2,)).tolist() == [0.2379390364840097, 0.37569169003843084]
    assert Stream("test", 0).permutation(5).tolist() == [0, 3, 1, 4, 2]
    assert Stream("test", 1).uniform((2,)).tolist() != Stream("test", 0).uniform((2,)).tolist()


@pytest.mark.parametrize(("kind", "first_one"), [("uint8", 128), ("unit", 128)])
def test_threshold(kind, first_one):
    made = binarize(greys(kind, 2), "threshold")
    np.testing.assert_array_equal(made.test.x[0], np.arange(256) >= first_one)
    assert made.binarization == "threshold"


def test_dynamic_and_none_keep_the_greys():
    dataset = greys("uint8", 2)
    assert binarize(dataset, "none") is dataset
    dynamic = binarize(dataset, "dynamic")
    assert (dynamic.binarization, dynamic.values) == ("dynamic", "uint8")
    assert dynamic.train.x is dataset.train.x


def test_binary_data_stay_as_they_are():
    split = Split(np.eye(4, dtype=np.uint8))
    dataset = data_of("bits", split, "binary")
    for how in ("static", "threshold", "dynamic"):
        assert binarize(dataset, how) is dataset


def test_missing_entries_stay_zero():
    observed = np.zeros((5, 3), bool)
    split = Split(np.full((5, 3), 1.0, np.float32), observed=observed)
    dataset = data_of("hidden", split, "unit")
    for how in ("static", "threshold"):
        made = binarize(dataset, how).train
        assert made.x.sum() == 0
        assert made.x.dtype == np.uint8
        assert made.observed is observed


def test_what_cannot_be_binarized():
    split = Split(np.full((4, 2), 3.5, np.float32))
    dataset = data_of("reals", split, "real")
    for how in ("static", "threshold", "dynamic"):
        with pytest.raises(InputError, match="not grey values"):
            binarize(dataset, how)
    with pytest.raises(InputError, match="did you mean 'static'"):
        load("digits", binarize="statics")


def test_zeros_and_ones_read_as_grey_values_stay_as_they_are():
    # rows of a file that a model of binarized grey values is asked about: 1 is one, not a 255th
    x = np.eye(6, dtype=np.uint8)
    for how in ("static", "threshold", "dynamic"):
        made = binarize(data_of("bits", Split(x), "uint8"), how)
        assert (made.values, made.binarization) == ("binary", "none")
        np.testing.assert_array_equal(made.train.x, x)
