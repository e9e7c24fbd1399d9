"""Numbers that dwarf their spread keep it: they are centred in float64 before they become float32."""

import numpy as np
import pytest

from nelbo.core import InputError
from nelbo.data import Schema, Split, filled_table, load, load_rows
from nelbo.data.prepare import offset_of

X = np.random.default_rng(0).normal(size=(200, 3))


@pytest.mark.parametrize("offset", [1e6, 1e8, 1e9, -1e12])
@pytest.mark.parametrize("suffix", ["npy", "csv"])
def test_the_spread_is_kept(tmp_path, offset, suffix):
    x = X + [offset, 0, 5]
    path = tmp_path / f"x.{suffix}"
    if suffix == "npy":
        np.save(path, x)
    else:
        np.savetxt(path, x, delimiter=",", fmt="%.17g", header="a,b,c", comments="")
    data = load_rows(path)
    assert data.only.x.dtype == np.float32
    assert data.schema.offset[1:] == (0.0, 0.0)
    deviations = x[:, 0] - x[:, 0].mean()
    np.testing.assert_allclose(data.only.x[:, 0], deviations, atol=1e-6 + 1e-15 * abs(offset))
    np.testing.assert_allclose(data.schema.restored(data.only.x), x, atol=1e-6, rtol=1e-15)
    np.testing.assert_array_equal(data.schema.centred(x).astype(np.float32), data.only.x)
    # another file is centred by the numbers of the first
    np.save(tmp_path / "new.npy", x[:7] + 1)
    again = load_rows(tmp_path / "new.npy", Schema((3,), "real", offset=data.schema.offset))
    np.testing.assert_allclose(again.only.x, data.only.x[:7] + 1, atol=1e-5)


def test_missing_entries_do_not_move_the_offset(tmp_path):
    x = X + 1e9
    x[::3, 0] = np.nan
    np.save(tmp_path / "x.npy", x)
    data = load(tmp_path / "x.npy")
    assert data.schema.offset[0] == pytest.approx(np.nanmean(x[:, 0]), rel=1e-15)
    assert (data.train.x[~data.train.observed] == 0).all()
    assert np.abs(data.train.x).max() < 6


def test_most_data_need_none():
    assert offset_of([Split(X), Split(X + 100)]) is None
    assert offset_of([Split(np.full((4, 2), 7.0))]) is None
    assert offset_of([Split(np.array([[16777217.0], [16777217.0]]))]).tolist() == [16777217.0]
    assert load("digits").schema.offset is None


def test_whole_numbers_beyond_float32_are_written_whole(tmp_path):
    (tmp_path / "t.csv").write_text("time,a\n1700000000,1.5\n1700000060,2.5\n,3.5\n1700000120,4.5\n")
    data = load_rows(tmp_path / "t.csv")
    values = np.full((4, 2), 0.0, np.float32)
    assert filled_table(data, data.only, values, data.only.observed).decode().splitlines()[3] == "1700000060,3.5"


def test_streamed_files_are_refused(tmp_path):
    np.save(tmp_path / "x.npy", X + 1e9)
    with pytest.raises(InputError, match="large beside their spread"):
        load(tmp_path / "x.npy", stream=True)
    np.save(tmp_path / "x.npy", X)
    assert load(tmp_path / "x.npy", stream=True).values == "real"
