import hashlib
import json

import jax.random as jr
import numpy as np
import pytest

from nelbo.core import InputError
from nelbo.data import (
    array_digest,
    load,
    missing_at_random,
    missing_random_square,
    missing_square,
)


def test_missing_at_random_hides_the_rate():
    observed = missing_at_random(jr.key(0), (100, 100), rate=0.3)
    assert observed.dtype == bool
    assert abs(float(observed.mean()) - 0.7) < 5 * np.sqrt(0.3 * 0.7 / 1e4)
    assert missing_at_random(jr.key(0), (50,), rate=0.0).all()
    assert not missing_at_random(jr.key(0), (50,), rate=1.0).any()
    with pytest.raises(InputError, match="from 0 to 1"):
        missing_at_random(jr.key(0), (50,), rate=1.5)


def test_missing_square_is_one_square():
    expected = np.ones((6, 8, 3), bool)
    expected[2:4, 3:5] = False
    np.testing.assert_array_equal(missing_square((6, 8, 3), size=2), expected)
    corner = missing_square((6, 8, 1), size=3, top=3, left=5)
    assert not corner[3:, 5:].any()
    assert int((~corner).sum()) == 9
    for bad in ({"size": 0}, {"size": 7}, {"size": 3, "top": 4}, {"size": 2, "left": -1}):
        with pytest.raises(InputError, match="square"):
            missing_square((6, 8, 1), **bad)
    with pytest.raises(InputError, match="square"):
        missing_square((6, 8), size=2)


def test_random_squares_reach_every_corner_and_stay_inside():
    corners = set()
    for seed in range(60):
        hidden = ~np.asarray(missing_random_square(jr.key(seed), (4, 5, 2), size=3))
        assert hidden.sum() == 18
        rows, columns, _ = np.nonzero(hidden)
        corners.add((rows.min(), columns.min()))
    assert corners == {(r, c) for r in range(2) for c in range(3)}  # one is missed with probability 6 (5/6)^60 = 1e-4


def test_digest_is_of_type_shape_and_bytes():
    x = np.arange(6, dtype=np.int32).reshape(2, 3)
    by_hand = hashlib.sha256(b"<i4|(2, 3)|" + x.astype("<i4").tobytes()).hexdigest()
    assert array_digest(x) == by_hand
    assert array_digest(x.astype(">i4")) == by_hand
    assert array_digest(np.asfortranarray(x)) == by_hand
    others = [x.reshape(3, 2), x.astype(np.int64), x + 1, x[:0], np.array(5)]
    assert len({by_hand, *map(array_digest, others)}) == len(others) + 1


def test_digest_reads_large_arrays_in_pieces(monkeypatch, tmp_path):
    np.save(tmp_path / "x.npy", np.arange(1000.0).reshape(100, 10))
    whole = array_digest(np.load(tmp_path / "x.npy"))
    monkeypatch.setattr("nelbo.data.splits._CHUNK_BYTES", 300)
    assert array_digest(np.load(tmp_path / "x.npy", mmap_mode="r")) == whole


def test_describe_is_json_and_sees_the_mask(tmp_path):
    x = np.random.default_rng(0).normal(size=(30, 2))
    np.save(tmp_path / "plain.npy", np.where(np.arange(2) == 0, x, 0.0))
    x[:, 1] = np.nan
    np.save(tmp_path / "holes.npy", x)
    plain, holes = load(tmp_path / "plain.npy").describe(), load(tmp_path / "holes.npy").describe()
    assert json.loads(json.dumps(holes)) == holes
    assert holes["missing"] == {"train": 0.5, "valid": 0.5, "test": 0.5}
    assert plain["sha256"] != holes["sha256"]
    assert plain["sizes"] == {"train": 24, "valid": 3, "test": 3}
