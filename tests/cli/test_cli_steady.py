"""Runs that are killed, stopped or cut short come back to the same bits."""

import json
import os
import random
import signal
import time
from pathlib import Path

import jax
import pytest
from shell import TINY, finish, start

from nelbo.cli import main

EPOCHS = 120
RUN = ("fit", *TINY, "--epochs", str(EPOCHS), "--quiet", "--no-figures", "--checkpoint-seconds", "0")


def resume(folder: Path) -> tuple[str, ...]:
    return ("fit", "--out", str(folder), "--resume", "--quiet", "--no-figures", "--checkpoint-seconds", "0")


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("unbroken") / "run"
    code, _, err = finish(start(*RUN, "--out", folder))
    assert code == 0, err
    return folder


def same_run(one: Path, other: Path) -> bool:
    """The same weights, figures' data, history and scores, bit for bit; times aside."""
    files = all((one / name).read_bytes() == (other / name).read_bytes() for name in ("model.safetensors", "arrays.safetensors"))  # fmt: skip  # noqa: E501
    rows = [[json.loads(line) for line in (path / "history.jsonl").read_text().splitlines()] for path in (one, other)]
    for history in rows:
        for row in history:
            row.pop("seconds")
    results = [json.loads((path / "record.json").read_text())["results"] for path in (one, other)]
    return files and rows[0] == rows[1] and results[0] == results[1]


def wait_for(process, happened, *, limit: float = 240.0) -> None:
    """Until something is so, or the process has ended."""
    end = time.monotonic() + limit
    while process.poll() is None and not happened():
        assert time.monotonic() < end, "nothing happened"
        time.sleep(0.002)


def newest(folder: Path) -> str:
    return max((path.name for path in (folder / "checkpoints").glob("step-*")), default="")


def leftovers(folder: Path) -> list[Path]:
    return list(folder.rglob(".*.tmp"))


def kill_and_resume(folder: Path, kills: int, chance: random.Random) -> dict[str, int]:
    """Start a run and kill it, again and again, at random moments of every phase; then let it end."""
    seen = {"killed": 0, "in a write": 0, "before a checkpoint": 0, "after training": 0}
    command = (*RUN, "--out", str(folder))
    while seen["killed"] < kills:
        before = newest(folder)
        process = start(*command)
        early = not (folder / "config.json").exists() or chance.random() < 0.2
        if early:
            wait_for(process, (folder / "config.json").exists)
        else:
            wait_for(process, lambda before=before: newest(folder) > before)
        time.sleep(chance.uniform(0.0, 0.4))
        ended = process.poll() is not None
        process.kill()
        finish(process)
        if ended and (folder / "record.json").exists():
            break
        seen["killed"] += 1
        seen["in a write"] += bool(leftovers(folder))
        seen["before a checkpoint"] += not newest(folder)
        seen["after training"] += (folder / "model.safetensors").exists()
        command = resume(folder)
    code, _, err = finish(start(*command)) if not (folder / "record.json").exists() else (0, "", "")
    assert code == 0, err
    assert not leftovers(folder)
    return seen


@pytest.mark.slow  # one kill is in the next test, and resumed against unbroken in tests/training
def test_two_kills_leave_the_same_bits(unbroken, tmp_path):
    assert kill_and_resume(tmp_path / "run", 2, random.Random(1))["killed"] >= 1
    assert same_run(unbroken, tmp_path / "run")


@pytest.mark.slow
def test_twenty_kills_leave_the_same_bits(unbroken, tmp_path):
    chance, kills, number = random.Random(2), 0, 0
    while kills < 20:
        folder = tmp_path / str(number)
        seen = kill_and_resume(folder, 20 - kills, chance)
        assert same_run(unbroken, folder)
        kills, number = kills + seen["killed"], number + 1
        (tmp_path / f"{number}.txt").write_text(f"{seen}\n")
    assert kills == 20


@pytest.mark.slow
def test_killed_after_training_and_before_the_record(unbroken, tmp_path):
    folder = tmp_path / "run"
    process = start(*RUN, "--out", folder)
    wait_for(process, (folder / "model.safetensors").exists)
    process.kill()
    finish(process)
    assert not (folder / "record.json").exists()
    code, _, err = finish(start(*resume(folder)))
    assert code == 0, err
    assert same_run(unbroken, folder)


@pytest.mark.slow  # signals are in test_interrupts, resumed against unbroken in tests/training
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_and_says_how_to_go_on(number, unbroken, tmp_path):
    folder = tmp_path / "run"
    process = start(*RUN, "--out", folder)
    # SIGINT while the first step compiles, SIGTERM in the middle of training
    wait_for(process, (folder / "config.json").exists if number == signal.SIGINT else lambda: newest(folder))
    process.send_signal(number)
    code, out, err = finish(process)
    assert (code, out) == (130, "")
    assert err.count("\n") == 1
    assert f"nelbo fit --resume --out {folder}" in err
    assert newest(folder)
    code, _, err = finish(start(*resume(folder)))
    assert code == 0, err
    assert same_run(unbroken, folder)


def test_a_signal_stops_scoring(run, monkeypatch, capsys):
    done = []

    def interrupt(examples: int, bound: float) -> None:
        """Called after each batch that was scored."""
        done.append((examples, bound))
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr("nelbo.cli.evaluate.counter", lambda *_: interrupt)
    before = (run / "record.json").read_bytes()
    command = ["evaluate", str(run), "--bound", "iwae", "--samples", "50", "--split", "train", "--json"]
    with jax.numpy_dtype_promotion("standard"), jax.debug_key_reuse(False):
        assert main(command) == 130
    assert [examples for examples, _ in done] == [20]  # the first batch was the last
    assert capsys.readouterr() == ("", "nelbo: interrupted.\n")
    assert (run / "record.json").read_bytes() == before
