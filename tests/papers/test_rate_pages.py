"""The pages about rate and distortion: from nothing to the page, claims that can fail."""

import numpy as np
import pytest
from page_smoke import smoke

from nelbo.core import InputError
from nelbo.papers import balle2018, yang2020, yang2020vbq, yang2022
from nelbo.papers.codec_pictures import pictures, saved
from nelbo.papers.quantization import MEANS, UNIFORM, VBQ, _means, _uniform
from nelbo.papers.yang2020vbq import bits_at

SLOW = ("yang2020", "yang2020vbq", "yang2022")


@pytest.mark.parametrize("key", ["balle2018", *(pytest.param(key, marks=pytest.mark.slow) for key in SLOW)])
def test_smoke_end_to_end(key, tmp_path):
    result, _ = smoke(key, tmp_path)
    if key == "yang2020":
        rows = result["studies"]["toy"]["rows"]
        assert all(row["bits over the best"] >= -1e-4 for row in rows)
    if key == "yang2020vbq":
        rows = result["parts"]["posterior"]["measures"]["quantized"]["rows"]
        assert {row["quantization"] for row in rows} == {VBQ, UNIFORM, MEANS}


def claims(module, parts):
    return [claim.check(parts)[0] for claim in module.PAGE.claims]


def points(codec, decibels):
    return [{"codec": codec, "bits a pixel": b, "PSNR": p} for b, p in zip((0.2, 0.4, 0.8, 1.2), decibels, strict=True)]


def test_claims_about_codecs_can_fail():
    good = points("JPEG", (25, 28, 31, 33)) + points("nelbo", (27, 30, 33, 35))
    assert claims(balle2018, {"curves": {"rows": good}}) == [True, True]
    assert saved(good) < 0
    bad = points("JPEG", (25, 28, 31, 33)) + points("nelbo", (24, 27, 30, 50))
    assert claims(balle2018, {"curves": {"rows": bad}}) == [False, False]
    assert claims(balle2018, {}) == [None, None]
    assert balle2018.decibels(balle2018.HYPERPRIOR, 0.131) == 27.58
    assert balle2018.decibels(balle2018.HYPERPRIOR, 1.5) is None  # beyond the published curve
    with pytest.raises(InputError, match="kodak"):
        pictures("quick", None)


def test_claims_about_inference_can_fail():
    def page(sga, less):
        toy = [{"method": name, "bits over the best": 0.1 if name != "sga" else sga, "cases": 50}
               for name in ("sga", "annealing", "straight-through", "uniform", "map")]  # fmt: skip
        rows = [{"BD-rate, the sender's choice": -less, "BD-rate, refined": -1.1 * less} for _ in range(3)]
        return {"toy": {"rows": toy}, "pictures": {"rows": rows}}

    assert claims(yang2020, page(0.0, 12.0)) == [True, True]
    assert claims(yang2020, page(0.2, -1.0)) == [False, False]
    assert claims(yang2020, {}) == [None, None]


def test_claims_about_bounds_can_fail():
    def page(upper, lower, wide):
        rows = [
            {"source": "Gaussian", "entries": n, "slope": 1.0, "upper bound": upper + (wide if n == 16 else 0.0),
             "its error": 0.01, "exact": 1.0, "lower bound": lower, "error": 0.01}
            for n in (1, 2, 16)
        ]  # fmt: skip
        return {"bounds": {"rows": rows}}

    assert claims(yang2022, page(1.01, 0.99, 0.5)) == [True, True, True]
    assert claims(yang2022, page(0.9, 0.8, -0.05)) == [False, False, False]
    assert claims(yang2022, page(1.0, 1.2, 0.0))[0] is False
    assert claims(yang2022, {}) == [None, None, None]


def quantized(own, others):
    rows = [{"quantization": name, "nats lost": lost, "bits a weight": (own if name == VBQ else others) / (1 + lost)}
            for name in (VBQ, UNIFORM, MEANS) for lost in (0.0, 0.5, 2.0)]  # fmt: skip
    return {"posterior": {"measures": {"quantized": {"rows": rows}}}}


def test_claims_about_weights_can_fail():
    assert claims(yang2020vbq, quantized(3.0, 4.0)) == [True, True]
    assert claims(yang2020vbq, quantized(5.0, 4.0)) == [False, True]
    assert claims(yang2020vbq, {}) == [None, None]
    rows = quantized(3.0, 4.0)["posterior"]["measures"]["quantized"]["rows"]
    assert bits_at(rows, VBQ, 0.25) == pytest.approx(2.5)
    assert bits_at(rows, VBQ, 3.0) is None


def test_the_other_quantizations():
    """Steps: errors of at most half a step; means: as many values as were asked for, bits of equal shares."""
    arrays = {"w": np.random.default_rng(0).normal(size=(40, 50)).astype(np.float32)}
    back, bits = _uniform(arrays, 0.5)
    assert np.abs(back["w"] - arrays["w"]).max() <= 0.25 * arrays["w"].std() + 1e-6
    assert 2000 * 2.9 < bits < 2000 * 3.2  # entropy of N(0, 1) at a step of 1/2: 2.047 + 1 bits
    back, bits = _means({"w": np.repeat(np.arange(4, dtype=np.float32), 25)}, 4)
    np.testing.assert_allclose(back["w"], np.repeat(np.arange(4), 25), atol=1e-6)
    assert bits == pytest.approx(200)
