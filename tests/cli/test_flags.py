"""Flags, lists and defaults come from the parts themselves, a user's own among them."""

import json
from collections.abc import Sequence
from typing import Literal

import numpy as np
import pytest

from nelbo.cli.fit import experiment_from
from nelbo.cli.flags import WRITTEN_OUT, groups, members, reading
from nelbo.cli.parser import parse, parsers
from nelbo.core import InputError, Registry, using
from nelbo.data import Column, Covariates, Data, Events, Pairs, Schema, Series, Split
from nelbo.models import Family, build, families, likelihoods, vae
from nelbo.runs import (
    Experiment,
    default_objective,
    model_options,
    named_objective_options,
    objectives,
)
from nelbo.runs.inputs import model_arguments, settled

UNSUPERVISED = sorted(name for name, family in families().items() if not family.targets)


def experiment(*words: str) -> Experiment:
    return experiment_from(parse(["fit", *words]))


def dataset(values: str) -> Data:
    rng = np.random.default_rng(0)
    x = {
        "binary": rng.integers(0, 2, (6, 4)).astype(np.uint8),
        "unit": rng.random((6, 4)).astype(np.float32),
        "uint8": rng.integers(0, 256, (6, 4)).astype(np.uint8),
        "real": rng.normal(size=(6, 4)).astype(np.float32),
        "counts": rng.integers(0, 5, (6, 4)).astype(np.float32),
    }[values]
    split = Split(x)
    schema = Schema((4,), values)  # pyright: ignore[reportArgumentType]
    return Data("made up", dict.fromkeys(("train", "valid", "test"), split), schema)


def values_of_pairs() -> Data:
    pairs = Pairs(("i", "j", "y"), ("a", "b"), ("c", "d"))
    context = np.array([[0, 0], [0, 1], [1, 0]], np.float32)
    split = Split(np.array([[0.5], [1.5], [2.0]], np.float32), context=context)
    return Data("made up", {"train": split}, Schema((1,), "real", pairs=pairs))


def windows_of_series() -> Data:
    values = np.arange(24, dtype=np.float32).reshape(4, 3, 2) % 2
    columns = (Column("a", "feature", "binary"), Column("b", "feature", "binary"))
    series = Series("", "t", columns, 1.0, dated=False, zone="", regular=True, window=3)
    return Data("made up", {"train": Split(values)}, Schema((3, 2), "binary", series=series))


def rows_with_a_number() -> Data:
    known = Covariates(("t",), "", (), (False,), (0.0,), (1.0,))
    split = Split(np.zeros((40, 3), np.uint8), context=np.arange(40.0, dtype=np.float32)[:, None])
    return Data("made up", {"train": split}, Schema((3,), "binary", covariates=known))


def events_of_users() -> Data:
    events = Events(("user", "time", "mark"), ("a", "b"), 1.0, dated=False, window=3)
    split = Split(np.zeros((4, 3, 2), np.float32), observed=np.ones((4, 3, 2), bool))
    return Data("made up", {"train": split}, Schema((3, 2), "real", events=events))


def test_every_option_of_every_part_has_a_flag_and_a_text():
    known = set(parsers("fit")[1]["fit"].flags())
    for flags in groups().values():
        for flag in flags:
            assert f"--{flag.name.replace('_', '-')}" in known or flag.name in WRITTEN_OUT, flag.name
            assert flag.help.split(" [")[0].strip(), flag.name
    assert {"--latents", "--wake-phi", "--clip", "--valid-fraction", "--no-centre", "--between"} <= known


def test_who_has_an_option_and_its_defaults_are_told():
    found = {flag.name: flag.help for flag in groups()["model"]}
    assert "(default amortized; sbn, darn, fdarn factorial)" in found["recognition"]
    assert found["channels"].endswith(
        "[vae, regression, classification, svgp-vae, dsae] "
        "(default 32,64; regression, classification, svgp-vae, dsae 16,32)"
    )
    assert found["latents"].endswith(
        "(default 20; linear, factor-analysis 2; table 10; gp-vae, svgp-vae, dsae, sequence-flow, events 8; "
        "state-space 4)"
    )
    assert "bernoulli, gaussian," in found["likelihood"]
    assert "(default bernoulli)" not in found["likelihood"]  # the data decide
    assert '"factorized", "hyperprior"' in found["prior"]  # an objective's option of that name has other values
    assert all("[" not in flag.help for flag in groups()["training"])


@pytest.mark.share(3)
@pytest.mark.parametrize("name", sorted(families()))
def test_typed_defaults_are_the_defaults(name):
    words = []
    for option in model_options(name):
        flag, value = option.name.replace("_", "-"), option.default
        if isinstance(value, bool):
            words.append(f"--{flag}" if value else f"--no-{flag}")
        elif value not in (None, []):
            words += [f"--{flag}", ",".join(map(str, value)) if isinstance(value, list) else str(value)]
    typed = [word for word in words if not (word.startswith("--channels") or word in {"32,64", "16,32"})]
    found = experiment(name, *typed)
    usual = {option.name: option.default for option in model_options(name)}
    assert all(value == usual[option] for option, value in found.model["arguments"].items())
    assert len(found.model["arguments"]) >= len(typed) / 2
    assert found.objective == {"name": default_objective(name), "arguments": {}}


def test_set_takes_any_option_too():
    found = experiment("sbn", "--set", "layers=[3, 2]", "--no-centre", "--objective-set", "local=false", "--decay", "1")
    assert found.model["arguments"] == {"layers": [3, 2], "centre": False}
    assert found.objective["arguments"] == {"local": False, "decay": 1.0}


@pytest.mark.parametrize(
    ("annotation", "text", "value"),
    [
        (int, "3", 3),
        (float | int | None, "3", 3.0),
        (str | float, "glorot", "glorot"),
        (str | float, "0.5", 0.5),
        (str | int, "7", 7),
        (Sequence[int], "200-100", [200, 100]),
        (Sequence[int] | str, "2,3", [2, 3]),
        (Sequence[int] | str, "deep", "deep"),
        (Sequence[str], "test,valid", ["test", "valid"]),
        (dict, '{"a": 1}', {"a": 1}),
        (str, "1", "1"),
    ],
)
def test_values_are_read_by_their_annotations(annotation, text, value):
    read = reading(members(annotation))["type"](text)
    assert (read, type(read)) == (value, type(value))


def test_choices_and_switches():
    assert reading(members(Literal["best", "last"]))["choices"] == ["best", "last"]
    assert "action" in reading(members(bool | None))


def mine(key, shape, *, width: int = 3, epochs: int = 7, latents: int = 4):
    """Somebody's own model.

    Args:
        key: for the weights.
        shape: of one example.
        width: of everything.
        epochs: a name that training has already.
        latents: how many.
    """
    return vae(key, shape, latents=latents, hidden=(width,) * epochs)


def test_a_users_own_model_has_flags(capsys):
    with using(Registry(models={"mine": Family(mine)})):
        found = experiment("mine", "--width", "9", "--epochs", "2", "--set", "epochs=1")
        with pytest.raises(SystemExit):
            parse(["fit", "--help"])
        text = capsys.readouterr().out
    assert found.model == {"name": "mine", "arguments": {"width": 9, "epochs": 1}}
    assert found.training == {"epochs": 2.0}
    assert "of everything [mine] (default 3)" in " ".join(text.split())
    with pytest.raises(SystemExit):
        parse(["fit", "mine", "--width", "9"])
    assert "unknown option --width" in capsys.readouterr().err


@pytest.mark.share(3)
@pytest.mark.parametrize("name", [name for name in UNSUPERVISED if name != "lda"])  # which takes word counts
def test_models_show_prints_what_a_run_has(name, nelbo):
    shown = json.loads(nelbo("models", "show", name, "--json").out)
    kinds = {"pairs": values_of_pairs, "series": windows_of_series, "sequences": windows_of_series,
             "events": events_of_users, "covariates": rows_with_a_number,
             "pictures": lambda: dataset("uint8")}  # fmt: skip
    made = kinds.get(families()[name].examples)
    whole = settled(experiment(name), dataset("binary") if made is None else made())
    options = {key: value for key, value in whole.model["arguments"].items() if key != "likelihood"}
    told = shown["options"] | {k: v for k, v in shown["by_likelihood"].get("bernoulli", {}).items() if k in options}
    assert {key: value for key, value in told.items() if key != "likelihood"} == options
    assert shown["options"].get("likelihood", "by the data") == "by the data"
    centre = shown["options"].get("centre", True)
    assert centre is (None if families()[name].examples == "pictures" else True) or centre is True
    assert shown["objective"] == whole.objective["name"]
    text = nelbo("models", "show", name).out
    assert all(option in text for option in options)


def test_a_familys_own_defaults_are_used_and_shown(nelbo):
    own = Family(vae, arguments={"*": {"latents": 7}, "gaussian": {"activation": "relu"}},
                 training={"*": {"epochs": 3}, "gaussian": {"learning_rate": 0.1}})  # fmt: skip
    with using(Registry(models={"own": own})):
        real, binary = (settled(experiment("own"), dataset(values)) for values in ("real", "binary"))
        given = settled(experiment("own", "--latents", "2", "--epochs", "1"), dataset("real"))
        shown = json.loads(nelbo("models", "show", "own", "--json").out)
    assert [run.model["arguments"]["latents"] for run in (real, binary, given)] == [7, 7, 2]
    assert [run.model["arguments"]["activation"] for run in (real, binary)] == ["relu", "tanh"]
    assert [run.training["epochs"] for run in (real, binary, given)] == [3, 3, 1.0]
    assert [run.training["learning_rate"] for run in (real, binary)] == [0.1, 1e-3]
    assert (shown["options"]["latents"], shown["training"]["epochs"]) == (7, 3)
    assert shown["by_likelihood"] == {"gaussian": {"activation": "relu", "learning_rate": 0.1}}


@pytest.mark.parametrize("name", sorted(objectives()))
def test_objectives_show_prints_what_a_run_has(name, nelbo):
    shown = json.loads(nelbo("objectives", "show", name, "--json").out)
    assert shown["options"] == {option.name: option.default for option in named_objective_options(name)}
    assert shown["kind"] in {"exact", "lower", "proxy", "estimate"}
    assert shown["default_of"] == [model for model in families() if default_objective(model) == name]


@pytest.mark.slow
@pytest.mark.share(5)
@pytest.mark.parametrize("values", ["binary", "unit", "uint8", "real", "counts"])
def test_what_is_advised_is_accepted(values):
    data = dataset(values)
    refused = 0
    for model in UNSUPERVISED:
        own = "likelihood" in {option.name for option in model_options(model)}
        for likelihood in likelihoods() if own else [None]:
            arguments = {} if likelihood is None else {"likelihood": likelihood}
            asked = Experiment({"name": model, "arguments": arguments}, {"name": "made up"},
                               {"name": default_objective(model), "arguments": {}}, {})  # fmt: skip
            try:
                settled(asked, data)
            except InputError as error:
                refused += 1
                words = str(error).split("use ")[1].replace(", or give other data.", "")
                advised = words.removeprefix("the model ").split(" or ")
                for name in advised:
                    instead = (name, {}) if words.startswith("the model ") else (model, {"likelihood": name})
                    accepted(*instead, data)
    assert refused


BUILT: set[tuple[str, str, str]] = set()


def accepted(model: str, arguments: dict, data: Data) -> None:
    """A run takes the advice: its settings are accepted and its model can be built."""
    if (model, str(arguments), data.values) in BUILT:
        return
    BUILT.add((model, str(arguments), data.values))
    import equinox as eqx
    import jax.random as jr

    asked = Experiment({"name": model, "arguments": arguments}, {"name": "made up"},
                       {"name": default_objective(model), "arguments": {}}, {})  # fmt: skip
    built = model_arguments(asked, data)
    eqx.filter_eval_shape(lambda: build(jr.key(0), model, built))


def test_a_typo_and_a_broken_plugin_are_one_sentence(nelbo, monkeypatch):
    assert nelbo("fit", "--lattents", "3").is_refusal("did you mean --latents?")

    def broken():
        raise InputError("The plugin somebody's cannot be loaded: it is broken.")

    monkeypatch.setattr("nelbo.cli.flags.families", broken)
    assert nelbo("fit", "vae").is_refusal("The plugin somebody's cannot be loaded")


def test_values_of_an_option_that_means_something_else_elsewhere_are_told_by_owner():
    of_models = {flag.name: flag.help for flag in groups()["model"]}
    assert "horseshoe" not in of_models["prior"]  # of parameters, not of latents
    for text in ('"hyperprior"', 'of dsae: of the dynamic codes: "recurrent"'):
        assert text in of_models["prior"]
    assert '"channels"' in of_models["posterior"]
    assert "discretized-logistic" in of_models["likelihood"]
