"""Fit, predict and evaluate a regression and a classification in the user's own table."""

import csv
import json

import numpy as np
import pytest

from nelbo.cli import main
from nelbo.data import load

pytestmark = pytest.mark.slow  # a fit from the command line, whose parts have fast tests of their own

FEW = ("--epochs", "30", "--learning-rate", "0.05", "--batch-size", "20", "--no-figures", "--quiet")


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A table with a number and a class to predict from two features, and a run for each."""
    folder = tmp_path_factory.mktemp("supervised")
    rng = np.random.default_rng(0)
    x = rng.normal(size=(120, 2))
    price = 100.0 + 20.0 * x[:, 0] - 10.0 * x[:, 1] + 2.0 * rng.normal(size=120)
    lines = [f"n{i};{a:.3f};{b:.3f};{y:.2f};{'hi' if y > 100 else 'lo'}" for i, (a, b), y in zip(range(120), x, price, strict=True)]  # fmt: skip  # noqa: E501
    (folder / "t.csv").write_text("name;a;b;price;kind\n" + "\n".join(lines).replace(".", ",") + "\n")
    number = ("regression", "--target", "price", "--ignore", "kind", "--architecture", "linear")
    kind = ("classification", "--target", "kind", "--ignore", "price", "--architecture", "linear")
    for name, words in (("number", (*number, "--posterior", "mean-field")), ("class", kind)):
        line = ["fit", *words, "--data", str(folder / "t.csv"), "--out", str(folder / name), *FEW]
        assert main(line) == 0
    return folder


def read(path):
    with path.open() as file:
        return list(csv.DictReader(file, delimiter=";"))


def number(text):
    return float(text.replace(",", "."))


def test_numbers_come_back_beside_the_users_columns(runs, nelbo, tmp_path):
    done = nelbo("predict", runs / "number", runs / "t.csv", "-o", tmp_path / "o.csv", "--draws", 20, "--quiet")
    assert done.code == 0, done.err
    given, found = read(runs / "t.csv"), read(tmp_path / "o.csv")
    assert [{key: row[key] for key in given[0]} for row in found] == given
    assert list(found[0])[5:] == ["price_mean", "price_std", "price_low", "price_high"]
    truth = np.array([number(row["price"]) for row in given])
    mean = np.array([number(row["price_mean"]) for row in found])
    assert np.sqrt(np.mean((mean - truth) ** 2)) < 10.0  # without the features it is 22
    assert all(number(row["price_low"]) < number(row["price_mean"]) < number(row["price_high"]) for row in found)


def test_rows_without_the_target_in_another_order(runs, nelbo, tmp_path):
    rows = read(runs / "t.csv")[:5]
    (tmp_path / "n.csv").write_text("b;name;a\n" + "\n".join(f"{r['b']};{r['name']};{r['a']}" for r in rows) + "\n")
    done = nelbo("predict", runs / "class", tmp_path / "n.csv", "-o", tmp_path / "o.csv", "--json", "--quiet")
    assert json.loads(done.out)["rows"] == 5
    found = read(tmp_path / "o.csv")
    assert list(found[0]) == ["b", "name", "a", "kind_class", "kind_p_hi", "kind_p_lo"]
    for row, old in zip(found, rows, strict=True):
        assert number(row["kind_p_hi"]) + number(row["kind_p_lo"]) == pytest.approx(1.0, abs=1e-6)
        assert row["kind_class"] == ("hi" if number(row["kind_p_hi"]) > 0.5 else "lo")
        assert row["name"] == old["name"]
    assert nelbo("evaluate", runs / "class", tmp_path / "n.csv", "--quiet").is_refusal("no targets")


def test_scores_with_their_kind_and_calibration(runs, nelbo):
    row = json.loads(nelbo("evaluate", runs / "number", "--samples", 10, "--json", "--quiet").out)
    assert row["bound"] == "log-score"
    assert row["kind"] == "lower"
    assert {"rmse", "calibration_error", "coverage_50", "coverage_90"} <= set(row)
    row = json.loads(nelbo("evaluate", runs / "class", runs / "t.csv", "--json", "--quiet").out)
    assert row["kind"] == "exact"
    assert row["accuracy"] > 0.85
    assert 0.0 <= row["calibration_error"] < 0.4


def test_a_class_that_was_never_seen_is_an_error_and_is_said(runs, nelbo, tmp_path):
    text = (runs / "t.csv").read_text().splitlines()
    (tmp_path / "odd.csv").write_text("\n".join([*text[:11], text[11][:-2] + "xx"]) + "\n")
    done = nelbo("evaluate", runs / "class", tmp_path / "odd.csv", "--json")
    row = json.loads(done.out)
    assert row["unknown_classes"] == 1
    assert row["accuracy"] <= 10 / 11
    assert "'xx'" in done.err


@pytest.fixture
def odd_table(tmp_path):
    """Twenty rows: words, a column and its double, and a class that one row alone has, which is tested on."""
    path = tmp_path / "odd.csv"

    def write(classes):
        rows = "\n".join(f"{'red' if i % 3 else 'blue'},{i},{2 * i},{one}" for i, one in enumerate(classes))
        path.write_text(f"colour,x,twice,kind\n{rows}\n")

    classes = ["hi" if i > 9 else "lo" for i in range(20)]
    write(classes)
    classes[load(path, target="kind", targets="class").test.index[0]] = "rare"
    write(classes)
    return path


@pytest.mark.slow
def test_words_equal_columns_few_rows_and_a_class_that_no_training_row_has(odd_table, nelbo, tmp_path):
    done = nelbo("fit", "classification", "--data", odd_table, "--target", "kind", "--architecture", "linear",
                 "--epochs", "20", "--no-figures", "--out", tmp_path / "r")  # fmt: skip
    assert done.code == 0, done.err
    assert "no training row has the class 'rare'" in done.err
    assert "'colour' holds words" in done.err
    settings = json.loads((tmp_path / "r" / "config.json").read_text())
    assert settings["training"]["batch_size"] == 16  # all training rows, for there are fewer than 100
    (tmp_path / "new.csv").write_text("twice,x,colour\n2,1,red\n4,2,green\n6,,blue\n")
    done = nelbo("predict", tmp_path / "r", tmp_path / "new.csv", "-o", tmp_path / "p.csv")
    assert done.code == 0, done.err
    assert "in 1 row column 'colour' holds a word that the model was not fitted to ('green')" in done.err
    with (tmp_path / "p.csv").open() as file:
        found = list(csv.DictReader(file))
    for row in found:
        sums = sum(float(row[f"kind_p_{name}"]) for name in ("hi", "lo", "rare"))
        assert sums == pytest.approx(1.0, abs=1e-6)
    assert [row["colour"] for row in found] == ["red", "green", "blue"]


@pytest.mark.slow
def test_a_sampler_whose_steps_are_too_long_stops_with_its_last_good_state(odd_table, nelbo, tmp_path):
    done = nelbo("fit", "classification", "--data", odd_table, "--target", "kind", "--architecture", "linear",
                 "--epochs", "40", "--optimizer", "sgld", "--learning-rate", "1e9", "--no-figures", "--quiet",
                 "--out", tmp_path / "r")  # fmt: skip
    assert done.is_refusal("not finite", "Lower the learning rate", code=1)
    assert list((tmp_path / "r" / "checkpoints").iterdir())


def test_what_cannot_work_is_refused_in_one_sentence(runs, nelbo, tmp_path):
    fit = ("fit", "regression", "--data", runs / "t.csv", "--out", tmp_path / "r", "--quiet")
    assert nelbo(*fit, "--target", "prize").is_refusal("price")
    assert nelbo(*fit).is_refusal("target")
    assert nelbo("fit", "vae", *fit[2:], "--target", "price").is_refusal("predicts no column")
    assert nelbo("fit", "regression", "--data", "digits", "--out", tmp_path / "r").is_refusal("classification")
    one = "\n".join(f"{i};a" for i in range(30))
    (tmp_path / "one.csv").write_text(f"x;kind\n{one}\n")
    assert nelbo("fit", "classification", "--data", tmp_path / "one.csv", "--target", "kind", "--out", tmp_path / "r",
                 "--quiet").is_refusal("at least two classes")  # fmt: skip
    for words in (("sample",), ("embed",), ("reconstruct",), ("impute",), ("evaluate", "--bound", "elbo")):
        assert nelbo(words[0], runs / "number", *words[1:], "--quiet").is_refusal(), words
    assert not (tmp_path / "r").exists()


def test_a_run_of_another_model_predicts_nothing(finished, nelbo):
    assert nelbo("predict", finished).is_refusal("predicts nothing")
