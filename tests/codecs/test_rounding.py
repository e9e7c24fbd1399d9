"""Outputs that another machine could round differently are listed, and a receiver follows the list."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nelbo.codecs import DamagedError, Rounding
from nelbo.codecs.rounding import MARGIN
from nelbo.core import InputError


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 5), st.integers(0, 2**50))
def test_a_receiver_within_the_margin_rounds_alike(seed, stride, place):
    """Values on both sides of half way, and a receiver that is off by up to the margin."""
    rng = np.random.default_rng(seed)
    exact = rng.integers(-50, 50, 400) + 0.5 + rng.choice([0.0, 1e-9, -1e-9, 0.9 * MARGIN, 0.2, -0.3], 400)
    sender = Rounding()
    sent = sender(exact, 1000, place, stride)
    other = exact + rng.uniform(-0.99 * MARGIN, 0.99 * MARGIN, 400)
    receiver = Rounding(sender.to_bytes())
    assert np.array_equal(receiver(other, 1000, place, stride), sent)
    # without the list they differ, so the list is what makes them alike
    assert not np.array_equal(Rounding(b"")(other, 1000, place, stride), sent)


def test_places_of_other_values_are_left_alone():
    sender = Rounding()
    sent = sender(np.array([0.5, 2.5, 4.5]), 10, 100, 7)
    receiver = Rounding(sender.to_bytes())
    assert receiver(np.array([1.4, 1.4, 1.4]), 10, 101, 7).tolist() == [1, 1, 1]
    assert receiver(np.array([0.5, 2.5, 4.5]) - 1e-9, 10, 100, 7).tolist() == sent.tolist()


def test_ordinary_values_cost_nothing():
    sender = Rounding()
    values = np.random.default_rng(0).normal(size=10_000)
    assert np.array_equal(sender(values, 3, 0), np.clip(np.round(values), -3, 3))
    assert sender.to_bytes() == b""


def test_nan_is_refused():
    with pytest.raises(InputError, match="NaN"):
        Rounding()(np.array([0.0, np.nan]), 10, 0)


@pytest.mark.parametrize("listed", [b"\x80", b"\xff" * 12, b"\xfe\xff\xff\xff\xff\xff\xff\xff\x7f" * 3])
def test_what_no_sender_listed_is_refused(listed):
    with pytest.raises(DamagedError, match="roundings"):
        Rounding(listed)
