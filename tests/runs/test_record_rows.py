"""Every score that was found stays in a run's record."""

import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from nelbo.data import Data, Schema, Split
from nelbo.evaluation import Score
from nelbo.runs import add_result, result_row

ROW = {"split": "test", "bound": "iwae", "samples": 1, "examples": 1, "data": "d", "binarization": "none", "nats": 0.0}


def test_writers_at_once_lose_no_row(tmp_path):
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda i: add_result(tmp_path, ROW | {"samples": i}), range(80)))
    rows = json.loads((tmp_path / "record.json").read_text())["results"]
    assert sorted(row["samples"] for row in rows) == list(range(80))
    assert [path.name for path in tmp_path.iterdir()] == ["record.json"]


def test_rows_of_two_files_of_one_name_are_two(tmp_path):
    score = Score(-1.0, 0.1, 0.2, 1.0, -1.0, 0.0, 1, 3, np.full(3, -1.0))
    for scale in (1.0, 1.7, 1.0):
        x = scale * np.arange(6, dtype=np.float32).reshape(3, 2)
        data = Data("new", {"rows": Split(x)}, Schema((2,), "real"), source=f"{scale}/new.csv")
        add_result(tmp_path, result_row(score, "iwae", "rows", data))
    rows = json.loads((tmp_path / "record.json").read_text())["results"]
    assert len(rows) == len({row["sha256"] for row in rows}) == 2
