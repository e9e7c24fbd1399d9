"""The page of matrix completion: a planted matrix from nothing to the page, claims that can fail, left-out values."""

import json
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nelbo.cli.paper import show_page
from nelbo.core import InputError
from nelbo.models import build
from nelbo.papers import PAPERS
from nelbo.papers.activity import FILE, groups, measured, planted, planted_physics
from nelbo.papers.completion import left_out, matrix_of
from nelbo.papers.jirasek2020 import PAGE


@pytest.mark.slow  # what a page does is in test_pages.py, and each of its parts below
def test_smoke_end_to_end(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with jax.numpy_dtype_promotion("standard"), jax.debug_key_reuse(False):
        result = PAPERS["jirasek2020"].reproduce(tmp_path / "page", budget="smoke", say=lambda _: None)
        written = show_page(tmp_path / "page", result)
    assert result["finished"]
    assert all(path.stat().st_size > 0 for path in written)
    rows = {row["method"]: row for row in result["parts"]["completion"]["measures"]["errors"]["rows"]}
    common = {row["common pairs"] for row in rows.values()}
    assert len(common) == 1
    assert rows["completion"]["pairs"] == rows["completion"]["of"] > rows["physical model"]["pairs"] == common.pop()
    assert [claim["holds"] for claim in result["claims"][:2]] == [
        rows["completion"]["MAE, common"] < rows["physical model"]["MAE, common"]
        and rows["completion"]["MSE, common"] < rows["physical model"]["MSE, common"],
        True,
    ]
    json.dumps(result)


def page(ours, theirs, hybrid):
    def row(method, mae, pairs):
        return {"method": method, "MAE, common": mae, "MSE, common": mae, "pairs": pairs, "of": 10, "common pairs": 8}

    rows = [row("completion", ours, 10), row("physical model", theirs, 8), row("whisky", hybrid, 10)]
    rows += [row("residual of the physical model", 0.5, 8), row("mean of both", 0.6, 8)]
    return {"completion": {"measures": {"errors": {"rows": rows}}}}


def test_claims_hold_where_the_numbers_do():
    beats, covers, hybrid = (claim.check for claim in PAGE.claims)
    assert beats(page(0.3, 0.4, 0.2))[0] is True
    assert beats(page(0.5, 0.4, 0.2))[0] is False
    assert covers(page(0.3, 0.4, 0.2))[0] is True
    assert hybrid(page(0.3, 0.4, 0.2))[0] is True
    assert hybrid(page(0.3, 0.4, 0.35))[0] is False
    assert [check({})[0] for check in (beats, covers, hybrid)] == [None, None, None]


def test_a_left_out_value_is_divided_out_exactly():
    """With a Gaussian likelihood the predictor without the value is again normal: precisions are subtracted."""
    model = build(jax.random.key(0), "factorization", {"shape": [1], "pairs": [3, 2], "rank": 1, "noise_scale": 1.5})
    layer = model.globals.averaged(model).generative.layers[0]
    mean, variance = (float(x) for x in layer.moments(jnp.asarray([1.0, 0.0])))
    noise, y = 1.5**2, 2.0
    without = 1.0 / (1.0 / variance - 1.0 / noise)
    expected = without * (mean / variance - y / noise)
    found = left_out(model, jnp.asarray([[1.0, 0.0]]), jnp.asarray([y]))
    assert float(found[0]) == pytest.approx(expected, abs=1e-4)
    assert abs(expected - mean) > 1e-3


def test_measurements_near_room_temperature_are_averaged(tmp_path):
    lines = [
        "Solute_SMILES,Solvent_SMILES,log-gamma,T",
        "C,CC,1.0,25",
        "C,CC,3.0,22",
        "C,CC,9.0,60",
        "CC,C,36,25",
        "O,C,2,20",
    ]
    (tmp_path / FILE).write_text("\n".join(lines) + "\n")
    found = measured(str(tmp_path))
    cells = dict(zip(zip(found.rows, found.columns, strict=True), found.values, strict=True))
    assert cells == {("C", "CC"): 2.0, ("O", "C"): 2.0}
    with pytest.raises(InputError, match="There is no"):
        measured(str(tmp_path / "elsewhere"))


def test_the_planted_matrix_is_numbered_with_its_physics():
    matrix = matrix_of(planted(), planted_physics)
    assert matrix.shape == matrix.whole.shape
    there = ~np.isnan(matrix.physics)
    assert 0.5 < there.mean() < 0.95
    i, j = matrix.pairs.astype(int).T
    assert np.array_equal(matrix.whole[i, j][there], matrix.physics[there])


def test_molecules_have_groups():
    known = groups()
    assert known["CCCCCC"] == {1: 2, 2: 4}  # hexane: two CH3, four CH2
    assert known["OCC"] == {1: 1, 2: 1, 14: 1}  # ethanol: CH3, CH2, OH (p)


def test_unifac_of_hexane_in_ethanol():
    thermo = pytest.importorskip("thermo")
    assert thermo
    from nelbo.papers.activity import unifac

    found = unifac(np.array(["CCCCCC", "OCC", "nothing"], object), np.array(["OCC", "OCC", "OCC"], object))
    assert 2.0 < found[0] < 3.0  # ln gamma at infinite dilution: measured 2.5
    assert math.isnan(found[1])
    assert math.isnan(found[2])
