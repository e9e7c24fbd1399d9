"""A user's table goes in and comes back: new rows whole, by name, and in the form in which they were given."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from nelbo.cli import main

NAMES = ["a", "b", "c"]


def write(path: Path, seed: int, rows: int, order=("id", *NAMES)) -> Path:
    x = np.random.default_rng(seed).normal(size=(rows, 3)).round(4)
    lines = [{"id": f"s{i}", **{n: str(v) for n, v in zip(NAMES, row, strict=True)}} for i, row in enumerate(x)]
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, order, lineterminator="\n")
        writer.writeheader()
        writer.writerows(lines)
    return path


@pytest.fixture(scope="module")
def fitted(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("table")
    table = write(folder / "t.csv", 0, 80)
    fit = ["fit", "vae", "--data", str(table), "--hidden", "3", "--latents", "2", "--epochs", "1", "--no-figures"]
    assert main([*fit, "--out", str(folder / "run"), "--quiet"]) == 0
    return folder / "run"


@pytest.mark.slow
def test_embed_gives_a_row_for_each_row(fitted, nelbo, tmp_path):
    for count in (30, 2):
        new = write(tmp_path / "new.csv", 1, count)
        assert nelbo("embed", fitted, new, "-o", tmp_path / "z.csv", "--quiet").code == 0
        with (tmp_path / "z.csv").open() as file:
            rows = list(csv.DictReader(file))
        assert [row["id"] for row in rows] == [f"s{i}" for i in range(count)]
        assert set(rows[0]) == {"id", "z1", "z2"}


@pytest.mark.slow
def test_evaluate_matches_columns_by_name_and_keeps_each_rows_score(fitted, nelbo, tmp_path):
    found = []
    for order in (("id", *NAMES), ("c", "id", "b", "a")):
        new = write(tmp_path / "new.csv", 1, 30, order)
        done = nelbo("evaluate", fitted, "--data", new, "--samples", "2", "--json", "-o", tmp_path / "scores.csv")
        found.append(json.loads(done.out))
        with (tmp_path / "scores.csv").open() as file:
            rows = list(csv.DictReader(file))
        assert np.mean([float(row["elbo"]) for row in rows]) == pytest.approx(found[-1]["nats"], rel=1e-5)
        assert [row["id"] for row in rows] == [f"s{i}" for i in range(30)]
    assert found[0] == found[1]
    assert (found[0]["examples"], found[0]["split"], found[0]["kind"]) == (30, "rows", "lower")


@pytest.mark.slow
def test_impute_gives_the_table_back(fitted, nelbo, tmp_path):
    new = write(tmp_path / "new.csv", 1, 20)
    lines = new.read_text().splitlines()
    cells = lines[5].split(",")
    lines[5] = ",".join([cells[0], cells[1], "", cells[3]])
    new.write_text("\n".join(lines) + "\n")
    done = nelbo("impute", fitted, new, "-o", tmp_path / "full.csv", "--steps", "2", "--draws", "2", "--quiet")
    assert done.code == 0, done.err
    full = (tmp_path / "full.csv").read_text().splitlines()
    assert [line for i, line in enumerate(full) if i != 5] == [line for i, line in enumerate(lines) if i != 5]
    filled = full[5].split(",")
    assert (filled[0], filled[1], filled[3]) == (cells[0], cells[1], cells[3])
    assert np.isfinite(float(filled[2]))


@pytest.mark.slow
def test_another_form_than_the_tables_is_refused_before_work(fitted, nelbo, tmp_path):
    new = write(tmp_path / "new.csv", 1, 20)
    for command in (("embed", fitted, new), ("evaluate", fitted, "--data", new), ("impute", fitted, new)):
        done = nelbo(*command, "-o", tmp_path / "x.parquet")
        assert done.code == 2
        assert done.err.splitlines()[-1].startswith(f"nelbo: Cannot write {tmp_path / 'x.parquet'}")
        assert ".csv" in done.err


@pytest.mark.slow
def test_what_a_run_was_not_told_about_is_refused(fitted, nelbo, tmp_path):
    new = write(tmp_path / "new.csv", 1, 20, ("id", "a", "b", "c"))
    new.write_text(new.read_text().replace("c", "d", 1))
    assert nelbo("evaluate", fitted, "--data", new).is_refusal("lacks the column 'c'", "'d' was not known")


@pytest.mark.slow
def test_a_damaged_schema_is_said(fitted, nelbo, tmp_path):
    import shutil

    run = Path(shutil.copytree(fitted, tmp_path / "run"))
    config = json.loads((run / "config.json").read_text())
    (run / "config.json").write_text(json.dumps(config | {"schema": {"shape": [3]}}))
    assert nelbo("evaluate", run).is_refusal("schema", "damaged")
    (run / "config.json").write_text(json.dumps({k: v for k, v in config.items() if k != "schema"}))
    (run / "rows.safetensors").unlink()
    assert nelbo("evaluate", run, "--samples", "2", "--quiet").code == 0  # a run of before schemas
