"""The page about events of users: what is simulated, and that claims can fail."""

import numpy as np
import pytest
from page_smoke import smoke

from nelbo.papers import boyd2020


@pytest.mark.slow
def test_smoke_end_to_end(tmp_path):
    result, _ = smoke("boyd2020", tmp_path)
    assert [claim["holds"] for claim in result["claims"]] == [None, None]
    rows = result["studies"]["simulated"]["rows"]
    assert [row["latents"] for row in rows] == ["none", "of each user"] * 2
    assert all(np.isfinite(row["nats an event"]) for row in rows)


def test_users_differ_in_rate_and_taste_and_sequences_of_one_do_not():
    found = boyd2020.simulated(200, 0)
    assert len(found["time"]) == 200 * 36
    marks = found["mark"].reshape(200, 6, 6)
    assert set(np.unique(marks)) == {0, 1, 2}
    halves = (marks[:, :3].mean((1, 2)), marks[:, 3:].mean((1, 2)))
    assert np.corrcoef(*halves)[0, 1] > 0.5
    span = np.log(np.diff(found["time"].reshape(200, 6, 6), axis=2).mean(2))
    assert np.corrcoef(span[:, 0], span[:, 5])[0, 1] > 0.5


def test_claims_can_fail():
    def rows(gain, sequences=500):
        about = {"intensity": "rmtpp", "sequences": sequences}
        return {"rows": [about | {"gain": None}, about | {"gain": gain, "standard error": 0.01}]}

    checks = [claim.check for claim in boyd2020.PAGE.claims]
    assert checks[0]({"simulated": rows(0.1)})[0] is True
    assert checks[0]({"simulated": rows(0.015)})[0] is False
    assert checks[1]({"diagnoses": rows(-0.1)})[0] is False
    assert checks[1]({"diagnoses": rows(0.1, 20)})[0] is None
    assert checks[1]({})[0] is None
