import math

import pytest

from nelbo.report import html_table, markdown_table, text_table
from nelbo.report.tables import cell_text

ROWS = [{"name": "a", "nats": -99.5}, {"name": "longer", "nats": None, "note": "x|y"}]


def test_text_is_aligned_with_numbers_to_the_right():
    assert text_table(ROWS).splitlines() == [
        "name     nats  note",
        "------  -----  ----",
        "a       -99.5  –",
        "longer      –  x|y",
    ]


def test_columns_can_be_chosen_and_nothing_gives_nothing():
    assert text_table(ROWS, ["nats"]).splitlines() == [" nats", "-----", "-99.5", "    –"]
    assert text_table([]) == markdown_table([]) == html_table([]) == ""


def test_markdown_cells_cannot_break_out():
    lines = markdown_table([*ROWS, {"name": "<b>\n*z*"}]).splitlines()
    assert lines[:2] == ["| name | nats | note |", "| --- | ---: | --- |"]
    assert lines[3] == "| longer | – | x\\|y |"
    assert lines[4] == "| &lt;b&gt; \\*z\\* | – | – |"


def test_html_is_escaped_and_marked_up():
    text = html_table([{"a<b": "<script>", "n": 1.5}], caption="it's")
    assert "<script>" not in text
    assert "&lt;script&gt;" in text
    assert '<th scope="col">a&lt;b</th>' in text
    assert '<td class="number">1.5</td>' in text
    assert "<caption>it&#x27;s</caption>" in text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        ("", "–"),
        (True, "yes"),
        (False, "no"),
        (3, "3"),
        (1e-3, "0.001"),
        (100.0, "100"),
        (math.nan, "nan"),
        (-math.inf, "-inf"),
        ([500, [1, 2]], "500, 1, 2"),
        ({"a": 1, "b": None}, "a: 1, b: –"),
        (list(range(30)), ", ".join(map(str, range(24))) + ", … (30 entries)"),
    ],
)
def test_cells_read_as_a_person_would_say(value, text):
    assert cell_text(value) == text
