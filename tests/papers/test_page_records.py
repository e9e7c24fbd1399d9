"""Small records of parts: what is shown of runs that are not here, and parts in several processes."""

import dataclasses
import json
import sys

import numpy as np
import pytest
from test_pages import TINY, numbers

from nelbo.cli import main
from nelbo.cli.page_jobs import grouped
from nelbo.cli.paper import show_page
from nelbo.core import InputError
from nelbo.papers import PAPERS, Figure
from nelbo.papers.summaries import POINTS, record_path, write_record


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """A finished page, and the folder of its small records."""
    folder, records = tmp_path_factory.mktemp("page"), tmp_path_factory.mktemp("records")
    result = TINY.reproduce(folder, budget="smoke", records=records, say=lambda _: None)
    return result, records


@pytest.mark.slow
def test_a_page_is_redrawn_from_its_records_without_a_run(recorded, tmp_path, monkeypatch):
    result, records = recorded
    monkeypatch.setattr(sys.modules["nelbo.runs.ready"], "fit", None)
    again = TINY.reproduce(tmp_path, budget="smoke", records=records, redraw=True, say=lambda _: None)
    assert numbers(again) == numbers(result)
    assert again["finished"]
    assert [claim["holds"] for claim in again["claims"]] == [True, None]
    written = show_page(tmp_path, again)
    assert {"figure-1-test.png", "figure-1-train.png"} <= {path.name for path in written}


def test_without_records_nothing_is_there_to_redraw(tmp_path):
    result = TINY.reproduce(tmp_path, budget="smoke", redraw=True, say=lambda _: None)
    assert (result["parts"], result["figures"], result["finished"]) == ({}, [], False)


@pytest.mark.slow
def test_pictures_of_arrays_leave_recorded_parts_out(recorded, tmp_path):
    """Samples are in the runs' folders, which are not here."""
    _, records = recorded
    plan = TINY.plan("smoke", 0, None)
    both = tuple(part.name for part in plan.parts)
    drawn = dataclasses.replace(plan, figures=(Figure("s", "S", "samples", both), *plan.figures))
    page = dataclasses.replace(TINY, plan=lambda *_: drawn)
    result = page.reproduce(tmp_path, budget="smoke", records=records, redraw=True, say=lambda _: None)
    assert [figure["kind"] for figure in result["figures"]] == ["curves"]


@pytest.mark.slow
def test_a_record_of_other_settings_is_not_shown(recorded, tmp_path):
    _, records = recorded
    result = TINY.reproduce(tmp_path, budget="smoke", seed=1, records=records, redraw=True, say=lambda _: None)
    assert result["parts"] == {}  # part 1 of seed 1 has the seed of part 2 of seed 0, but another name


@pytest.mark.slow
def test_a_damaged_record_is_named(recorded, tmp_path):
    result, _ = recorded
    write_record(tmp_path, "smoke", "first", result["parts"]["first"])
    path = record_path(tmp_path, "smoke", "first")
    path.write_text(json.dumps({"label": "1"}))
    with pytest.raises(InputError, match=r"first\.json is not the record of a part"):
        TINY.reproduce(tmp_path / "page", budget="smoke", records=tmp_path, redraw=True, say=lambda _: None)


@pytest.mark.slow
def test_a_record_is_small_and_has_both_ends_of_its_curve(recorded, tmp_path):
    result, _ = recorded
    long = {"examples": list(range(1000)), "test_bound": [float(i) for i in range(1000)]}
    data = {**result["parts"]["first"]["experiment"]["data"], "data_dir": "/somewhere"}
    summary = result["parts"]["first"] | {"curve": long}
    summary["experiment"] = {**summary["experiment"], "data": data}
    write_record(tmp_path, "smoke", "a/b", summary)
    text = record_path(tmp_path, "smoke", "a/b").read_text()
    curve = json.loads(text)["curve"]
    assert len(curve["examples"]) == POINTS == len(curve["test_bound"])
    assert (curve["examples"][0], curve["examples"][-1]) == (0, 999)
    assert np.all(np.diff(curve["examples"]) > 0)
    assert "/somewhere" not in text


def test_parts_that_share_a_trial_stay_in_one_process():
    parts = TINY.plan("smoke", 0, None).parts
    assert grouped(parts) == [["first", "second"]]
    alone = [dataclasses.replace(part, trial=None) for part in parts]
    assert grouped(alone) == [["first"], ["second"]]


def test_impossible_jobs_are_refused(capsys, tmp_path):
    line = ["reproduce", "kingma2014", "--budget", "smoke", "--out", str(tmp_path / "page")]
    assert main([*line, "--jobs", "0"]) == 2
    assert main([*line, "--redraw", "--jobs", "2"]) == 2
    assert "at least 1, got 0" in capsys.readouterr().err
    assert not (tmp_path / "page").exists()


@pytest.mark.slow
def test_parts_in_two_processes_are_those_of_one(tmp_path):
    """The smallest rows of the combined table."""
    line = ["reproduce", "recognition-models", "--budget", "smoke", "--quiet", "--only", "nade", "mixture"]
    assert main([*line, "--out", str(tmp_path / "two"), "--jobs", "2"]) == 0
    assert main([*line, "--out", str(tmp_path / "one")]) == 0
    found = [json.loads((tmp_path / name / "result.json").read_text()) for name in ("one", "two")]
    assert numbers(found[0]) == numbers(found[1])
    assert set(found[0]["parts"]) == {"nade", "mixture"} < {p.name for p in PAPERS["recognition-models"].plan("smoke", 0, None).parts}  # fmt: skip  # noqa: E501
