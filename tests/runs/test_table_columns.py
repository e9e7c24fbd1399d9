"""What the rows to train on decide about the columns of a table."""

import numpy as np
import pytest

from nelbo.data import Data, Schema, Split
from nelbo.runs.columns import column_arguments


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
