"""Reliability diagrams: their intervals against a numerical integral, and what is drawn."""

import numpy as np
import pytest

from nelbo.core import InputError
from nelbo.report.reliability import reliability_figure, share_interval


def test_intervals_of_shares_hold_their_probability():
    """Jeffreys's posterior of the probability, by a sum over a fine grid."""
    grid = (np.arange(400_000) + 0.5) / 400_000
    for happened, count in ((3, 10), (1, 2), (90, 100)):
        (low,), (high,) = share_interval(np.array([happened / count]), np.array([float(count)]))
        weight = grid ** (happened - 0.5) * (1.0 - grid) ** (count - happened - 0.5)
        for end, below in ((low, 0.05), (high, 0.95)):
            assert weight[grid < end].sum() / weight.sum() == pytest.approx(below, abs=2e-3)
    (low, full), (none, high) = share_interval(np.array([0.0, 1.0]), np.array([1.0, 5.0]))
    assert (low, high) == (0.0, 1.0)
    assert none > 0.5  # one case says little
    assert full > 0.5


def test_a_bin_of_one_case_has_a_long_interval():
    figure = reliability_figure(np.array([[0.3, 0.0, 1.0], [0.9, 0.9, 1000.0]]), x_label="said", y_label="seen")
    (axes,) = figure.axes
    spans = [segment[1, 1] - segment[0, 1] for segment in axes.collections[0].get_segments()]
    assert spans[0] > 10 * spans[1] > 0
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("said", "seen")
    with pytest.raises(InputError, match="three numbers"):
        reliability_figure(np.zeros((2, 2)), x_label="", y_label="")
