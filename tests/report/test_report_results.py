import math

import pytest

from nelbo.report import result_rows
from nelbo.report.results import bound_kind, headline, nats_and_errors, shared_facts
from nelbo.report.tables import cell_text


def test_results_always_state_units_kind_errors_and_binarization():
    rows = result_rows([{"nats": -1.0}, {"nats": -96.2, "standard_error": 0.0794, "bound": "iwae", "ess": 12}], run="r")
    always = {"kind", "nats per example", "Monte Carlo error (nats)", "error over examples (nats)", "bits per dim"}
    for row in rows:
        assert always | {"binarization"} <= row.keys()
    assert (rows[0]["binarization"], rows[0]["kind"]) == ("not stated", "not stated")
    assert (rows[0]["run"], rows[0]["nats per example"]) == ("r", "-1.00")
    assert (rows[1]["nats per example"], rows[1]["Monte Carlo error (nats)"]) == ("-96.200", "0.079")
    assert (rows[1]["bound"], rows[1]["kind"], rows[1]["ess"]) == ("IWAE", "lower bound", 12)


@pytest.mark.parametrize("nats", [math.nan, math.inf, None, "?"])
def test_results_survive_numbers_that_are_none(nats):
    row = result_rows([{"nats": nats, "standard_error": nats, "bits_per_dim": nats}])[0]
    assert row["nats per example"] == cell_text(nats)


def test_both_errors_are_told_apart_each_with_its_own_digits():
    texts = nats_and_errors({"nats": -105.5612, "standard_error": 0.0201, "spread": 0.7384})
    assert texts == ("-105.561", "0.020", "0.74")
    assert nats_and_errors({"nats": -1.0, "standard_error": 0.0, "spread": 2.0}) == ("-1.00", "0.00", "2.00")


@pytest.mark.parametrize(
    ("row", "kind"),
    [
        ({"bound": "elbo"}, "lower bound"),
        ({"bound": "iwae"}, "lower bound"),
        ({"bound": "ais"}, "not stated"),
        ({"bound": "elbo", "kind": "exact"}, "exact"),
        ({"bound": "ais", "kind": "upper"}, "upper bound"),
        ({"bound": "hmc", "kind": "estimate"}, "estimate"),
        ({}, "not stated"),
    ],
)
def test_the_kind_of_a_number_is_its_own_or_that_of_its_bound(row, kind):
    assert bound_kind(row) == kind


def test_the_headline_is_of_the_test_set_then_own_data_then_most_examples_then_most_samples():
    def row(split, data, examples, samples):
        return {"split": split, "data": data, "examples": examples, "samples": samples, "nats": -1.0}

    order = [
        row("valid", "a", 900, 9000),
        row("test", "b", 900, 9000),
        row("test", "a", 20, 9000),
        row("test", "a", 250, 10),
        row("test", "a", 250, 100),
    ]
    for count in range(1, len(order) + 1):
        assert headline(order[:count], "a") is order[count - 1]
    assert headline([{"nats": math.nan}], "a") is None


def test_facts_that_all_rows_share_leave_the_table():
    results = [{"data": "a", "binarization": "x", "examples": n, "nats": -1.0} for n in (5, 6)]
    text, rows = shared_facts(result_rows(results))
    assert text == "data a, binarization x"
    assert [row["examples"] for row in rows] == [5, 6]
    assert not {"data", "binarization"} & rows[0].keys()
