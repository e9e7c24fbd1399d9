"""Wenzel et al. 2020, How Good is the Bayes Posterior in Deep Neural Networks Really?: cold posteriors."""

from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
from jaxtyping import Array, Key

from nelbo.bayes import WithGlobals, checked_sampling, collected, diagnose, sampler, shared_parameters, spread_out
from nelbo.bayes import with_samples as with_draws
from nelbo.core import Example
from nelbo.data import Source
from nelbo.evaluation import predictive
from nelbo.models import Model, classification
from nelbo.nets import trainable
from nelbo.objectives import MaximumLikelihood
from nelbo.papers.figures import Axes, Figure
from nelbo.papers.measures import Study
from nelbo.papers.page import Claim, Page, Plan, Published
from nelbo.papers.parts import Part, Record
from nelbo.runs import Experiment
from nelbo.training import fit

FEATURES, HIDDEN, CLASSES, ROWS, TEST_ROWS = 5, 10, 3, 60, 1000
CONTROL, CURATED = "as the model says", "curated"
LABELLERS = {CONTROL: 1, CURATED: 10}  # that must all agree on a row for it to be kept
TEMPERATURES = (1.0, 0.3, 0.1, 0.03, 0.01)
SAMPLING = {"momentum": 0.9, "collect": 100}
RATE = {"study": 0.005, "digits": 0.01}
NOTES = (
    (
        "Temperatures are those of the whole posterior, exp(-U / T): likelihood and prior are tempered together. "
        "Probabilities are averaged over draws, not logits."
    ),
    (
        "The study has data from the model itself: a network with weights from the prior gives class probabilities. "
        f"In the control each row has one label drawn from them. Curated rows are those on whose label "
        f"{LABELLERS[CURATED]} such draws agree; each counts as one observation all the same, and test rows are "
        "curated too. Both are sampled with whole batches, so that no minibatch noise heats."
    ),
    (
        "The runs are a perceptron on the digits set, whose labels are curated by its makers, with minibatches, cycles "
        "and the prior N(0, 1) on every weight. At T = 0 nothing is injected: descent with momentum, averaged over the "
        "ends of cycles."
    ),
    "The paper's networks (ResNet-20 on CIFAR-10, CNN-LSTM on IMDB) take GPU days and are not here.",
)


def drawn_network(key: Key[Array, ""]) -> Model:
    """A classifier with every weight and bias from the prior N(0, 1)."""
    first_key, key = jr.split(key)
    plain = classification(first_key, (FEATURES,), classes=CLASSES, hidden=(HIDDEN,), activation="tanh")
    params, rest = eqx.partition(plain, trainable(plain))
    drawn: Any = optax.tree.random_like(key, params, jr.normal)
    return eqx.combine(drawn, rest)


def labelled(key: Key[Array, ""], teacher: Model, rows: int, labellers: int) -> Source:
    """Rows of standard normal features whose labels are drawn from a network; those on which all labellers agree."""
    feature_key, label_key = jr.split(key)
    x = jr.normal(feature_key, (20 * rows, FEATURES))
    one = lambda k, features: teacher.generative.likelihood((), Example(features)).sample(k, (labellers,))  # noqa: E731
    votes = np.asarray(jax.jit(jax.vmap(one))(jr.split(label_key, len(x)), x))[..., 0]
    kept = np.flatnonzero((votes == votes[:, :1]).all(1))[:rows]
    chosen = np.resize(kept, rows)  # a network that is never sure has few rows to keep: they come again
    target = jnp.asarray(votes[chosen, :1], jnp.float32)
    return Source(Example(target, context=Example(x[chosen])), "real", dynamic=False)


def scores(
    key: Key[Array, ""], start: Model, train: Source, test: Source, temperature: float, steps: int
) -> dict[str, float]:
    """Test log score and accuracy of the average over draws at a temperature, and the temperature that was measured."""
    count = len(train)
    asked = checked_sampling("sghmc", {**SAMPLING, "temperature": temperature})
    options = spread_out(asked, steps=steps, pass_steps=1)
    way = sampler("sghmc", num_data=count, learning_rate=RATE["study"], sampling=options)
    model = shared_parameters(start, posterior="delta", prior="normal")
    objective = WithGlobals(MaximumLikelihood(), num_data=count)
    length: dict[str, Any] = {"steps": steps, "batch_size": count, "evaluate_every": steps, "chunk": steps}
    fitted = fit(key, model, objective, train, way, keep="last", **length)
    found = collected(fitted.state.carry.optimizer, burn_in=options["burn_in"], thin=options["thin"])
    said = predictive(key, with_draws(fitted.model, found.draws.model), test)
    assert said.probabilities is not None  # of a classification there are
    right = float((said.probabilities.argmax(1) == said.target).mean())
    kinetic = diagnose(found, temperature).kinetic
    assert kinetic is not None  # with momentum and a temperature there is
    heat = kinetic.mean / temperature
    return {"log score": float(said.log_score.mean()), "accuracy": right, "kinetic temperature / T": heat}


def temperature_table(seed: int, temperatures: tuple[float, ...], teachers: int, steps: int) -> list[dict[str, Any]]:
    """Test scores by kind of data and temperature: means over networks that gave the data.

    The gain is that over T = 1 on the same data, with its standard error over the networks.
    """
    rows = []
    for data, labellers in LABELLERS.items():
        every: dict[float, list[dict[str, float]]] = {t: [] for t in temperatures}
        for teacher in range(teachers):
            keys = jr.split(jr.fold_in(jr.key(seed), teacher), 5)
            network, start = drawn_network(keys[0]), drawn_network(keys[1])
            train = labelled(keys[2], network, ROWS, labellers)
            test = labelled(keys[3], network, TEST_ROWS, labellers)
            for t in temperatures:
                every[t].append(scores(keys[4], start, train, test, t, steps))
        one = np.array([found["log score"] for found in every[1.0]])
        for t in temperatures:
            gain = np.array([found["log score"] for found in every[t]]) - one
            error = float(gain.std(ddof=1) / np.sqrt(teachers)) if teachers > 1 else 0.0
            means = {name: float(np.mean([found[name] for found in every[t]])) for name in every[t][0]}
            rows.append({"data": data, "temperature": t, **means, "gain": float(gain.mean()), "error of gain": error,
                         "networks": teachers})  # fmt: skip
    return rows


def _run(temperature: float, budget: str, seed: int) -> Experiment:
    small = budget == "smoke"
    epochs = {"smoke": 20.0, "quick": 2000.0, "paper": 10_000.0}[budget]
    batch = 100
    pass_steps = 13  # of the 1297 training rows of the digits set
    cycle = pass_steps * (5 if small else 50)
    sampling = {"momentum": 0.9, "temperature": temperature, "cycle": cycle}
    return Experiment(
        model={"name": "classification", "arguments": {"hidden": [16 if small else 50]}},
        data={"name": "digits"},
        objective={"name": "maximum-likelihood", "arguments": {"prior": "normal"}},
        training={"optimizer": "sghmc", "learning_rate": RATE["digits"],
                  "epochs": epochs, "batch_size": batch, "keep": "last",
                  "evaluate_every": cycle, "sampling": sampling},
        seed=seed,
    )  # fmt: skip


def plan(budget: str, seed: int, data_dir: str | None) -> Plan:
    """Runs on digits by temperature, and the study of curated and well-specified data."""
    del data_dir
    small = budget == "smoke"
    temperatures = (1.0, 0.01) if small else TEMPERATURES
    teachers = {"smoke": 1, "quick": 10, "paper": 50}[budget]
    steps = 200 if small else 10_000
    parts = tuple(
        Part(f"temperature-{t:g}", f"T = {t:g}", _run(t, budget, seed))
        for t in (*temperatures, *(() if small else (0.0,)))
    )
    study = Study("temperatures", "Test scores by temperature, data from the model itself",
                  lambda: temperature_table(seed, temperatures, teachers, steps))  # fmt: skip
    axes = Axes("temperature", "log score", ("data",), "temperature T", "test log score (nats)")
    figures = (Figure("temperatures", "Test log score by temperature", "study", ("temperatures",), axes=axes),)
    notes = ("This is the smoke budget: a few steps show only that it runs.",) if small else ()
    return Plan(parts, figures, (*notes, *NOTES), (study,))


def gains(parts: Mapping[str, Record], data: str) -> dict[float, tuple[float, float]]:
    """By temperature below one: the gain in test log score over T = 1, and its standard error; none of one network."""
    rows = parts.get("temperatures", {}).get("rows", ())
    return {
        row["temperature"]: (row["gain"], row["error of gain"])
        for row in rows
        if row["data"] == data and row["temperature"] < 1.0 and row["networks"] > 1
    }


def _words(found: Mapping[float, tuple[float, float]]) -> str:
    return ", ".join(f"T = {t:g}: {gain:+.4f} ({error:.4f})" for t, (gain, error) in found.items()) + " nats over T = 1"


def _cold(parts: Mapping[str, Record]) -> tuple[bool | None, str]:
    found = gains(parts, CURATED)
    if not found:
        return None, "too few networks" if "temperatures" in parts else "not run"
    return any(gain > 2.0 * error for gain, error in found.values()), _words(found)


def _control(parts: Mapping[str, Record]) -> tuple[bool | None, str]:
    found = gains(parts, CONTROL)
    if not found:
        return None, "too few networks" if "temperatures" in parts else "not run"
    return all(gain < 2.0 * error for gain, error in found.values()), _words(found)


def _digits(parts: Mapping[str, Record]) -> tuple[bool | None, str]:
    runs = {part["label"]: part["results"][0] for name, part in parts.items() if name.startswith("temperature-")}
    if "T = 1" not in runs:
        return None, "not run"
    words = "; ".join(f"{label}: {row['nats']:.4f} nats, {row['accuracy']:.1%}" for label, row in runs.items())
    one = runs["T = 1"]
    cold = [row for label, row in runs.items() if label not in {"T = 1", "T = 0"}]
    better = any(row["nats"] > one["nats"] and row["accuracy"] >= one["accuracy"] for row in cold)
    return (better if "T = 0" in runs else None), words


PAGE = Page(
    key="wenzel2020",
    title="How Good is the Bayes Posterior in Deep Neural Networks Really?",
    budgets={
        "smoke": "two temperatures, one network, 200 steps; the digits set, 20 passes",
        "quick": "five temperatures, ten networks that give data, 10,000 steps; the digits set, 2000 passes",
        "paper": "the same with fifty networks and 10,000 passes",
    },
    plan=plan,
    published=(
        Published(
            "test accuracy and cross-entropy as T falls below one", "improve steadily, best at about T <= 0.1", "seen"
        ),
        Published("the ensemble at T = 1 against SGD", "worse", "seen"),
        Published("ResNet-20, CIFAR-10, test accuracy at T = 1 and cold (%)", "87-88, 93-94", "memory"),
        Published("CNN-LSTM, IMDB, test accuracy at T = 1 and cold (%)", "82, 86-87", "memory"),
        Published(
            "ResNet-20: learning rate, momentum, batch, epochs, cycle", "0.1, 0.98, 128, 1500, 50 epochs", "seen"
        ),
        Published("temperatures", "1e-4 to 1 in quarter decades, 3 seeds", "seen"),
    ),
    claims=(
        Claim(
            "Curated data make a cold posterior predict better than the posterior itself.",
            "seen",
            "some temperature below one gains more than two standard errors of test log score over T = 1",
            _cold,
        ),
        Claim(
            "Where the model is well specified there is no such effect.",
            "memory",
            "on uncurated data no temperature below one gains two standard errors over T = 1",
            _control,
        ),
        Claim(
            "On real, curated labels a cold posterior predicts better too.",
            "seen",
            "digits: some 0 < T < 1 has a higher test log score than T = 1, and no lower accuracy",
            _digits,
        ),
    ),
)
