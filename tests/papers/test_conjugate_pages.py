"""The pages of stochastic variational inference: from nothing to the page on bars, claims that can fail."""

import jax
import pytest

from nelbo.cli.paper import show_page
from nelbo.papers import PAPERS
from nelbo.papers.mandt2014 import _inside
from nelbo.papers.mandt2016 import METHODS, _order, _recovers


@pytest.mark.slow
@pytest.mark.parametrize("key", ["mandt2014", "mandt2016"])
def test_smoke_end_to_end(key, tmp_path):
    with jax.numpy_dtype_promotion("standard"), jax.debug_key_reuse(False):
        result = PAPERS[key].reproduce(tmp_path, budget="smoke", say=lambda _: None)
        written = show_page(tmp_path, result)
    assert result["finished"]
    assert all(path.stat().st_size > 0 for path in written)
    assert {claim["holds"] for claim in result["claims"]} == {None}  # bars say nothing
    assert "not run" not in [claim["numbers"] for claim in result["claims"]]
    if key == "mandt2014":
        rows = result["parts"]["window-1"]["measures"]["smoothing"]["rows"]
        assert rows[0]["bias^2"] < 1e-20
        assert [row["variance"] for row in rows] == sorted((row["variance"] for row in rows), reverse=True)


def test_an_optimum_at_an_end_fails_the_claim():
    def page(totals):
        rows = [{"window": 2**i, "total": total} for i, total in enumerate(totals)]
        part = {"label": "window 1", "data": {"name": "sotu"}, "measures": {"smoothing": {"rows": rows}}}
        return {"window-1": part}

    assert _inside(page([3.0, 1.0, 2.0]))[0]
    assert _inside(page([1.0, 2.0, 3.0]))[0] is False
    assert _inside(page([3.0, 2.0, 1.0]))[0] is False
    assert _inside({}) == (None, "not run")


def test_luck_does_not_pass_local_optima():
    def page(*recovered):
        rows = [{"temperature": name, "starts": 24, "recovered": count}
                for name, count in zip(METHODS.values(), recovered, strict=True)]  # fmt: skip
        return {"clusters": {"rows": rows}}

    assert _recovers(page(2, 3, 12, 4))[0]
    assert _recovers(page(2, 3, 7, 4))[0] is False
    assert _recovers({}) == (None, "not run")


def test_another_order_fails_the_claim():
    def page(*bounds):
        rows = {how: [{"bound": "posterior", "nats": nats}] for how, nats in zip(METHODS, bounds, strict=True)}
        return {how: {"label": how, "data": {"name": "sotu"}, "results": found} for how, found in rows.items()}

    assert _order(page(-4.0, -3.0, -2.0, -1.0))[0]
    assert _order(page(-4.0, -3.0, -1.0, -2.0))[0] is False
