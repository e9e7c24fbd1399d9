"""The pages of lossless coding: from nothing to the page on the digits, claims that can fail."""

import json

import jax
import pytest

from nelbo.cli.paper import show_page
from nelbo.papers import PAPERS
from nelbo.papers.townsend2019 import tight


@pytest.mark.slow  # what a page does is in test_pages.py, and bits back in tests/codecs
@pytest.mark.parametrize("key", ["townsend2019", "kingma2019"])
def test_smoke_end_to_end(key, tmp_path):
    # optax raises a float to an integer power; users have the standard setting
    with jax.numpy_dtype_promotion("standard"), jax.debug_key_reuse(False):
        result = PAPERS[key].reproduce(tmp_path, budget="smoke", say=lambda _: None)
        written = show_page(tmp_path, result)
    assert result["finished"]
    assert all(path.stat().st_size > 0 for path in written)
    text = (tmp_path / "page.md").read_text()
    for part in result["parts"].values():
        own, *others = part["measures"]["coded"]["rows"]
        assert [row["coder"] for row in others] == ["gzip -9", "bz2 -9", "xz -9e"]
        assert own["bytes"] == pytest.approx(own["bits per dim"] * 60 * 64 / 8)
        assert str(own["bytes"]) in text
    holds = [claim["holds"] for claim in result["claims"]]
    if key == "kingma2019":
        chain = result["parts"]["layers-2"]["measures"]["alone"]["rows"]
        assert [row["order"] for row in chain] == ["Bit-Swap", "all latents first"]
        chained, together = (row["bits an example alone"] for row in chain)
        assert chained > 0
        assert holds == [chained < together, True]
    else:
        assert holds == [True, None]  # no MNIST here to compare the coders on
    for claim in result["claims"]:
        assert claim["numbers"] in text
    json.dumps(result)


def test_a_file_longer_than_the_bound_fails_the_claim():
    def page(size):
        own = {"coder": "nelbo", "bytes": size, "bits per dim": 8 * size / 1e6, "-ELBO, bits per dim": 0.8}
        return {"a": {"label": "mnist", "measures": {"coded": {"rows": [own]}}}}

    assert tight(page(100_000))[0]
    assert tight(page(101_900))[0]
    assert tight(page(102_100))[0] is False
    assert tight({"a": {"label": "mnist"}}) == (None, "not run")
