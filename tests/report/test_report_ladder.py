"""The picture of estimates of log p(x)."""

import pytest

from nelbo.core import InputError
from nelbo.report.ladder import ladder_figure, ladders


def row(bound, nats, kind="lower", error=0.01, **more):
    same = {"data": "digits", "split": "test", "examples": 20, "sha256": "a", "binarization": "none"}
    return {**same, "bound": bound, "nats": nats, "kind": kind, "standard_error": error, **more}


ROWS = [
    row("elbo", -30.0),
    row("exact", -25.5, "exact", 0.0),
    row("iwae", -26.0, error=0.2),
    row("elbo", -29.0),  # the later of two
    row("elbo", -20.0, sha256="b"),  # of other examples, which nothing else scores
    row("hmc", None, "estimate"),  # was never finite
]


def test_a_ladder_holds_what_scores_the_same_examples_lowest_first():
    (found,) = ladders(ROWS)
    assert [(one["bound"], one["nats"]) for one in found] == [("elbo", -29.0), ("iwae", -26.0), ("exact", -25.5)]
    assert ladders(ROWS[:1]) == []


def test_arrows_start_at_bounds_and_point_to_where_log_p_lies():
    rows = ladders([*ROWS, row("above", -25.0, "upper")])[0]
    figure = ladder_figure(rows)
    axes = figure.axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == [
        "ELBO, lower bound", "IWAE, lower bound", "exact", "above, upper bound"
    ]  # fmt: skip
    arrows = {round(arrow.xyann[0], 3): arrow.xy[0] - arrow.xyann[0] for arrow in axes.texts}
    assert {start: step > 0 for start, step in arrows.items()} == {-29.0: True, -26.0: True, -25.0: False}
    low, high = axes.get_xlim()
    assert low < -29.02
    assert high > -25.0


def test_nothing_to_draw_is_said():
    with pytest.raises(InputError, match="score the run first"):
        ladder_figure([])
