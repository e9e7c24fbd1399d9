"""The pages about sequences: from nothing to the page on small data, claims that can fail."""

import pytest
from page_smoke import smoke

from nelbo.papers import li2018, marino2020
from nelbo.papers.swaps import ATTRIBUTES


@pytest.mark.slow  # what a page does is in test_pages.py
@pytest.mark.parametrize("key", ["li2018", "marino2020"])
def test_smoke_end_to_end(key, tmp_path):
    result, _ = smoke(key, tmp_path)
    assert all(claim["holds"] is None for claim in result["claims"])
    if key == "li2018":
        rows = result["parts"]["full"]["measures"]["swaps"]["rows"]
        assert [row["attribute"] for row in rows] == list(ATTRIBUTES)


def claims(module, parts):
    return [claim.check(parts)[0] for claim in module.PAGE.claims]


def test_claims_can_fail():
    def swapped(kept, moved, size=1512):
        rows = [{"attribute": name, "as the content, swapped": kept, "as the motion, where the two differ": moved,
                 "as the content, where the two differ": 1.0 - moved} for name in ATTRIBUTES]  # fmt: skip
        part = {"data": {"sizes": {"train": size}}, "measures": {"swaps": {"rows": rows}}, "results": [{"nats": kept}]}
        return {"full": part}

    assert claims(li2018, swapped(0.95, 0.9)) == [None, True, None, True, None]
    assert claims(li2018, swapped(0.85, 0.4)) == [None, False, None, False, None]
    assert claims(li2018, swapped(0.95, 0.9, size=64)) == [None] * 5
    assert claims(li2018, {}) == [None] * 5

    def bounds(flowed, size=5188):
        def part(nats):
            return {"data": {"sizes": {"train": size}}, "results": [{"nats": nats}]}

        return {name: part(flowed if "flow" in name else 0.0) for name in marino2020.LABELS}

    assert claims(marino2020, bounds(1.0)) == [True, True]
    assert claims(marino2020, bounds(-1.0)) == [False, False]
    assert claims(marino2020, bounds(1.0, size=64)) == [None, None]
