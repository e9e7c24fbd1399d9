"""A page runs what is missing, reads what is there, goes on after an interruption, and says what holds."""

import dataclasses
import json
import os
import shutil
import signal
import sys

import pytest

import nelbo.papers.parts as parts_module
from nelbo.cli.paper import show_page
from nelbo.core import InputError, read_json
from nelbo.papers import PAPERS, Claim, Figure, Page, Part, Plan, Published, Trial
from nelbo.papers.kingma2014 import plan as kingma_plan
from nelbo.papers.page import chosen_parts
from nelbo.runs import Experiment
from nelbo.training import Interrupted


def experiment(seed, epochs=2.0, rate=None, latents=3):
    training = {
        "optimizer": "adagrad",
        "epochs": epochs,
        "batch_size": 100,
        "keep": "last",
        "watch": ["test"],
        "learning_rate": rate,
    }
    return Experiment(
        model={"name": "linear", "arguments": {"latents": latents}},
        data={"name": "digits", "binarize": "none"},
        objective={"name": "sgvb", "arguments": {}},
        training=training,
        seed=seed,
    )


def tiny_plan(budget, seed, data_dir):
    del budget, data_dir
    trial = Trial("trial", experiment(seed, epochs=1.0), (1e-3, 1e-2))
    parts = (Part("first", "1", experiment(seed), trial), Part("second", "2", experiment(seed + 1), trial))
    return Plan(parts, (Figure("figure-1", "Figure 1", "curves", ("first", "second")),), ("a note",))


TINY = Page(
    key="tipping1999",
    title="A tiny page",
    budgets={"smoke": "two runs"},
    plan=tiny_plan,
    published=(Published("a number", "1", "memory"),),
    claims=(
        Claim("two parts", "seen", "they are counted", lambda parts: (len(parts) == 2, f"{len(parts)} parts")),
        Claim("a miracle", "figure", "nothing", lambda _: (None, "not run")),
    ),
)


def run(folder, page=TINY, callbacks=None, seed=0):
    said = []
    result = page.reproduce(folder, budget="smoke", seed=seed, say=said.append, callbacks=callbacks)
    return result, said


def numbers(result):
    """What must not depend on how often the work was interrupted."""
    return {
        name: (part["learning_rate"], part["results"], {k: v for k, v in part["curve"].items() if k != "seconds"})
        for name, part in result["parts"].items()
    }


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    return folder, run(folder)[0]


def test_a_page_keeps_its_result_and_its_runs(finished):
    folder, result = finished
    assert result["finished"]
    assert read_json(folder / "result.json") == json.loads(json.dumps(result))
    for name, part in result["parts"].items():
        assert (folder / name / "model.safetensors").is_file()
        curve = part["curve"]
        assert len(curve["examples"]) == len(curve["test_bound"]) == 2
        assert all(isinstance(value, float) for value in [*curve["test_bound"], *curve["train_bound"]])
        assert curve["test_bound"][-1] != curve["valid_bound"][-1]
    assert [claim["holds"] for claim in result["claims"]] == [True, None]


def test_the_best_rate_of_the_trial_is_taken(finished):
    folder, result = finished
    ends = {}
    for rate in (1e-3, 1e-2):
        rows = (folder / "trial" / f"rate-{rate:g}" / "history.jsonl").read_text().splitlines()
        ends[rate] = json.loads(rows[-1])["train_bound"]
    assert {part["learning_rate"] for part in result["parts"].values()} == {max(ends, key=ends.get)}


def test_a_finished_page_runs_nothing_again(finished, monkeypatch):
    folder, result = finished
    monkeypatch.setattr(sys.modules["nelbo.runs.ready"], "fit", None)
    again, _ = run(folder)
    assert numbers(again) == numbers(result)


def test_an_interrupted_page_goes_on_to_the_same_numbers(finished, tmp_path):
    def interrupt(event, state):
        del state
        if event == "progress":
            os.kill(os.getpid(), signal.SIGINT)

    def stop_in_the_second_part(steps, batch_size):
        # asked for runs that train only, and the others are finished
        del steps, batch_size
        return [interrupt]

    for done in ("trial", "first"):
        shutil.copytree(finished[0] / done, tmp_path / done)
    with pytest.raises(Interrupted):
        run(tmp_path, callbacks=stop_in_the_second_part)
    kept = read_json(tmp_path / "result.json")
    assert list(kept["parts"]) == ["first"]
    assert not kept["finished"]
    assert list((tmp_path / "second" / "checkpoints").glob("*.safetensors"))
    assert not (tmp_path / "second" / "model.safetensors").exists()
    result, _ = run(tmp_path)
    assert numbers(result) == numbers(finished[1])


def test_a_diverging_rate_loses(tmp_path, monkeypatch):
    from nelbo.core import NotFiniteError

    def carry_out(experiment, folder, **options):
        del options
        rate = experiment.training["learning_rate"]
        if rate > 1.0:
            raise NotFiniteError("diverged")
        folder.mkdir(parents=True)
        (folder / "history.jsonl").write_text(json.dumps({"train_bound": -rate}) + "\n")

    monkeypatch.setattr(parts_module, "carry_out", carry_out)
    trial = Trial("trial", experiment(0), (10.0, 0.5, 0.25))
    assert parts_module._chosen(trial, tmp_path, lambda _: None) == 0.25
    with pytest.raises(InputError, match="diverged with every learning rate"):
        parts_module._chosen(dataclasses.replace(trial, name="other", rates=(2.0, 3.0)), tmp_path, lambda _: None)


@pytest.mark.parametrize(("change", "match"), [({"seed": 1}, "another result .*seed 0"), ({"page": PAPERS["kingma2014"]}, "another result")])  # fmt: skip  # noqa: E501
def test_a_folder_belongs_to_one_page_and_seed(finished, change, match):
    with pytest.raises(InputError, match=match):
        run(finished[0], **change)


def test_settings_that_changed_are_refused(finished):
    folder, _ = finished
    changed = dataclasses.replace(TINY, plan=lambda *a: dataclasses.replace(tiny_plan(*a), parts=(Part("first", "1", experiment(0, rate=0.5)),)))  # fmt: skip  # noqa: E501
    before = (folder / "first" / "model.safetensors").read_bytes()
    with pytest.raises(InputError, match="other settings"):
        run(folder, page=changed)
    assert (folder / "first" / "model.safetensors").read_bytes() == before


def test_parts_can_be_run_alone(finished, tmp_path):
    for done in ("trial", "first"):
        shutil.copytree(finished[0] / done, tmp_path / done)
    result = TINY.reproduce(tmp_path, budget="smoke", only=["fir"], say=lambda _: None)
    assert list(result["parts"]) == ["first"]
    assert not result["finished"]
    assert result["figures"][0]["parts"] == ["first"]
    assert result["claims"][0]["holds"] is False
    with pytest.raises(InputError, match="third"):
        TINY.reproduce(tmp_path, budget="smoke", only=["third"])


def test_a_whole_name_is_not_a_beginning(tmp_path):
    ask = lambda *only: [part.name for part in chosen_parts(longer, tmp_path, only, redraw=False)]  # noqa: E731
    longer = Plan(tuple(Part(name, name, experiment(0)) for name in ("vimco-2", "vimco-5", "vimco-50")), (), ())
    assert ask("vimco-5") == ["vimco-5"]
    assert ask("vimco") == ["vimco-2", "vimco-5", "vimco-50"]
    assert ask("vimco-5", "vimco-2") == ["vimco-2", "vimco-5"]
    assert ask("vimco-5", "vimco-") == ["vimco-2", "vimco-5", "vimco-50"]


def test_an_unknown_budget_is_refused(tmp_path):
    with pytest.raises(InputError, match="budget"):
        TINY.reproduce(tmp_path, budget="smoek")
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_kingma_smoke_end_to_end(tmp_path):
    """The real page, its smallest budget, from nothing to the written page."""
    page = PAPERS["kingma2014"]
    result = page.reproduce(tmp_path, budget="smoke", say=lambda _: None)
    assert result["finished"]
    binary, continuous, wake_sleep, *evidence = result["parts"].values()
    assert [part["label"].split(",")[0] for part in evidence] == ["aevb", "wake-sleep", "monte-carlo-em"]
    assert all(len(part["curve"]["test_bound"]) == 10 for part in evidence)
    assert wake_sleep["experiment"]["objective"]["name"] == "wake-sleep"
    assert wake_sleep["experiment"]["model"] == binary["experiment"]["model"]
    assert binary["results"][0]["binarization"] == "none (grey)"
    assert continuous["results"][0]["binarization"] == "none"
    for part in (binary, continuous, wake_sleep):
        assert part["curve"]["test_bound"][-1] > part["curve"]["test_bound"][0]
        assert len(part["curve"]["examples"]) == 5
    # the claims about MNIST have no runs here, and the variance of a bound over 10 draws is far below 1
    ahead = binary["results"][0]["nats"] > wake_sleep["results"][0]["nats"]
    assert [claim["holds"] for claim in result["claims"]] == [None, None, ahead, None, True]
    written = show_page(tmp_path, result)
    assert all(path.stat().st_size > 0 for path in written)
    assert {path.name for path in written} >= {"page.md", "page.html", "figure-4-binary.png", "figure-5-binary.png"}
    text, markup = ((tmp_path / name).read_text() for name in ("page.md", "page.html"))
    for path in written:
        if path.suffix == ".png":
            assert f"](figures/{path.name})" in text
    assert markup.count("data:image/png") >= len(written) - 2
    assert "http" not in markup.split("</style>")[1].replace("http-equiv", "")
    for claim in result["claims"]:
        assert claim["text"] in text
    assert "none (grey)" in text
    assert f"{binary['results'][0]['nats']:.2f}" in text
    assert "nelbo reproduce kingma2014 --budget smoke" in text


def test_kingma_budgets_are_the_papers_experiments(monkeypatch):
    def no_frey(name, data_dir):
        del data_dir
        raise InputError(f"no {name}")

    monkeypatch.setattr("nelbo.papers.kingma2014.load", no_frey)
    for budget, examples in (("quick", 600_000), ("paper", 100_000_000)):
        plan = kingma_plan(budget, 0, None)
        figures = {f.name: [name.rsplit("-", 1)[-1] for name in f.parts] for f in plan.figures if f.kind == "curves"}
        assert figures.pop("figure-2-mnist") == ["3", "5", "10", "20", "200"]
        assert figures.pop("figure-2-faces") == ["2", "5", "10", "20"]
        # the others show both methods with one number of latents
        for size in (1000, 50_000):
            assert len(figures.pop(f"figure-3-{size}")) == 3
        assert len(figures) == 9
        assert all(len(set(counts)) == 1 and name.endswith(f"nz-{counts[0]}") for name, counts in figures.items())
        assert {name for figure in plan.figures for name in figure.parts} <= {part.name for part in plan.parts}
        mnist = next(part for part in plan.parts if part.name == "mnist/nz-20").experiment
        assert mnist.training["epochs"] * 50_000 == pytest.approx(examples)
        assert mnist.training["watch"] == ["test"]
        assert mnist.model["arguments"]["init"] == 0.1
        assert mnist.objective["arguments"]["weight_prior"] == 1.0
    assert any("Frey faces were not found" in note for note in plan.notes)


def made_up(nats, gap, label="x"):
    curve = {"train_bound": [nats + gap], "test_bound": [nats]}
    return {"label": label, "results": [{"nats": nats, "standard_error": 0.1}], "curve": curve}


@pytest.mark.parametrize(
    ("bounds", "gaps", "rises", "no_overfitting"),
    [
        ((-130, -120, -110, -105, -105.5), (0, 0, 0, 0, 0.5), True, True),
        ((-130, -120, -110, -105, -104), (0, 0, 0, 0, 1.5), True, False),
        ((-130, -120, -110, -105, -108), (0, 0, 0, 0, 0), True, False),
        ((-130, -120, -104, -105, -105), (0, 0, 0, 0, 0), False, True),
    ],
)
def test_kingma_claims_can_fail(bounds, gaps, rises, no_overfitting):
    counts = (3, 5, 10, 20, 200)
    parts = {f"mnist/nz-{n}": made_up(float(b), float(g)) for n, b, g in zip(counts, bounds, gaps, strict=True)}
    first, second, ahead, online, third = PAPERS["kingma2014"].claims
    assert ahead.check(parts)[0] is None
    assert online.check(parts)[0] is None
    for better in (True, False):
        ends = {"aevb": -100.0 + better, "wake-sleep": -102.0, "monte-carlo-em": -99.5}
        made = {f"evidence/50000/{method}": made_up(end, 0.0) for method, end in ends.items()}
        assert online.check(parts | made)[0] is better
    parts["mnist/wake-sleep-nz-3"] = made_up(bounds[0] - 1.0, 0.0)
    assert ahead.check(parts)[0] is True
    parts["mnist/wake-sleep-nz-5"] = made_up(bounds[1] + 1.0, 0.0)
    assert ahead.check(parts)[0] is False
    assert first.check(parts)[0] is rises
    assert second.check(parts)[0] is no_overfitting
    assert third.check(parts)[0] is True
    parts["mnist/nz-3"]["results"][0]["standard_error"] = 1.5
    assert third.check(parts)[0] is False


@pytest.mark.parametrize("name", PAPERS)
def test_no_claim_holds_of_what_was_not_run(name):
    """A page is redrawn before its first part is finished, too."""
    assert all(claim.check({})[0] is None for claim in PAPERS[name].claims)
