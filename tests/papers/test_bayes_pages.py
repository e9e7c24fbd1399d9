"""The pages about posteriors over weights: from nothing to the page, claims that can fail."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from page_smoke import smoke

from nelbo.bayes import normal_kl
from nelbo.papers import mandt2017, swiatkowski2020, wenzel2020
from nelbo.papers.stationary_draws import DESCENT, Method, problem


@pytest.mark.slow  # what a page does is in test_pages.py
@pytest.mark.parametrize("key", ["swiatkowski2020", "wenzel2020", "mandt2017"])
def test_smoke_end_to_end(key, tmp_path):
    result, _ = smoke(key, tmp_path)
    assert all(claim["holds"] is None for claim in result["claims"])  # so few steps say nothing


def claims(module, parts):
    return [claim.check(parts)[0] for claim in module.PAGE.claims]


def tied(bound, numbers, rank, early):
    row = {"ELBO": bound, "scale parameters": numbers, "rank 1": 0.1, "rank 2": rank}
    return {"curve": {"train_bound": [early] * 10}, "measures": {"weights": {"rows": [row]}}}


def test_claims_about_few_scales_can_fail():
    def page(*two, numbers=50, rank=0.6, early=-2.0):
        full = {f"mean-field-{i}": tied(b, 1000, rank, -3.0) for i, b in enumerate((-1.0, -1.1))}
        return full | {f"2-tied-{i}": tied(b, numbers, 0.0, early) for i, b in enumerate(two)}

    assert claims(swiatkowski2020, page(-1.05, -1.1)) == [True] * 4
    assert claims(swiatkowski2020, page(-2.05, -2.1, numbers=500, rank=0.4, early=-4.0)) == [False] * 4
    assert claims(swiatkowski2020, {}) == [None] * 4
    alone = {name: part for name, part in page(-1.0).items() if name.endswith("-0")}
    assert claims(swiatkowski2020, alone) == [None] * 4  # one seed says nothing of noise


def test_claims_about_cold_posteriors_can_fail():
    def page(curated, control, cold=0.9):
        rows = [{"data": data, "temperature": 0.1, "gain": gain, "error of gain": 0.1, "networks": 5}
                for data, gain in ((wenzel2020.CURATED, curated), (wenzel2020.CONTROL, control))]  # fmt: skip
        runs = {"1": 0.8, "0.1": cold, "0": 0.95}
        parts = {f"temperature-{t}": {"label": f"T = {t}", "results": [{"nats": -1.0 + a, "accuracy": a}]}
                 for t, a in runs.items()}  # fmt: skip
        return parts | {"temperatures": {"rows": rows}}

    assert claims(wenzel2020, page(0.5, -0.5)) == [True, True, True]
    assert claims(wenzel2020, page(0.1, 0.5, cold=0.7)) == [False, False, False]
    assert claims(wenzel2020, {}) == [None] * 3


@pytest.mark.slow
def test_curated_rows_are_those_on_which_all_agree():
    """Rows on whose label ten labellers agree are those of which the network that gives the labels is sure."""
    network = wenzel2020.drawn_network(jr.key(0))
    chance = jax.jit(jax.vmap(lambda x, y: jnp.exp(network.generative.likelihood((), x).log_prob(y)).sum()))
    found = []
    for labellers in (1, 10):
        arrays = wenzel2020.labelled(jr.key(1), network, 300, labellers).arrays
        assert arrays.values.shape == (300, 1)
        found.append(float(chance(arrays.context.values, arrays.values).mean()))
    assert 0.5 < found[0] < 0.9 < found[1]


def test_claims_about_constant_steps_can_fail():
    def page(full, off, least, learned):
        kinds = zip(("full", "diagonal", "scalar"), (full, 1.0, 2.0), strict=True)
        found = [{"data": "d", "method": f"constant SGD, {kind}", "KL": kl, "KL predicted": kl - off, "floor": 0.01}
                 for kind, kl in kinds]  # fmt: skip
        found += [{"data": "d", "method": str(i), "KL": 1.0, "KL predicted": 1.0, "floor": 0.01} for i in range(9)]
        steps = [{"step": s, "kind": "measured", "KL": 1.0 + abs(np.log(s / least))} for s in (0.1, 0.5, 1.0, 5.0)]
        scores = [{"kind": "grid", "precision": p, "valid log score": -0.1 * p} for p in (1.0, 2.0, 3.0)]
        scores.append({"kind": "learned", "precision": 1.5, "valid log score": learned})
        tables = {"covariances": found, "steps": steps, "precisions": scores}
        return {name: {"rows": rows} for name, rows in tables.items()}

    assert claims(mandt2017, page(0.1, 0.01, 1.0, -0.11)) == [True] * 4
    assert claims(mandt2017, page(1.5, 1.0, 5.0, -0.5)) == [False] * 4
    assert claims(mandt2017, {}) == [None] * 4


@pytest.mark.parametrize("likelihood", ["gaussian", "bernoulli"])
def test_the_posterior_of_a_problem_is_its_optimum(likelihood):
    """The gradient of the loss vanishes, its Hessian is A, and the optimal step minimizes the predicted divergence."""
    of = problem("tiny", 0, rows=400, features=2, batch=20, likelihood=likelihood)
    y = np.asarray(of.source.arrays.values, np.float64)[:, 0]

    def slope(theta):
        linear = of.design @ theta
        fitted = linear if likelihood == "gaussian" else 1.0 / (1.0 + np.exp(-linear))
        return (of.design.T @ (fitted - y) + theta) / of.rows

    np.testing.assert_allclose(slope(of.mean), 0.0, atol=1e-12)
    numeric = np.stack([(slope(of.mean + e) - slope(of.mean - e)) / 2e-5 for e in 1e-5 * np.eye(3)])
    np.testing.assert_allclose(numeric, of.hessian, rtol=1e-6, atol=1e-9)
    kl = [normal_kl(Method("", **DESCENT, rate=rate).covariance(of), of.rows * of.hessian) for rate in (0.5, 1.0, 2.0)]
    assert min(kl) == kl[1]
