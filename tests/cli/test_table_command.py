"""A table of any kinds of columns goes in with gaps and comes back whole, with or without a run."""

import csv
import json

import numpy as np
import pytest

from nelbo.cli import main
from nelbo.runs import open_run, settings_for
from nelbo.tasks import ImputationSettings

HEADER = ["id", "height", "price", "kids", "member", "town", "grade"]
GRADES = ("low", "middle", "high")
TOWNS = ("Graz", "Linz", "Wien")


def rows_of(rng, count):
    """Height goes with the town, the price with height and membership."""
    town = rng.integers(0, 3, count)
    member = rng.random(count) < 0.3 + 0.2 * town
    height = 150 + 15 * town + rng.normal(size=count)
    price = np.exp(0.05 * (height - 150) + member + 0.1 * rng.normal(size=count))
    kids = rng.poisson(1.0 + town)
    return [
        [
            f"p{i}",
            f"{height[i]:.1f}",
            f"{price[i]:.2f}",
            str(kids[i]),
            "yes" if member[i] else "no",
            TOWNS[town[i]],
            GRADES[min(int(kids[i]), 2)],
        ]
        for i in range(count)
    ]


def with_gaps(rng, rows):
    return [[row[0], *("" if rng.random() < 0.2 else cell for cell in row[1:])] for row in rows]


def write(path, rows):
    with path.open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([HEADER, *rows])
    return path


def read(path):
    with path.open() as file:
        return list(csv.reader(file))


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    folder, rng = tmp_path_factory.mktemp("table"), np.random.default_rng(0)
    whole = rows_of(rng, 60)
    return folder, whole, write(folder / "gaps.csv", with_gaps(rng, whole))


@pytest.fixture(scope="module")
def fitted(table):
    folder, _, gaps = table
    words = ["fit", "table", "--data", str(gaps), "--latents", "2", "--hidden", "4", "--no-figures", "--epochs", "2"]
    words += ["--column", "grade=ordinal:low<middle<high"]
    assert main([*words, "--out", str(folder / "run"), "--quiet"]) == 0
    return folder / "run"


def test_a_run_knows_the_kinds_and_fills_in_the_users_form(table, fitted, nelbo, tmp_path):
    _, _, gaps = table
    assert open_run(fitted).model.spec.arguments["kinds"] == [
        "real",
        "positive",
        "count",
        "words:2",
        "words:3",
        "ordinal:3",
    ]
    done = nelbo("impute", fitted, gaps, "-o", tmp_path / "f.csv", "--intervals", "--draws", "2", "--steps", "2",
                 "--proposals", "20", "--json")  # fmt: skip
    assert done.code == 0, done.err
    record = json.loads(done.out)
    assert [row["column"] for row in record["columns"]] == HEADER[1:]
    assert sum(row["filled"] for row in record["columns"]) == sum(row.count("") for row in read(gaps))
    assert record["missing_entries"] == sum(row.count("") for row in read(gaps))
    header, *filled = read(tmp_path / "f.csv")
    assert header[:7] == HEADER
    assert {"height low", "height high", "town chance", "grade low", "grade high", "grade chance"} <= set(header[7:])
    for old, new in zip(read(gaps)[1:], filled, strict=True):
        for place, (cell, other) in enumerate(zip(old, new[:7], strict=True)):
            assert cell in {other, ""}
            if place == 3:
                assert other.lstrip("-").isdigit()
            if place in {4, 5, 6}:
                assert other in {4: {"yes", "no"}, 5: set(TOWNS), 6: set(GRADES)}[place]
        for name in ("height", "price"):
            at, low = HEADER.index(name), header.index(f"{name} low")
            assert (new[low] == "") == (old[at] != "")
            assert new[low] == "" or float(new[low]) <= float(new[low + 1])
        low, high = (new[header.index(f"grade {end}")] for end in ("low", "high"))
        assert (low == high == "") if old[6] else GRADES.index(low) <= GRADES.index(high)
        assert float(new[2]) > 0  # a log-normal gives no negative price
    for part in (1, 2):
        completed = read(tmp_path / f"f-{part}.csv")
        assert completed[0] == HEADER
        assert len(completed) == 61
        assert not any("" in row for row in completed)


@pytest.mark.slow
def test_a_word_that_no_training_row_had_is_filled_in_anew(fitted, nelbo, tmp_path):
    new = write(
        tmp_path / "new.csv", [["q", "165.0", "3.00", "2", "yes", "Bern", "high"], ["r", "", "", "", "", "", ""]]
    )
    done = nelbo("impute", fitted, new, "-o", tmp_path / "f.csv", "--steps", "2", "--proposals", "20")
    assert done.code == 0
    assert (
        "'town' holds a word that the model was not fitted to ('Bern'): it counts as missing, and stays as it is."
        in done.err + done.out
    )
    rows = read(tmp_path / "f.csv")
    assert rows[1] == ["q", "165.0", "3.00", "2", "yes", "Bern", "high"]
    assert not any("" in row for row in rows)


def test_a_value_that_its_column_cannot_have_is_refused(fitted, nelbo, tmp_path):
    new = write(
        tmp_path / "new.csv", [["q", "165.0", "-3.00", "2", "yes", "Graz", ""], ["r", "160.0", "", "1", "no", "", ""]]
    )
    done = nelbo("impute", fitted, new, "-o", tmp_path / "f.csv")
    assert done.code == 2
    assert "needs positive numbers, as the model's training data were, but line 2 holds -3" in done.err
    assert not (tmp_path / "f.csv").exists()


@pytest.mark.slow
def test_other_answers_about_such_a_run(fitted, nelbo, tmp_path):
    assert nelbo("evaluate", fitted, "--samples", "2", "--json").code == 0
    assert nelbo("embed", fitted, "-o", tmp_path / "z.csv", "--quiet").code == 0
    assert nelbo("sample", fitted, "-n", "3", "-o", tmp_path / "s.csv", "--quiet").code == 0
    header, *drawn = read(tmp_path / "s.csv")
    assert header == HEADER[1:]
    assert len(drawn) == 3
    assert all(
        row[-1] in GRADES and row[-2] in TOWNS and row[-3] in {"yes", "no"} and row[2].lstrip("-").isdigit()
        for row in drawn
    )
    refused = nelbo("compress", fitted, "-o", tmp_path / "c.nlb")
    assert refused.code == 2
    assert "Data with missing entries cannot be compressed" in refused.err


@pytest.mark.slow
def test_a_table_alone_is_fitted_and_filled_in_better_than_by_means(table, nelbo, tmp_path):
    _, whole, gaps = table
    done = nelbo("impute", gaps, "-o", tmp_path / "f.csv", "--keep", tmp_path / "kept", "--quiet")
    assert done.code == 0, done.err
    filled, old = read(tmp_path / "f.csv")[1:], read(gaps)[1:]
    missing = [(i, j) for i, row in enumerate(old) for j, cell in enumerate(row) if cell == ""]
    towns = [filled[i][5] == whole[i][5] for i, j in missing if j == 5]
    assert np.mean(towns) > 0.7  # by chance 0.33
    heights = np.array([(float(filled[i][1]), float(whole[i][1])) for i, j in missing if j == 1])
    assert np.sqrt(np.mean((heights[:, 0] - heights[:, 1]) ** 2)) < 0.6 * np.std([float(row[1]) for row in whole])
    assert open_run(tmp_path / "kept").model.spec.name == "table"
    again = nelbo("impute", gaps, "-o", tmp_path / "g.csv", "--keep", tmp_path / "kept")
    assert again.code == 2
    assert "is a run already" in again.err


def test_a_table_alone_needs_a_place_to_go(table, nelbo):
    _, _, gaps = table
    for words, told in (((), "-o filled.csv"), ((gaps, "-o", "f.csv"), "filled in by itself")):
        done = nelbo("impute", gaps, *words)
        assert done.code == 2
        assert told in done.err


def test_a_table_without_gaps_is_written_as_it_is_without_a_fit(table, nelbo, tmp_path):
    _, whole, _ = table
    path = write(tmp_path / "whole.csv", whole)
    done = nelbo("impute", path, "-o", tmp_path / "f.csv")
    assert done.code == 0
    assert "Nothing is missing" in done.err
    assert "Fitted" not in done.err
    assert (tmp_path / "f.csv").read_bytes() == path.read_bytes()


@pytest.mark.slow
def test_what_is_to_be_said_is_said_once_and_as_it_is_typed(table, nelbo, tmp_path):
    _, _, gaps = table
    rows = read(gaps)
    rows = [[*rows[0], "height low"], *([*row, "1.0"] for row in rows[1:])]
    rows[3][0] = ""  # a hole in the column of names, which is set aside
    with (tmp_path / "t.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    done = nelbo("fit", "table", "--data", tmp_path / "t.csv", "--epochs", "1", "--out", tmp_path / "r", "--no-figures",
                 "--ignore", "height low", "--latents", "2", "--hidden", "4", "--train-only")  # fmt: skip
    assert done.code == 0, done.err
    assert "1 blank cell stays blank: column 'id' was set aside" in done.err
    filled = nelbo("impute", tmp_path / "r", tmp_path / "t.csv", "-o", tmp_path / "f.csv", "--intervals", "--steps",
                   "2", "--proposals", "20", "--quiet")  # fmt: skip
    assert filled.code == 0, filled.err
    header = read(tmp_path / "f.csv")[0]
    assert "height low (2)" in header
    assert len(set(header)) == len(header)


@pytest.mark.slow
def test_a_report_shows_the_most_and_the_least_typical_rows(table, fitted, nelbo, tmp_path):
    for _ in range(2):  # the second reads what the first worked out
        assert nelbo("report", fitted, "-o", tmp_path / "r.html", "--quiet").code == 0
        written = (fitted / "typical.json").stat().st_mtime_ns
    found = json.loads((fitted / "typical.json").read_text())
    most, least = ([row for row in found["rows"] if row["typical"] == which] for which in ("most", "least"))
    assert len(most) == len(least) == min(found["of"] // 2, 8) > 1
    assert max(abs(row["bits beyond the mean"]) for row in most) <= min(
        abs(row["bits beyond the mean"]) for row in least
    )
    gaps = read(table[2])
    assert all([row[name] for name in HEADER] == gaps[1 + row["row"]] for row in (*most, *least))
    page = (tmp_path / "r.html").read_text()
    assert page.index("Most typical:") < page.index("Least typical:") < page.index(least[0]["id"] + "<")
    assert (fitted / "typical.json").stat().st_mtime_ns == written


def test_an_infinity_or_one_row_is_told_with_advice(fitted, nelbo, tmp_path):
    new = write(tmp_path / "new.csv", [["q", "inf", "3.00", "2", "yes", "Graz", ""]])
    done = nelbo("impute", fitted, new, "-o", tmp_path / "f.csv")
    assert done.is_refusal("infinite values")
    assert "(train)" not in done.err
    one = write(tmp_path / "one.csv", [["q", "", "3.00", "2", "yes", "Graz", ""]])
    refused = nelbo("impute", one, "-o", tmp_path / "f.csv")
    assert refused.is_refusal("has 1 row: too few", "give more rows.")
    assert "fraction" not in refused.err  # `impute` has no such option
    assert nelbo("fit", "table", "--data", one, "--out", tmp_path / "run").is_refusal("--valid-fraction 0")


def test_many_rows_are_filled_in_by_a_quicker_method_unless_one_is_named(fitted):
    run, asked = open_run(fitted), ImputationSettings()
    assert settings_for(asked, run, 10_000) == asked
    quick = settings_for(asked, run, 10_001)
    assert (quick.method, quick.proposals) == ("importance", 200)
    named = ImputationSettings("hmc")
    assert settings_for(named, run, 10**6) == named
