"""`nelbo rd-bound`: both bounds, what the search saw, a picture; one sentence where there are none."""

import json

import numpy as np
import pytest


@pytest.mark.slow
def test_a_sandwich_of_a_table(nelbo, tmp_path):
    rng = np.random.default_rng(0)
    np.save(tmp_path / "a.npy", rng.normal(size=(240, 2)).astype(np.float32))
    words = ("rd-bound", "--data", str(tmp_path / "a.npy"), "--slopes", "1", "--steps", "30", "--hidden", "8")
    picture = tmp_path / "a.png"
    told = json.loads(nelbo(*words, "-o", str(picture), "--json").out)
    assert picture.stat().st_size > 1000
    assert (told["fitted"], told["held_out"], told["entries"]) == (120, 120, 2)
    (point,) = told["points"]
    assert point["gap"] == pytest.approx(point["upper"] - point["lower"])
    assert point["group_size"] == 60
    assert point["groups"] == 2
    assert point["starts"] == 64
    text = nelbo(*words, "-o", str(picture)).out
    assert "rate at most" in text
    assert "64 starts" in text


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("-o", "a.jpg"), "ends in .png"),
        (("--slopes", "0"), "above zero"),
        (("--slopes", "1,1e300"), "far from samples"),
        (("--data", "same.npy"), "not all equal"),
        (("--data", "gaps.csv"), "missing entries"),
        (("--group", "1000"), "A group has"),
    ],
)
def test_refusals(nelbo, tmp_path, monkeypatch, words, told):
    monkeypatch.chdir(tmp_path)
    rows = np.random.default_rng(0).normal(size=(80, 2))
    np.save("a.npy", rows)
    np.save("same.npy", np.full((80, 2), 0.1))  # whose variance is not exactly zero
    lines = [f"{a:.3f},{b:.3f}" for a, b in rows]
    (tmp_path / "gaps.csv").write_text("\n".join(["a,b", *lines, ",1.5"]) + "\n")
    assert nelbo("rd-bound", "--data", "a.npy", *words).is_refusal(told)
