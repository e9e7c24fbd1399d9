"""Final numbers of runs: their kind, their errors and their units, in words and as rows of tables."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from nelbo.report.json_values import number
from nelbo.report.tables import MISSING, cell_text, fixed

Row = Mapping[str, Any]

NOT_STATED = "not stated"
NATS, MONTE_CARLO = "nats per example", "Monte Carlo error (nats)"
OVER_EXAMPLES = "error over examples (nats)"
BITS = "bits per dim"
_COLUMNS = {
    "split": "split",
    "bound": "bound",
    "kind": "kind",
    "samples": "samples",
    "nats": NATS,
    "standard_error": MONTE_CARLO,
    "spread": OVER_EXAMPLES,
    "bits_per_dim": BITS,
    "binarization": "binarization",
}
_UNITS = {  # headings of further numbers
    "reconstruction": "reconstruction (nats)",
    "kl": "KL (nats)",
    "weight_kl": "KL of the weights (nats)",
    "rmse": "RMSE (units of the data)",
    "mae": "MAE (units of the data)",
    "calibration_error": "calibration error",
    "coverage_50": "share in 50 % interval",
    "coverage_90": "share in 90 % interval",
}
_TWO_DECIMALS = (
    "reconstruction", "kl", "weight_kl", "perplexity", "acceptance", "pareto_k", "heavy_tailed", "r_hat"
)  # fmt: skip
_ACRONYMS = ("elbo", "iwae", "ais")
_KINDS = {"lower": "lower bound", "upper": "upper bound"}
# of rows that older versions wrote, without a kind of their own
_LOWER_BOUNDS = ("elbo", "iwae", "full-vb", "elbo, weights drawn")


def result_rows(results: Sequence[Row], **first: Any) -> list[dict[str, Any]]:
    """Results of a record as rows whose headings name the units; kind, errors and binarization are always there.

    Args:
        results: the rows under "results" in a `record.json`: nats and standard errors per example.
        first: columns to put before, the same in every row (such as `run=...`).
    """
    rows = []
    for result in results:
        row = {**first, **{heading: result.get(key) for key, heading in _COLUMNS.items()}}
        row["bound"], row["kind"] = bound_name(result.get("bound")), bound_kind(result)
        row[NATS], row[MONTE_CARLO], row[OVER_EXAMPLES] = nats_and_errors(result)
        row[BITS] = fixed(result.get("bits_per_dim"), 3)
        row["binarization"] = result.get("binarization") or NOT_STATED
        for key, value in result.items():
            if key not in {*_COLUMNS, "units", "warning", "normalizer"}:
                row[_UNITS.get(key, key)] = fixed(value, 2) if key in _TWO_DECIMALS else value
        rows.append(row)
    return rows


def shared_facts(rows: Sequence[dict[str, Any]]) -> tuple[str, list[dict[str, Any]]]:
    """What all rows say of their data, in words, and the rows without it: a table of one data set needs it once.

    Args:
        rows: as `result_rows` gives them.
    """
    values = {key: {cell_text(row.get(key)) for row in rows} for key in ("data", "binarization", "examples")}
    same = {key: found.pop() for key, found in values.items() if len(found) == 1}
    words = {"data": "data {}", "binarization": "binarization {}", "examples": "{} examples"}
    text = ", ".join(words[key].format(value) for key, value in same.items() if value != MISSING)
    return text, [{key: value for key, value in row.items() if key not in same} for row in rows]


def headline(results: Sequence[Row], data: str = "") -> Row | None:
    """The result a run is known by; None if there is none.

    It is on test data if there is any, then on the run's own data, then of the most examples, then of the most samples.

    Args:
        results: the rows under "results" in a `record.json`.
        data: the name of the run's own data.
    """

    def rank(row: Row) -> tuple[bool, bool, float, float]:
        own = row.get("data", data) == data
        return row.get("split") == "test", own, number(row.get("examples")) or 0.0, number(row.get("samples")) or 0.0

    return max((row for row in results if number(row.get("nats")) is not None), key=rank, default=None)


def bound_name(bound: Any) -> str:
    """How a bound is written: acronyms in capitals, other names as they are."""
    return bound.upper() if bound in _ACRONYMS else cell_text(bound)


def bound_kind(result: Row) -> str:
    """What a number is to log p(x): "lower bound", "upper bound", "exact", "estimate" or "proxy"."""
    kind = result.get("kind") or ("lower" if result.get("bound") in _LOWER_BOUNDS else NOT_STATED)
    return _KINDS.get(str(kind), cell_text(kind))


def nats_and_errors(result: Row) -> tuple[str, str, str]:
    """A result's nats, Monte Carlo error and error over examples, with as many decimals as each error supports.

    The nats have the decimals of the smaller error (2 to 4).
    """
    monte_carlo, over_examples = result.get("standard_error"), result.get("spread")
    decimals = max(_decimals(monte_carlo), _decimals(over_examples))
    return (
        fixed(result.get("nats"), decimals),
        fixed(monte_carlo, _decimals(monte_carlo)),
        fixed(over_examples, _decimals(over_examples)),
    )


def samples_text(samples: Any) -> str:
    """So many draws of z for each example; empty if nobody says."""
    return "" if samples is None else f"{cell_text(samples)} {'sample' if samples == 1 else 'samples'}"


def signed(text: str) -> str:
    """A number with a true minus sign."""
    return text.replace("-", "\u2212") if text != MISSING else text


def _decimals(error: Any) -> int:
    """Two digits of an error, but at least two decimals and at most four."""
    size = number(error)
    return min(4, max(2, 1 - math.floor(math.log10(size)))) if size is not None and size > 0 else 2
