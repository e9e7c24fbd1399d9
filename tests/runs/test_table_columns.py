"""What the rows to train on decide about the columns of a table."""

import numpy as np
import pandas as pd
import pytest

from nelbo.data import Data, Schema, Split, load_rows
from nelbo.runs import interval_columns
from nelbo.runs.columns import column_arguments
from nelbo.tasks import Imputation


def decided(train, valid):
    """Kind, centre and spread of a single column."""
    splits = {
        name: Split(np.array(values, np.float32)[:, None]) for name, values in (("train", train), ("valid", valid))
    }
    found = column_arguments(Data("t", splits, Schema((1,), "real")), {"centre": True, "spread": True})
    return found["kinds"][0], float(found["centre"][0]), float(found["spread"][0])


@pytest.mark.parametrize("shift", [0.0, -0.05, 40.0])  # where zero lies says nothing of the noise
def test_a_column_that_varies_in_held_out_rows_alone_has_their_spread(shift):
    kind, centre, spread = decided(np.full(30, shift), np.array([shift, shift, shift, 31.5 + shift]))
    assert kind == "student"
    assert centre == pytest.approx(shift)
    assert 3.0 < spread < 6.0  # 31.5 sqrt(p (1 - p)), with one row among 34 to 64


def test_a_column_that_never_varies_has_a_part_of_itself_for_its_noise():
    assert decided(np.full(30, 40.0), np.full(4, 40.0)) == ("real", 40.0, pytest.approx(0.04))


@pytest.mark.parametrize("suffix", [".csv", ".feather"])
def test_the_ends_of_an_interval_of_dates_are_dates(suffix, tmp_path):
    days = pd.to_datetime(["2020-01-05", None, "2021-06-30", None])
    table = pd.DataFrame({"size": [1.5, 2.5, None, 3.5], "joined": days})
    path = tmp_path / f"t{suffix}"
    table.to_csv(path, index=False) if suffix == ".csv" else table.to_feather(path)
    data = load_rows(path, words=True)
    given = np.asarray(data.only.observed)
    low = np.where(given, data.only.x, [[2.25, 18262.0], [2.25, 18262.2], [2.25, 18262.0], [2.25, np.nan]])
    result = Imputation(low, np.zeros_like(low), low, low + 1.0, low[None], given, "importance", None, 0)
    found = interval_columns(data, result)
    assert data.table is not None
    path.write_bytes(data.table.extended([1], found, None))
    read = (pd.read_csv if suffix == ".csv" else pd.read_feather)(path)
    ends = pd.to_datetime(read["joined low"]), pd.to_datetime(read["joined high"])
    # known cells have no ends, and neither has one that no number was found for
    assert [end.isna().tolist() for end in ends] == [[True, False, True, True]] * 2
    assert [str(end[1])[:10] for end in ends] == ["2020-01-01", "2020-01-02"]
    if suffix == ".csv":
        assert read["joined low"].tolist()[1] == "2020-01-01"
    assert np.isnan(read["size low"].to_numpy()).tolist() == [True, True, False, True]
