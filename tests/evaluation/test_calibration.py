"""Calibration on cases that were made so that every number is known."""

import numpy as np
import pytest

from nelbo.core import InputError
from nelbo.evaluation import Reliability, binned, class_reliability, coverage, quantile_reliability


def test_the_error_of_two_bins_by_hand():
    # ten cases said to be right with 0.6, four are; ten with 0.9, all are: (0.2 + 0.1) / 2
    confidence = np.repeat([0.6, 0.9], 10)
    happened = np.concatenate([np.arange(10) < 4, np.ones(10, bool)])
    found = binned(confidence, happened, bins=10)
    np.testing.assert_allclose(found.predicted, [0.6, 0.9])
    np.testing.assert_allclose(found.observed, [0.4, 1.0])
    np.testing.assert_array_equal(found.count, [10, 10])
    assert found.error == pytest.approx(0.15)


def test_bins_weigh_by_their_cases():
    found = Reliability(np.array([0.5, 1.0]), np.array([0.5, 0.0]), np.array([3.0, 1.0]))
    assert found.error == pytest.approx(0.25)


def test_a_classifier_that_says_the_truth_has_no_error():
    probabilities = np.tile([0.75, 0.25], (4, 1))
    assert class_reliability(probabilities, np.array([0, 0, 0, 1])).error == pytest.approx(0.0)
    sure = np.array([[1.0, 0.0], [0.0, 1.0]])
    assert class_reliability(sure, np.array([1, 0])).error == pytest.approx(1.0)


def test_an_edge_belongs_to_the_bin_below_it():
    assert len(binned(np.array([0.5, 0.50001]), np.array([True, True]), bins=2).count) == 2
    assert len(binned(np.array([0.0, 1.0]), np.array([True, True]), bins=1).count) == 1


def test_quantiles_of_uniform_values_are_right_and_of_narrow_ones_are_not():
    uniform = (np.arange(1000) + 0.5) / 1000
    assert quantile_reliability(uniform).error < 1e-3
    # all targets at the median: below each level under one half there are none, above it all
    levels = (0.1, 0.3, 0.7, 0.9)
    found = quantile_reliability(np.full(5, 0.5), levels)
    np.testing.assert_allclose(found.observed, [0, 0, 1, 1])
    assert found.error == pytest.approx(np.mean([0.1, 0.3, 0.3, 0.1]))


def test_coverage_counts_both_ends():
    assert coverage(np.array([0.0, 1.0, 2.0, 3.0]), np.full(4, 1.0), np.full(4, 2.0)) == 0.5


def test_nothing_to_calibrate_is_refused():
    with pytest.raises(InputError, match="at least one"):
        binned(np.zeros(0), np.zeros(0, bool))
    with pytest.raises(InputError, match="at least one"):
        quantile_reliability(np.zeros(0))
