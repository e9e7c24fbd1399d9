"""What a run folder says, whole or damaged."""

import json

import numpy as np
import pytest

from nelbo.core import InputError, write_arrays, write_json
from nelbo.runs import read_history, read_run_record


def write_history(path, rows, tail=""):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows) + tail)


def history_rows(count):
    return [{"step": 100 * i, "train_bound": -300.0 / i} for i in range(1, count + 1)]


def test_a_line_cut_off_by_a_kill_is_left_out(tmp_path):
    write_history(tmp_path / "h.jsonl", history_rows(count=3), tail='{"step": 400, "train_bo')
    assert [row["step"] for row in read_history(tmp_path / "h.jsonl")] == [100, 200, 300]


def test_a_last_row_without_its_line_end_still_counts(tmp_path):
    write_history(tmp_path / "h.jsonl", history_rows(count=1), tail='{"step": 200}')
    assert [row["step"] for row in read_history(tmp_path / "h.jsonl")] == [100, 200]


def test_a_line_cut_inside_a_letter_is_left_out(tmp_path):
    (tmp_path / "h.jsonl").write_bytes(b'{"step": 1}\n{"note": "\xc3')
    assert read_history(tmp_path / "h.jsonl") == ({"step": 1},)


@pytest.mark.parametrize("middle", ["{not json}", '{"step": 200', "[1, 2]", "7"])
def test_a_damaged_middle_line_is_named(tmp_path, middle):
    lines = ['{"step": 100}', middle, '{"step": 300}']
    (tmp_path / "h.jsonl").write_text("\n".join(lines) + "\n")
    with pytest.raises(InputError, match="line 2"):
        read_history(tmp_path / "h.jsonl")


def test_a_damaged_last_line_that_was_finished_is_an_error(tmp_path):
    (tmp_path / "h.jsonl").write_text('{"step": 100}\n{"step": \n')
    with pytest.raises(InputError, match="line 2"):
        read_history(tmp_path / "h.jsonl")


def test_rows_done_again_after_a_resume_replace_the_earlier_ones(tmp_path):
    rows = [{"step": s, "train_bound": -float(s)} for s in (0, 1, 2, 3)] + [{"step": 2, "train_bound": -20.0}]
    write_history(tmp_path / "h.jsonl", rows)
    assert [(r["step"], r["train_bound"]) for r in read_history(tmp_path / "h.jsonl")] == [(0, 0), (1, -1), (2, -20)]


def test_rows_of_one_step_become_one(tmp_path):
    write_history(tmp_path / "h.jsonl", [{"step": 0, "train_bound": -2.0}, {"step": 0, "valid_bound": -3.0}])
    assert read_history(tmp_path / "h.jsonl") == ({"step": 0, "train_bound": -2.0, "valid_bound": -3.0},)


@pytest.mark.parametrize("part", ["missing", "empty", "file"])
def test_a_folder_that_is_no_run_is_one_clear_sentence(tmp_path, part):
    path = tmp_path / part
    if part == "empty":
        path.mkdir()
    if part == "file":
        path.write_text("x")
    with pytest.raises(InputError, match=r"no run of nelbo|not a folder") as caught:
        read_run_record(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_parts_are_empty(tmp_path):
    write_json(tmp_path / "config.json", {"seed": 1})
    run = read_run_record(tmp_path)
    assert (run.name, run.history, run.results, run.facts, run.arrays) == (tmp_path.name, (), (), {}, {})


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("config.json", '{"a": ' + "[" * 40 + "]" * 40 + "}"),
        ("config.json", "[1]"),
        ("record.json", "{"),
        ("record.json", "null"),
    ],
)
def test_a_damaged_record_is_an_input_error(tmp_path, file, text):
    (tmp_path / file).write_text(text)
    with pytest.raises(InputError, match=file):
        read_run_record(tmp_path)


def test_results_of_a_wrong_type_are_an_input_error(tmp_path):
    write_json(tmp_path / "record.json", {"results": {"nats": 1.0}})
    with pytest.raises(InputError, match="results"):
        read_run_record(tmp_path)


def test_damaged_arrays_are_an_input_error(tmp_path):
    path = tmp_path / "arrays.safetensors"
    write_arrays(path, {"samples": np.zeros((2, 3, 3, 1), np.float32)}, {})
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(InputError, match="damaged"):
        read_run_record(tmp_path)


def test_arrays_of_no_real_numbers_are_an_input_error(tmp_path):
    write_arrays(tmp_path / "arrays.safetensors", {"samples": np.zeros(3, np.complex64)}, {})
    with pytest.raises(InputError, match="samples"):
        read_run_record(tmp_path)


@pytest.mark.parametrize(
    ("objective", "bound"),
    [
        ({"name": "sgvb", "arguments": {"samples": 10}}, "ELBO"),
        ({"name": "vimco", "arguments": {"samples": 5}}, "IWAE, 5 samples"),
        ({"name": "iwae", "arguments": {"samples": 1}}, "ELBO"),
        ("sgvb", "ELBO"),
    ],
)
def test_a_record_says_which_bound_its_history_holds(tmp_path, objective, bound):
    write_json(tmp_path / "config.json", {"objective": objective})
    assert read_run_record(tmp_path).history_bound == bound


def test_a_record_says_what_its_samples_are(tmp_path):
    samples = np.zeros((2, 3, 3, 1), np.float32)
    for notes, extra, expected in (
        ({"samples": "means"}, {}, "means"),
        ({"samples": "draws"}, {"reconstructions": samples}, "draws"),
        ({}, {"reconstructions": samples}, "means"),  # files of older versions do not say
        ({}, {}, "draws"),
    ):
        write_arrays(tmp_path / "arrays.safetensors", {"samples": samples} | extra, notes)
        assert read_run_record(tmp_path).samples_are == expected


def test_an_unfinished_run_knows_its_data_and_command_from_its_settings(tmp_path):
    config = {"data": {"name": "digits"}, "sha256": {"test": "ab"}, "command": "nelbo fit vae"}
    write_json(tmp_path / "config.json", config | {"model": {"name": "nade"}})
    run = read_run_record(tmp_path)
    assert (run.data.name, run.data.digests, run.command, run.values) == (
        "digits",
        {"test": "ab"},
        "nelbo fit vae",
        "binary",
    )
