"""What surrounds training: checkpoints that are pruned, passed over and never hold a NaN; progress; settings."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from nelbo.core import InputError
from nelbo.data import Split, source
from nelbo.models import vae
from nelbo.objectives import Sgvb
from nelbo.training import Checkpoints, HistoryFile, Progress, checkpoints, fit, optimizer, resume_from


def train(*, callbacks=(), resume=None, steps=40, every=10, **options):
    x = (np.random.default_rng(0).random((60, 6)) < 0.4).astype(np.uint8)
    data, valid = source(Split(x[:50]), "binary"), source(Split(x[50:]), "binary")
    model = vae(jr.key(0), (6,), latents=2, hidden=(4,))
    settings = {"batch_size": 10, "valid": valid, "evaluate_every": every, "steps": steps} | options
    return fit(jr.key(1), model, Sgvb(), data, optimizer("adam"), callbacks=callbacks, resume=resume, **settings)


def same(one, other) -> bool:
    leaves = (jax.tree.leaves(eqx.filter(tree, eqx.is_array)) for tree in (one, other))
    return all(np.array_equal(a, b) for a, b in zip(*leaves, strict=True))


def without_times(history):
    return [{key: value for key, value in row.items() if key != "seconds"} for row in history]


class Killed(BaseException):
    """In place of kill -9: nothing of nelbo catches it."""


def kill_at(step):
    def callback(event, state):
        if event == "progress" and state.step >= step:
            raise Killed

    return callback


@pytest.mark.share(4)
@pytest.mark.parametrize("step", [1, 2, 10, 11, 39])
def test_resumed_in_the_middle_of_an_interval(step, tmp_path):
    whole = train()
    with pytest.raises(Killed):
        train(callbacks=[Checkpoints(tmp_path, seconds=0), kill_at(step)])
    assert checkpoints(tmp_path)
    again = train(resume=resume_from(tmp_path))
    assert same(whole.model, again.model)
    assert same(whole.state.carry, again.state.carry)
    assert without_times(whole.history) == without_times(again.history)


def test_the_length_of_calls_changes_nothing():
    whole, cut = train(), train(chunk=3)
    assert same(whole.model, cut.model)
    assert without_times(whole.history) == without_times(cut.history)


def test_two_checkpoints_are_kept_and_leftovers_removed(tmp_path):
    leftover = tmp_path / ".step-0000000007.safetensors.abcd_123.tmp"
    other = tmp_path / ".keep.tmp"
    for path in (leftover, other):
        path.write_bytes(b"half")
    train(callbacks=[Checkpoints(tmp_path, seconds=0)])
    names = [path.name for path in sorted(tmp_path.iterdir())]
    assert names[0] == ".keep.tmp"
    assert len(names) == 3
    assert names[-1] == "step-0000000040.safetensors"


def test_checkpoints_keep_their_distance(tmp_path):
    train(callbacks=[Checkpoints(tmp_path, seconds=1000)])
    assert [path.name for path in checkpoints(tmp_path)] == ["step-0000000040.safetensors"]


def test_a_damaged_checkpoint_is_passed_over_and_later_replaced(tmp_path):
    whole = train(callbacks=[Checkpoints(tmp_path, seconds=0)])
    newest = checkpoints(tmp_path)[-1]
    damaged = bytearray(newest.read_bytes())
    damaged[-3] ^= 1
    newest.write_bytes(bytes(damaged))
    told = []
    again = train(resume=resume_from(tmp_path, told.append), callbacks=[Checkpoints(tmp_path, seconds=0)])
    assert len(told) == 1
    assert "its contents do not match its checksum" in told[0]
    assert same(whole.model, again.model)
    assert train(resume=resume_from(tmp_path)).state.step == 40


def test_checkpoints_that_are_all_damaged_are_named(tmp_path):
    train(callbacks=[Checkpoints(tmp_path, seconds=0)])
    for path in checkpoints(tmp_path):
        path.write_bytes(b"")
    with pytest.raises(InputError, match="No checkpoint of this run can be used"):
        train(resume=resume_from(tmp_path))


def test_checkpoints_of_another_run_are_refused(tmp_path):
    train(callbacks=[Checkpoints(tmp_path, seconds=0)])
    with pytest.raises(InputError, match="batch_size = 10, not 5"):
        train(resume=resume_from(tmp_path), batch_size=5)


def test_a_state_that_is_not_finite_is_not_saved(tmp_path):
    state = train(steps=1).state
    saving = Checkpoints(tmp_path, seconds=0)
    saving("evaluate", state)
    bad = jax.tree.map(lambda leaf: leaf * jnp.nan if eqx.is_inexact_array(leaf) else leaf, state.carry.params)
    carry = dataclasses.replace(state.carry, params=bad, step=state.carry.step + 1)
    for event in ("evaluate", "progress", "interrupted"):
        saving(event, dataclasses.replace(state, carry=carry))
    assert [path.name for path in checkpoints(tmp_path)] == ["step-0000000001.safetensors"]


def test_the_history_file_is_the_history(tmp_path):
    import json

    fitted = train(callbacks=[HistoryFile(tmp_path / "history.jsonl")])
    rows = [json.loads(line) for line in (tmp_path / "history.jsonl").read_text().splitlines()]
    assert rows == fitted.history


def test_progress_without_a_terminal_is_an_occasional_line(capsys):
    train(callbacks=[Progress(40, 10)])
    assert capsys.readouterr() == ("", "")
    state = train(steps=20).state
    progress = Progress(40, 10, every=0.0)
    for event in ("start", "progress"):
        progress(event, dataclasses.replace(state, carry=dataclasses.replace(state.carry, step=jnp.asarray(10))))
    progress("evaluate", state)
    progress("progress", state)
    out, err = capsys.readouterr()
    last = err.splitlines()[-1]
    assert out == ""
    assert last.startswith("step 20 of 40 · train ")
    assert all(part in last for part in ("valid ", " nats · ", "examples/s · 0:00:00 left"))


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"steps": None, "epochs": float("nan")}, "epochs"),
        ({"steps": None, "epochs": 1e300}, "steps"),
        ({"steps": 0}, "steps"),
        ({"epochs": 3}, "either steps or epochs"),
        ({"batch_size": 0}, "batch size"),
        ({"batch_size": 51}, "50 training examples"),
        ({"patience": 0}, "patience"),
    ],
)
def test_impossible_settings_of_fit(options, word):
    with pytest.raises(InputError, match=word):
        train(**options)


@pytest.mark.parametrize("rate", [0.0, -1.0, float("nan"), float("inf")])
def test_impossible_rates(rate):
    with pytest.raises(InputError, match="learning rate"):
        optimizer("adam", learning_rate=rate)
    with pytest.raises(InputError, match="clip"):
        optimizer("adam", clip=rate)
