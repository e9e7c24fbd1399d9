"""The pages about inference: from nothing to the page on small data, claims that can fail."""

import pytest
from page_smoke import smoke

from nelbo.papers import bamler2017, buchholz2018, marino2018


@pytest.mark.slow  # what a page does is in test_pages.py
@pytest.mark.parametrize("key", ["buchholz2018", "marino2018", "bamler2017"])
def test_smoke_end_to_end(key, tmp_path):
    result, _ = smoke(key, tmp_path)
    if key == "buchholz2018":
        assert [claim["holds"] for claim in result["claims"]] == [True]
        assert {row["draws"] for row in result["studies"]["noise"]["rows"]} == {"iid", "sobol"}
    if key == "marino2018":
        rows = result["parts"]["iterative"]["measures"]["steps"]["rows"]
        assert [row["step"] for row in rows] == [0, 1, 2]


def claims(module, parts):
    return [claim.check(parts)[0] for claim in module.PAGE.claims]


def test_claims_can_fail():
    def noise(sobol):
        row = {"model": "m", "q": "trained"}
        return {"noise": {"rows": [row | {"draws": "iid", "samples": 100, "variance": 1.0},
                                   row | {"draws": "sobol", "samples": 16, "variance": sobol}]}}  # fmt: skip

    assert claims(buchholz2018, noise(0.5)) == [True]
    assert claims(buchholz2018, noise(1.5)) == [False]

    def trained(nats, steps):
        part = {"data": {"name": "mnist"}, "results": [{"nats": nats}]}
        return part | {"measures": {"steps": {"rows": [{"ELBO": value} for value in steps]}}}

    once = trained(-100.0, [-100.0])
    assert claims(marino2018, {"amortized": once, "iterative": trained(-99.6, [-101.0, -99.6])}) == [True, True]
    assert claims(marino2018, {"amortized": once, "iterative": trained(-99.8, [-99.0, -99.8])}) == [False, False]

    def order(nats, kl):
        return {"results": [{"nats": nats, "kl": kl, "bound": "elbo"}, {"nats": nats, "bound": "iwae"}]}

    three = {"order-1": order(-20.0, 5.0), "order-3": order(-19.0, 4.0), "order-5": order(-19.0, 4.0)}
    assert claims(bamler2017, three) == [True, True]
    assert claims(bamler2017, three | {"order-3": order(-21.0, 6.0)}) == [False, False]
