"""The page of a run on a table says what its columns are, and how well their cells came back."""

import json

from nelbo.report.single_run import run_page
from nelbo.runs import read_run_record


def test_columns_of_a_table_stand_on_its_page(tmp_path):
    columns = [
        {"name": "id", "role": "set aside", "kind": "text", "reason": "it holds text"},
        {"name": "size <cm>", "role": "feature", "kind": "real"},
        {"name": "town", "role": "feature", "kind": "text", "levels": ["Graz", "Wien"]},
        "odd",
    ]
    config = {"model": {"name": "table"}, "objective": {"name": "iwae"}, "schema": {"columns": columns}}
    about = {"kinds": {"size <cm>": "student", "town": "words:2"}, "missing_by_column": {"town": 0.25}}
    filled = [{"column": "size <cm>", "filled": 3, "hidden": 9, "RMSE (sd)": 0.51234, "share in 90 % interval": 0.889},
              {"column": "town", "filled": 1, "hidden": 0, "error rate": None}]  # fmt: skip
    for name, value in (("config", config), ("record", {"data": about}), ("filled", {"columns": filled})):
        (tmp_path / f"{name}.json").write_text(json.dumps(value))
    run = read_run_record(tmp_path)
    assert [row["modelled as"] for row in run.data.table] == ["not: it holds text", "student", "one of 2 words"]
    page = run_page(run)
    for text in ("size &lt;cm&gt;", "student", "one of 2 words", "25.0%", "not: it holds text", "0.512", "88.9%"):
        assert text in page
    (tmp_path / "filled.json").write_text('{"columns": 3}')
    assert read_run_record(tmp_path).filled == ()
