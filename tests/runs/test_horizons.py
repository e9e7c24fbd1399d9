"""How far ahead a forecast may look."""

import numpy as np
import pytest

from nelbo.core import InputError
from nelbo.runs import checked_horizon


@pytest.mark.parametrize("horizon", ["3", 2.0, 0, 10**9, None])
def test_what_is_no_number_of_steps_is_refused_in_one_sentence(horizon):
    with pytest.raises(InputError, match=r"horizon"):
        checked_horizon(horizon, "steps")


def test_numbers_of_numpy_are_numbers():
    assert checked_horizon(np.int64(3), "steps") == 3
