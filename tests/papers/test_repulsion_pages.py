"""The pages about batches that repel: from nothing to the page on small data, claims that can fail."""

import numpy as np
import pytest
from page_smoke import smoke

from nelbo.data import load
from nelbo.papers import zhang2017, zhang2019
from nelbo.papers.repulsion import unequal


@pytest.mark.slow  # what a page does is in test_pages.py
@pytest.mark.parametrize("key", ["zhang2017", "zhang2019"])
def test_smoke_end_to_end(key, tmp_path):
    result, _ = smoke(key, tmp_path)
    assert all(claim["holds"] is None for claim in result["claims"])
    rows = result["studies"]["noise"]["rows"]
    assert {row["risk"] for row in rows} >= {"that of the data", "diversified"}
    assert all(row["variance"] > 0 for row in rows)


def test_classes_shrink_and_the_test_set_is_balanced():
    data = unequal(load("digits"), largest=60, ratio=0.1, test=5, seed=0)
    counts = np.bincount(data.train.y)
    assert (counts[0], counts[-1]) == (60, 6)
    assert (np.diff(counts) < 0).all()
    assert (np.bincount(data.test.y) == 5).all()
    assert data.train.x.max() == 1.0


def claims(module, parts):
    return [claim.check(parts)[0] for claim in module.PAGE.claims]


def noise(ways, variance, time=1.0):
    rows = [
        {
            "batches": way.label,
            "batch size": 10,
            "variance": v,
            "variance of independent draws": 1.0,
            "milliseconds a batch": t,
            "data": "mnist",
        }
        for way, v, t in zip(ways, variance, np.broadcast_to(time, len(ways)), strict=True)
    ]
    return {"noise": {"rows": rows}}


def accuracy(ways, last):
    rows = [
        {"batches": way.label, "steps": step, "accuracy": a + change, "standard error": 0.01, "data": "mnist"}
        for way, a in zip(ways, last, strict=True)
        for step, change in ((1, -0.1), (2, 0.0))
    ]
    return {"accuracy": {"rows": rows}}


def test_claims_can_fail():
    ways = zhang2017.WAYS
    assert claims(zhang2017, noise(ways, (1, 2, 0.5, 0.5)) | accuracy(ways, (0.6, 0.6, 0.6, 0.7))) == [True, True, True]
    assert claims(zhang2017, noise(ways, (1, 2, 1.5, 0.5)) | accuracy(ways, (0.6, 0.6, 0.6, 0.59))) == [False] * 3
    assert claims(zhang2017, accuracy(ways, (0.6, 0.6, 0.61, 0.59))) == [None, False, False]
    three = (zhang2019.UNIFORM, zhang2019.DIVERSIFIED, zhang2019.VANILLA)
    every = (zhang2019.UNIFORM, zhang2019.VANILLA, *zhang2019.LABELLED)
    good = noise(three, (1, 1, 0.5), (0.1, 3, 1)) | accuracy(every, (0.6, 0.6, 0.6, 0.7, 0.5))
    assert claims(zhang2019, good) == [True, True, True]
    bad = noise(three, (1, 1, 1.5), (0.1, 1, 3)) | accuracy(every, (0.6, 0.6, 0.6, 0.61, 0.5))
    assert claims(zhang2019, bad) == [False, False, False]
    assert claims(zhang2019, {}) == [None, None, None]
