"""What commands print and write, and how little `nelbo --help` needs."""

import argparse
import importlib.util
import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest
from shell import SOURCES, TINY, finish, start

from nelbo.cli import COMPILER_OPTION, _choose_compiler_options
from nelbo.cli import commands as commands_module
from nelbo.cli.commands import COMMANDS, command
from nelbo.cli.parser import parse, parsers
from nelbo.core import read_arrays
from nelbo.runs import read_run_record


def test_the_list_of_commands_imports_no_jax():
    code = (
        "import sys\nfrom nelbo.cli import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        "print(sorted({'jax', 'numpy', 'equinox', 'matplotlib', 'nelbo.core'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONPATH": SOURCES})  # fmt: skip  # noqa: E501
    assert run.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    ("given", "known"),
    [
        (None, COMPILER_OPTION),
        ("--xla_dump_to=d", f"--xla_dump_to=d {COMPILER_OPTION}"),
        ("--xla_backend_extra_options=-unroll-count=2", "--xla_backend_extra_options=-unroll-count=2"),
    ],
)
def test_the_compiler_is_told_what_was_measured_unless_the_user_says_otherwise(given, known, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)  # no accelerator here
    monkeypatch.delenv("XLA_FLAGS", raising=False)
    if given is not None:
        monkeypatch.setenv("XLA_FLAGS", given)
    _choose_compiler_options()
    assert os.environ["XLA_FLAGS"] == known


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_examples_that_parse_and_show_its_options(name, capsys):
    """All options but those of `fit`, which are derived from the parts, and those that every command has."""
    with pytest.raises(SystemExit) as stop:
        parse([name, "--help"])
    text = capsys.readouterr().out
    assert stop.value.code == 0
    shown: set[str] = set()
    for line in command(name).examples:
        assert f"  {line}\n" in text
        words = shlex.split(line)
        assert words[:2] == ["nelbo", name]
        options = parse([*words[1:], "--seed", "3", "--json", "--quiet"])
        assert (options.command, options.seed, options.json, options.quiet) == (name, 3, True, True)
        assert options.carry_out is command(name).run
        shown |= {word for word in words if word.startswith("-")}
    everywhere = {"-h", "--seed", "--json", "--quiet"}
    for action in parsers(name)[1][name]._actions if name != "fit" else ():
        visible = action.option_strings and action.help is not argparse.SUPPRESS
        if visible and not everywhere & set(action.option_strings):
            assert shown & set(action.option_strings), action.option_strings


def test_a_command_is_one_row_and_one_file():
    files = Path(commands_module.__file__).parent.glob("*.py")
    assert {path.stem.replace("_", "-") for path in files if "\nCOMMAND = Command(" in path.read_text()} == set(
        COMMANDS
    )


def test_a_parser_knows_its_flags():
    flags = parsers("sample")[1]["sample"].flags()
    assert {"-n", "--count", "-o", "--output", "--seed", "--mean"} <= set(flags)
    assert "--epochs" not in flags


def commands(run, tmp_path):
    return {
        "fit": ("fit", *TINY, "--epochs", "1", "--out", tmp_path / "new"),
        "evaluate": ("evaluate", run, "--samples", "2"),
        "sample": ("sample", run, "-n", "4", "-o", tmp_path / "s.npy"),
        "embed": ("embed", run, "-o", tmp_path / "z.csv"),
        "reconstruct": ("reconstruct", run, "-n", "3"),
        "report": ("report", run, "-o", tmp_path / "page.html"),
        "data list": ("data", "list"),
        "data show": ("data", "show", "digits"),
        "models list": ("models", "list"),
        "models show": ("models", "show", "linear"),
        "objectives list": ("objectives", "list"),
        "objectives show": ("objectives", "show", "nvil"),
        "cite": ("cite",),
        "cite one": ("cite", "kingma2014"),
    }


LISTS = {f"{what} {how}" for what in ("data", "models", "objectives") for how in ("list", "show")}
RESULTS = {"fit", "evaluate", "cite", "cite one"} | LISTS


@pytest.mark.share(8)
@pytest.mark.parametrize("name", sorted(RESULTS | {"sample", "embed", "reconstruct", "report"}))
def test_json_is_one_document_and_quiet_is_quiet(name, nelbo, run, tmp_path):
    line = commands(run, tmp_path)[name]
    quiet = nelbo(*line, "--quiet")
    assert (quiet.code, quiet.err) == (0, "")
    assert bool(quiet.out) == (name in RESULTS)
    again = (*line, "--overwrite") if name == "fit" else line
    outcome = nelbo(*again, "--json")
    assert outcome.code == 0
    json.loads(outcome.out)


def test_files_have_the_shapes_that_are_told(nelbo, run, tmp_path):
    assert nelbo("sample", run, "-n", "4", "-o", tmp_path / "s.npy", "--quiet").code == 0
    drawn = np.load(tmp_path / "s.npy")
    assert drawn.shape == (4, 8, 8, 1)
    assert set(np.unique(drawn)) <= {0.0, 1.0}
    assert nelbo("embed", run, "-o", tmp_path / "z.csv", "--quiet").code == 0
    assert np.loadtxt(tmp_path / "z.csv", delimiter=",").shape == (250, 2)
    told = json.loads(nelbo("reconstruct", run, "-n", "3", "-o", tmp_path / "r.npy", "--json").out)
    assert told == {"file": str(tmp_path / "r.npy"), "shape": [3, 8, 8, 1]}
    assert nelbo("sample", run, "-n", "4").err.startswith("Wrote ")
    assert matplotlib.image.imread(run / "samples.png").shape[1] > 400  # of images of 8 pixels
    assert read_run_record(run).samples_are == "means"


def test_a_limited_score_does_not_replace_the_full_one(nelbo, run):
    before = json.loads((run / "record.json").read_text())["results"]
    assert nelbo("evaluate", run, "--samples", "10", "--limit", "20", "--quiet").code == 0
    assert nelbo("evaluate", run, "--samples", "10", "--limit", "20", "--quiet").code == 0
    after = json.loads((run / "record.json").read_text())["results"]
    assert after[:-1] == before
    assert after[-1]["examples"] == 20


def test_sampling_needs_no_data(nelbo, run, tmp_path):
    config = json.loads((run / "config.json").read_text())
    config["data"]["name"] = str(tmp_path / "gone.npy")
    (run / "config.json").write_text(json.dumps(config))
    assert nelbo("sample", run, "-n", "2", "-o", tmp_path / "s.png", "--quiet").code == 0
    assert nelbo("evaluate", run, "--quiet").is_refusal("gone.npy")


def test_a_damaged_checkpoint_is_passed_over_with_a_note(nelbo, tmp_path):
    folder = tmp_path / "run"
    line = ("fit", *TINY, "--epochs", "3", "--out", folder, "--checkpoint-seconds", "0", "--no-figures")
    assert nelbo(*line, "--quiet").code == 0
    want = read_arrays(folder / "model.safetensors", "model")[0]
    older, newer = sorted((folder / "checkpoints").iterdir())
    (folder / "record.json").unlink()
    (folder / "model.safetensors").unlink()
    newer.write_bytes(newer.read_bytes()[:-1000])
    outcome = nelbo("fit", "--resume", "--out", folder, "--no-figures")
    assert outcome.code == 0
    assert f"Going on from {older.name}" in outcome.err
    got = read_arrays(folder / "model.safetensors", "model")[0]
    assert want.keys() == got.keys()
    assert all(np.array_equal(want[name], got[name]) for name in want)
    (folder / "record.json").unlink()
    for path in (folder / "checkpoints").iterdir():
        path.write_bytes(b"")
    assert nelbo("fit", "--resume", "--out", folder).is_refusal("No checkpoint of this run can be used")


def test_a_run_that_only_trains_can_be_scored_later(nelbo, tmp_path):
    folder = tmp_path / "run"
    outcome = nelbo("fit", *TINY, "--epochs", "2", "--out", folder, "--train-only", "--quiet")
    assert (outcome.code, outcome.out) == (0, "")
    rows = [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]
    assert [row["valid_bound"] for row in rows] == [None, None]
    assert not (folder / "arrays.safetensors").exists()
    assert not (folder / "figures").exists()
    outcome = nelbo("fit", "--resume", "--out", folder, "--quiet", "--json")
    assert outcome.code == 0
    assert json.loads(outcome.out)["results"] == []
    assert nelbo("evaluate", folder, "--samples", "10", "--quiet").code == 0
    assert len(json.loads((folder / "record.json").read_text())["results"]) == 1
    assert nelbo("report", folder, "--quiet").code == 0


def test_a_run_that_only_trains_ends_as_one_that_is_scored(nelbo, tmp_path):
    line = ("fit", *TINY, "--epochs", "1", "--quiet", "--no-figures")
    assert nelbo(*line, "--out", tmp_path / "a", "--train-only").code == 0
    assert nelbo(*line, "--out", tmp_path / "b", "--keep", "last").code == 0
    first, second = (read_arrays(tmp_path / name / "model.safetensors", "model")[0] for name in "ab")
    assert all(np.array_equal(first[name], second[name]) for name in second)


@pytest.mark.slow
def test_data_that_changed_are_not_resumed_with(nelbo, tmp_path):
    x = np.random.default_rng(0).normal(size=(60, 4)).astype(np.float32)
    np.save(tmp_path / "x.npy", x)
    folder = tmp_path / "run"
    line = ("fit", "vae", "--hidden", "4", "--data", tmp_path / "x.npy", "--epochs", "1", "--out", folder, "--quiet")
    assert nelbo(*line).code == 0
    (folder / "record.json").unlink()
    np.save(tmp_path / "x.npy", x[::-1])
    assert nelbo("fit", "--resume", "--out", folder, "--quiet").is_refusal("SHA-256")


def test_progress_goes_to_standard_error_and_is_rare(nelbo, tmp_path):
    outcome = nelbo("fit", *TINY, "--epochs", "1", "--out", tmp_path / "run", "--no-figures")
    assert outcome.code == 0
    size, trained = outcome.err.splitlines()
    # 64-8-4 and 2-8-64 with biases; parameters, gradient and Adam's two moments in float32, and its counter
    assert size == "vae: 1,156 parameters, 0.0 MB with their gradient and the optimizer"
    assert trained.startswith("Trained 13 steps")


@pytest.mark.slow
def test_a_process_leaves_with_its_whole_output_and_its_exit_code(nelbo):
    code, out, err = finish(start("models", "show", "vae", "--json"))
    assert (code, out, err) == (0, nelbo("models", "show", "vae", "--json").out, "")
    code, out, err = finish(start("models", "show", "vea"))
    assert (code, out) == (2, "")
    assert "did you mean 'vae'?" in err


def test_fetching_is_told_on_standard_error(capsys):
    from nelbo.cli.output import fetching

    show = fetching(argparse.Namespace(quiet=False))
    assert show is not None
    for done in range(0, 10_000_001, 1_000_000):
        show("https://example.org/a.gz", done, 10_000_000)
    assert capsys.readouterr() == ("", "Fetching https://example.org/a.gz: 0.0 of 10.0 MB\n")
    assert fetching(argparse.Namespace(quiet=True)) is None


def test_batches_are_drawn_as_the_option_says(nelbo, tmp_path):
    folder = tmp_path / "run"
    line = ("fit", *TINY, "--epochs", "1", "--train-only", "--out", folder)
    found = nelbo(*line, "--batches", "replacement", "--json")
    assert found.code == 0
    record = json.loads(found.out)
    assert record["batches"] == {"name": "replacement"}
    training = json.loads((folder / "config.json").read_text())["training"]
    assert (training["batches"], training["ordering"]) == ("replacement", None)
    assert nelbo(*line[:4], "--batches", "replacment", "--out", tmp_path / "x").is_refusal("did you mean 'replacement'")
    other = nelbo("fit", "--resume", "--out", folder, "--batches", "reshuffled")
    assert other.is_refusal("batches is reshuffled here but replacement")


@pytest.mark.slow  # tests/training/test_orders and tests/training/test_dpp have the orders themselves
def test_batches_that_repel_say_which_risk_they_minimize(nelbo, tmp_path):
    line = ("--data", "digits", "--batch-size", "20", "--epochs", "0.3", "--train-only", "--hidden", "8")
    dpp = ("--batches", "dpp", "--random-features", "64", "--label-share", "0.5")
    told = nelbo("fit", "classification", *line, *dpp, "--out", tmp_path / "classes")
    assert told.code == 0
    assert "Batches: dpp (kernel rbf, bandwidth 1.0, random features 64, rank 64, risk unbiased, weights" in told.err
    training = json.loads((tmp_path / "classes" / "config.json").read_text())["training"]
    assert training["ordering"]["label_share"] == 0.5
    assert training["ordering"]["risk"] == "unbiased"
    disk = ("--batches", "poisson-disk", "--variant", "easy", "--risk", "diversified")
    found = nelbo("fit", "vae", *line, "--context", "label", *disk, "--json", "--out", tmp_path / "vae")
    record = json.loads(found.out)["batches"]
    assert (record["name"], record["variant"], record["risk"]) == ("poisson-disk", "easy", "diversified")
    assert 0.3 < record["radius"] < 1.5
    refused = nelbo("fit", "vae", *line, "--batches", "replacement", "--risk", "unbiased", "--out", tmp_path / "x")
    assert refused.is_refusal("risk is an option of dpp batches and poisson-disk batches, and these are replacement")
    far = nelbo("fit", "vae", *line, "--batches", "poisson-disk", "--radius", "1.5", "--out", tmp_path / "x")
    assert far.is_refusal("At a radius of 1.5 only", "lower the radius")
    assert not (tmp_path / "x").exists()


def test_a_table_with_gaps_is_trained_by_weighted_batches(nelbo, tmp_path):
    rows = np.random.default_rng(0).normal(size=(60, 3))
    rows[::7, 1] = np.nan
    np.savetxt(tmp_path / "t.csv", rows, delimiter=",", header="a,b,c", comments="", fmt="%.4f")
    line = ("fit", "linear", "--data", tmp_path / "t.csv", "--latents", "1", "--epochs", "4", "--batch-size", "10")
    found = nelbo(*line, "--train-only", "--batches", "dpp", "--json", "--out", tmp_path / "run")
    assert found.code == 0
    assert json.loads(found.out)["batches"]["risk"] == "unbiased"
