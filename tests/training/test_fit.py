"""The loop: the same bits however it is cut, and what it does when something goes wrong."""

import os
import signal
from itertools import pairwise
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from compiling import compilations
from small import EVERY, STEPS, Keep, assert_same_bits, leaves, location, rows, train, without_time

from nelbo.core import InputError, NotFiniteError
from nelbo.data import Split, source
from nelbo.nets import trainable
from nelbo.objectives import Loss, MaximumLikelihood, Objective, ObjectiveState, Vimco
from nelbo.training import Interrupted


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    """The run that the others are compared with, and a checkpoint of its every event."""
    keep = Keep(tmp_path_factory.mktemp("unbroken"))
    return train(callbacks=[keep]), keep


def test_history_has_a_row_for_every_evaluation(unbroken):
    result, keep = unbroken
    assert [row["step"] for row in result.history] == [10, 20, 25]
    assert [row["examples"] for row in result.history] == [80, 160, 200]
    assert [row["epoch"] for row in result.history] == pytest.approx([80 / 33, 160 / 33, 200 / 33])
    for row in result.history:
        assert row["train_bound"] == pytest.approx(row["reconstruction"] - row["kl"], rel=1e-5)
    assert [at for event, at in keep.events if event == "evaluate"] == [10, 20, 25]
    assert (keep.events[0], keep.events[-1]) == (("start", 0), ("done", 25))
    progress = [0, *(at for event, at in keep.events if event == "progress")]
    assert {10, 20, 25} <= set(progress)
    assert all(0 < after - before <= 4 for before, after in pairwise(progress))


def test_training_improves_the_bound(unbroken):
    result, _ = unbroken
    bounds = [row["valid_bound"] for row in result.history]
    assert bounds[-1] > bounds[0]


def test_what_is_watched_by_another_bound_changes_nothing_else():
    """The importance-weighted bound lies between the evidence lower bound and log p(x), which is exact here."""
    seen = {"more": source(Split(rows(9, seed=2)), "real")}
    plain, weighted = train(watch=seen), train(watch=seen, watch_by=Vimco(500))
    assert all(map(np.array_equal, leaves(plain.model), leaves(weighted.model)))
    exact = float(jax.vmap(weighted.model.log_prob)(jnp.asarray(rows(9, seed=2))).mean())
    assert plain.history[-1]["more_bound"] < weighted.history[-1]["more_bound"] - 0.1
    assert weighted.history[-1]["more_bound"] == pytest.approx(exact, abs=0.1)
    assert [r["valid_bound"] for r in plain.history] == [r["valid_bound"] for r in weighted.history]


def test_the_same_run_gives_the_same_bits_whatever_the_chunk(unbroken):
    assert_same_bits(unbroken[0], train(chunk=100), other_program=True)
    assert_same_bits(unbroken[0], train(chunk=1), other_program=True)


@pytest.mark.parametrize(
    ("event", "step"), [("start", 0), ("evaluate", 10), ("evaluate", 20), ("progress", 11), ("done", 25)]
)
def test_a_resumed_run_equals_the_unbroken_one(unbroken, event, step):
    result, keep = unbroken
    if event == "progress":  # between two evaluations, wherever the clock has cut the chunks
        step = next(at for name, at in keep.events if name == "progress" and at >= step and at % EVERY)
    assert_same_bits(result, train(resume=keep.resume(event, step)))


def test_a_checkpoint_of_another_run_is_refused(unbroken):
    _, keep = unbroken
    with pytest.raises(InputError, match="batch_size = 8, not 4"):
        train(resume=keep.resume("evaluate", 10), batch_size=4)


def test_data_on_the_host_give_the_same_bits(unbroken, tmp_path):
    assert_same_bits(unbroken[0], train(data=source(Split(rows(33)), "real", on_host=True)), other_program=True)
    np.save(tmp_path / "x.npy", rows(33))
    mapped = source(Split(np.load(tmp_path / "x.npy", mmap_mode="r")), "real")
    assert mapped.on_host
    assert_same_bits(unbroken[0], train(data=mapped), other_program=True)


def test_an_interrupted_run_hands_over_its_state_and_resumes_to_the_same_bits(unbroken, tmp_path):
    keep = Keep(tmp_path)

    def interrupt(event, state):
        if event == "progress" and state.step > EVERY:
            os.kill(os.getpid(), signal.SIGINT)

    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(Interrupted, match=r"step 1\d of 25"):
        train(callbacks=[interrupt, keep])
    assert signal.getsignal(signal.SIGINT) is handler
    event, step = keep.events[-1]
    assert event == "interrupted"
    assert EVERY < step < 2 * EVERY
    assert_same_bits(unbroken[0], train(resume=keep.resume("interrupted", step)))


def test_a_second_fit_compiles_nothing_and_one_program_serves_every_chunk():
    train()
    with compilations() as first:
        train(steps=17, chunk=4)  # chunks of 4, 2 and 1 steps, and another length
    assert not first
    with compilations() as other:
        train(batch_size=7)
    assert other  # the count can fail


def simple(**changes):
    """A run of the smallest model by its exact likelihood."""
    settings = {"model": location(), "objective": MaximumLikelihood(), "optimizer": optax.sgd(0.1)}
    return train(**(settings | changes))


def test_patience_stops_a_run_that_does_not_improve():
    result = simple(optimizer=optax.sgd(0.0), patience=3, evaluate_every=2)
    # the first evaluation sets the best bound, three more do not beat it
    assert [row["step"] for row in result.history] == [2, 4, 6, 8]
    assert result.state.stale == 3


def test_the_best_parameters_are_kept():
    def up_then_away(step):
        return jnp.where(step < EVERY, 0.2, -0.2)

    states = {}

    def remember(event, state):
        if event == "evaluate":
            states[state.step] = np.asarray(leaves(state.carry.params)[0])

    best = simple(optimizer=optax.sgd(up_then_away), callbacks=[remember])
    bounds = {row["step"]: row["valid_bound"] for row in best.history}
    assert max(bounds, key=bounds.get) == EVERY
    np.testing.assert_array_equal(best.model.mean, states[EVERY])
    assert best.state.best_bound == bounds[EVERY]
    last = simple(optimizer=optax.sgd(up_then_away), keep="last")
    np.testing.assert_array_equal(last.model.mean, states[STEPS])


def test_maximum_likelihood_of_all_the_data_finds_their_mean():
    result = simple(batch_size=33, optimizer=optax.sgd(1.0), steps=1, keep="last")
    np.testing.assert_allclose(result.model.mean, rows(33).mean(0), rtol=1e-5)
    exact = -0.5 * (4 * np.log(2 * np.pi) + (rows(33).astype(np.float64) ** 2).sum() / 33)
    assert result.history[0]["train_bound"] == pytest.approx(exact, rel=1e-5)


class Breaks(Objective):
    """Maximum likelihood that goes wrong at one step: in the bound, or in the gradient alone."""

    at: int = eqx.field(static=True)
    where: str = eqx.field(static=True)
    kind: ClassVar[str] = "exact"

    def init(self, key, model):  # noqa: ARG002
        return ObjectiveState(carried=jnp.zeros((), jnp.int32))

    def __call__(self, key, model, batch, state):
        loss, _ = MaximumLikelihood()(key, model, batch, state)
        bad = state.carried == self.at
        if self.where == "bound":
            loss = Loss(loss.surrogate, jnp.where(bad, jnp.nan, loss.bound), loss.metrics)
        else:
            # the root has no slope at zero and a finite value
            zero = (model.mean - model.mean).sum()
            root = jax.lax.cond(bad, jnp.sqrt, jnp.zeros_like, zero)
            loss = Loss(loss.surrogate + root, loss.bound, loss.metrics)
        return loss, ObjectiveState(carried=state.carried + 1)

    def bounds(self, key, model, batch):
        return MaximumLikelihood().bounds(key, model, batch)


@pytest.mark.parametrize("chunk", [1, 4, 100])
def test_a_nan_stops_the_run_and_the_last_good_state_is_handed_over(chunk):
    told = []

    def remember(event, state):
        if event in {"evaluate", "failed"}:
            told.append((event, state.step, np.array(leaves(state.carry.params)[0])))

    with pytest.raises(NotFiniteError, match=r"step 16: bound is not finite; the state of step 10 is kept"):
        simple(objective=Breaks(16, "bound"), callbacks=[remember], chunk=chunk)
    assert [(event, step) for event, step, _ in told] == [("evaluate", 10), ("failed", 10)]
    np.testing.assert_array_equal(told[0][2], told[1][2])


@pytest.mark.parametrize("valid", [None, source(Split(rows(9, seed=1)), "real")], ids=["alone", "validated"])
@pytest.mark.parametrize("at", [3, 9, 19, 24])
def test_a_nan_in_the_gradient_alone_never_passes_for_a_good_state(at, valid):
    """Also in the last step before an evaluation, or of the run, whose own numbers are still finite."""
    told = []

    def remember(event, state):
        told.append((event, state.step, all(np.isfinite(leaf).all() for leaf in leaves(state.carry.params))))

    with pytest.raises(NotFiniteError, match="not finite"):
        simple(objective=Breaks(at, "gradient"), callbacks=[remember], valid=valid, keep="last")
    assert told[-1] == ("failed", at // 10 * 10, True)
    assert all(good for event, _, good in told if event in {"evaluate", "failed", "interrupted", "done"})


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"steps": None}, "either steps or epochs"),
        ({"epochs": 2.0}, "either steps or epochs"),
        ({"batch_size": 34}, "between 1 and the 33 training examples"),
        ({"batch_size": 0}, "between 1 and the 33 training examples"),
        ({"steps": 0}, "takes 1 to"),
        ({"evaluate_every": 0}, "must be at least 1"),
        ({"chunk": 0}, "must be at least 1"),
        ({"patience": 0}, "must be at least 1"),
    ],
)
def test_contradictions_are_refused(changes, words):
    with pytest.raises(InputError, match=words):
        simple(**changes)


def test_epochs_are_passes_over_the_data():
    result = simple(steps=None, epochs=3.0, evaluate_every=None)
    assert [row["step"] for row in result.history] == [4, 8, 12]
    assert without_time(result.history)[-1]["epoch"] == pytest.approx(12 * 8 / 33)


def test_the_caller_keeps_its_model():
    """The loop donates buffers to the compiled step; the model passed in must survive."""
    model = location()
    before = np.asarray(model.mean).copy()
    simple(model=model)
    np.testing.assert_array_equal(model.mean, before)
    assert trainable(model).mean
