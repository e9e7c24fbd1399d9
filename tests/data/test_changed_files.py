"""When a file has changed, its rows are told apart by what they hold."""

import dataclasses

import numpy as np
import pytest

from nelbo.data import Data, Schema, Split, load, load_rows, row_digests, split_by_digests

X = np.random.default_rng(0).normal(size=(100, 3))


@pytest.fixture
def old(tmp_path):
    np.save(tmp_path / "x.npy", X)
    return load(tmp_path / "x.npy")


def known(data):
    return {name: row_digests(split) for name, split in data.splits.items()}


def as_set(x):
    return {row.tobytes() for row in x}


def test_no_row_that_was_trained_on_is_tested_on(tmp_path, old):
    new = np.concatenate([X[:20] * 1.01, X[::-1][10:]])
    np.save(tmp_path / "x.npy", new)
    careless = load(tmp_path / "x.npy")
    assert as_set(careless.test.x) & as_set(old.train.x)
    data = split_by_digests(load_rows(tmp_path / "x.npy", old.schema), known(old))
    here = as_set(new.astype(np.float32))
    for name in ("train", "valid"):
        assert as_set(data.splits[name].x) == as_set(old.splits[name].x) & here
    assert as_set(data.test.x) == (as_set(old.test.x) & here) | as_set((X[:20] * 1.01).astype(np.float32))
    assert sum(map(len, data.splits.values())) == len(new)
    counts = [len(as_set(old.splits[name].x) & here) for name in ("train", "valid", "test")]
    said = f"{counts[0]} of its rows are known from training, {counts[1]} from validation, {counts[2]} from testing"
    assert said in data.notes[-1]
    assert "20 are new and were put into test; 10 are gone." in data.notes[-1]
    for split in data.splits.values():
        np.testing.assert_array_equal(split.x, new.astype(np.float32)[split.index])


def test_an_unchanged_file_is_split_as_before(tmp_path, old):
    data = split_by_digests(load_rows(tmp_path / "x.npy", old.schema), known(old))
    assert data.describe()["sha256"] == old.describe()["sha256"]


def test_copies_of_a_training_row_count_as_trained_on():
    data = Data("x", {"rows": Split(np.zeros((3, 1), np.float32))}, Schema((1,), "real"))
    digests = row_digests(data.only)[:1]
    assert {n: len(s) for n, s in split_by_digests(data, {"train": digests, "test": digests}).splits.items()} == {
        "train": 3
    }


def test_data_with_splits_of_their_own(tmp_path):
    np.savez(tmp_path / "x.npz", x_train=X[:80], x_test=X[80:])
    old = load_rows(tmp_path / "x.npz")
    np.savez(tmp_path / "x.npz", x_train=np.concatenate([X[20:80], X[:5] + 9]), x_test=np.concatenate([X[80:], X[:20]]))
    data = split_by_digests(load_rows(tmp_path / "x.npz", old.schema), known(old))
    assert {name: len(split) for name, split in data.splits.items()} == {"train": 85, "test": 20}


def test_digests_name_values_and_gaps():
    x = np.zeros((4, 9), np.float32)
    x[1, 0] = 1
    observed = np.ones((4, 9), bool)
    observed[2, 3] = observed[3, 4] = False
    plain, masked = row_digests(Split(x)), row_digests(Split(x, observed=observed))
    assert len(set(masked.tolist())) == 4
    assert plain[0] == plain[2] == plain[3] == masked[0]  # rows without gaps are the same in both
    assert plain[1] == masked[1]
    # frozen: stored digests must be found again by later versions
    assert hex(int(plain[0])) == FROZEN
    big = dataclasses.replace(Split(x), x=x.astype(">f4"))
    np.testing.assert_array_equal(row_digests(big), plain)


FROZEN = "0x619f3b8da72243c"
