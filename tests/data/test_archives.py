"""The names of the arrays in `.npz` files: used, or named as not used."""

import numpy as np
import pytest

from nelbo.core import InputError
from nelbo.data import load, load_rows

X = np.random.default_rng(0).normal(size=(60, 3))


@pytest.mark.parametrize("valid", ["valid", "val", "validation", "VAL"])
def test_names_of_the_validation_split(tmp_path, valid):
    arrays = {"x_train": X[:40], f"x_{valid}": X[40:50], "x_test": X[50:], f"y_{valid}": np.arange(10)}
    np.savez(tmp_path / "x.npz", **arrays)
    data = load(tmp_path / "x.npz")
    assert {name: len(split) for name, split in data.splits.items()} == {"train": 40, "valid": 10, "test": 10}
    assert data.valid.y.tolist() == list(range(10))
    assert data.notes == ()


@pytest.mark.parametrize("dtype", [bool, np.uint8])
def test_a_mask_is_what_is_observed_and_said(tmp_path, dtype):
    observed = X <= 1
    np.savez(tmp_path / "x.npz", x=np.where(observed, X, -999), mask=observed.astype(dtype))
    data = load_rows(tmp_path / "x.npz")
    np.testing.assert_array_equal(data.only.observed, observed)
    assert data.only.x.min() > -999
    assert "mask was read as observed" in data.notes[0]


@pytest.mark.parametrize("blank", [-999.0, np.nan])
def test_a_mask_of_what_is_missing_is_seen_by_its_values(tmp_path, blank):
    missing = X > 1
    np.savez(tmp_path / "x.npz", x=np.where(missing, blank, X), mask=missing)
    data = load_rows(tmp_path / "x.npz")
    np.testing.assert_array_equal(data.only.observed, ~missing)
    assert "True in mask was read as missing" in data.notes[0]


def test_what_is_not_used_is_named(tmp_path):
    np.savez(tmp_path / "x.npz", x=X, weights=X, times=X)
    assert load(tmp_path / "x.npz").notes == (f"{tmp_path / 'x.npz'}: the arrays times, weights were not used.",)


def test_two_names_of_one_meaning(tmp_path):
    np.savez(tmp_path / "x.npz", x_train=X, x_val=X, x_valid=X)
    with pytest.raises(InputError, match="mean the same"):
        load(tmp_path / "x.npz")


def test_masks_of_grey_images_without_a_channel_axis(tmp_path):
    x = np.full((6, 4, 3, 1), 200, np.uint8)
    observed = np.ones((6, 4, 3), bool)
    observed[:, 0] = False
    np.savez(tmp_path / "x.npz", x=x, observed=observed)
    np.testing.assert_array_equal(load_rows(tmp_path / "x.npz").only.observed[..., 0], observed)
