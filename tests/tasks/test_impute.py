"""Imputation on linear-Gaussian models, where the conditional of what is missing is known exactly."""

import dataclasses

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from nelbo.core import Example, InputError
from nelbo.data import Source
from nelbo.distributions import reading
from nelbo.models import factor_analysis, sbn, vae
from nelbo.tasks import METHODS, ImputationSettings, chain_frames, hide, imputation_scores, impute, spoiled
from nelbo.tasks.completions import resampled
from nelbo.tasks.evidence import Evidence

SIZE, LATENTS = 5, 2
X = np.array([1.2, 0.0, -0.7, 0.0, 0.4], np.float32)
OBSERVED = np.array([True, False, True, False, True])


@dataclasses.dataclass(frozen=True)
class Exact:
    """p(x) = N(b, W W' + diag(scale^2))."""

    w: np.ndarray
    b: np.ndarray
    scale: float

    @property
    def covariance(self):
        return self.w @ self.w.T + self.scale**2 * np.eye(SIZE)

    def conditional(self, x, seen):
        c = self.covariance
        gain = c[np.ix_(~seen, seen)] @ np.linalg.inv(c[np.ix_(seen, seen)])
        return self.b[~seen] + gain @ (x[seen] - self.b[seen]), c[np.ix_(~seen, ~seen)] - gain @ c[np.ix_(seen, ~seen)]


def filled(key, model, data, **settings):
    return impute(key, model, data, ImputationSettings(**settings))


def pair(bias: float = 0.0, widen: float = 1.0):
    """A factor analysis with noise 0.8 whose q is the exact posterior, or one with a wrong mean and a wider scale."""
    rng = np.random.default_rng(0)
    exact = Exact(rng.normal(size=(SIZE, LATENTS)), 0.5 * rng.normal(size=SIZE), 0.8)
    covariance = np.linalg.inv(np.eye(LATENTS) + exact.w.T @ exact.w / exact.scale**2)
    gain = covariance @ exact.w.T / exact.scale**2
    lower = widen * np.linalg.cholesky(covariance)
    rest = np.concatenate([2 * np.log(np.diag(lower)), lower[np.tril_indices(LATENTS, -1)] * np.sqrt(LATENTS)])
    model = factor_analysis(jr.key(0), (SIZE,), latents=LATENTS, scale=exact.scale)
    new = (exact.w.T, exact.b, gain.T, bias - gain @ exact.b, rest)
    return exact, eqx.tree_at(
        lambda m: (
            m.generative.layers[0].net.layers[0].kernel,
            m.generative.layers[0].net.layers[0].bias,
            m.recognition.layers[0].net.layers[0].kernel,
            m.recognition.layers[0].net.layers[0].bias,
            m.recognition.layers[0].head.rest,
        ),
        model,
        tuple(jnp.asarray(part, jnp.float32) for part in new),
    )


def one_row(copies: int = 1, x=X, observed=OBSERVED) -> Source:
    rows = Example(jnp.asarray(np.tile(x, (copies, 1))), jnp.asarray(np.tile(observed, (copies, 1))))
    return Source(rows, "real", dynamic=False)


def z_scores(draws, mean, covariance):
    """Of the means and second moments of independent draws (count, d)."""
    count, centred = len(draws), draws - mean
    first = centred.mean(0) / np.sqrt(np.diag(covariance) / count)
    spread = np.sqrt((covariance**2 + np.outer(np.diag(covariance), np.diag(covariance))) / count)
    second = (centred.T @ centred / count - covariance) / spread
    return np.abs(np.concatenate([first, second[np.triu_indices(len(mean))]])).max()


CASES = {
    "chain with the exact q": ("chain", {}, True),
    "chain with a wrong q": ("chain", {"bias": 0.3, "widen": 1.3}, False),
    "metropolis with a wrong q": ("metropolis", {"bias": 0.3, "widen": 1.3}, True),
    "resample with a wrong q": ("resample", {"bias": 0.8, "widen": 1.5}, True),
    "importance with a wrong q": ("importance", {"bias": 0.8, "widen": 1.5}, True),
    "hmc with a wrong q": ("hmc", {"bias": 0.8, "widen": 1.5}, True),
}


@pytest.mark.slow
@pytest.mark.parametrize(
    "case", [pytest.param(case, marks=pytest.mark.slow) if case.startswith("resample") else case for case in CASES]
)
def test_draws_follow_the_exact_conditional_unless_an_uncorrected_chain_has_a_wrong_q(case):
    """H0: independent draws from the exact conditional; 5 z-scores, |z| < 5, false alarm 3e-6 a case, fixed seed.

    The chain with a wrong q must fail the same test, by far.
    """
    method, wrong, right = CASES[case]
    exact, model = pair(**wrong)
    copies = 4000
    result = filled(jr.key(1), model, one_row(copies), method=method, steps=5 if method == "resample" else 60,
                    draws=1, proposals=2 if method == "hmc" else 100)  # fmt: skip
    mean, covariance = exact.conditional(X.astype(np.float64), OBSERVED)
    score = z_scores(result.draws[0][:, ~OBSERVED].astype(np.float64), mean, covariance)
    assert score < 5 if right else score > 15
    assert (result.draws[0][:, OBSERVED] == X[OBSERVED]).all()
    if method in {"metropolis", "hmc"}:
        assert 0.1 < result.accepted < 0.98


@pytest.mark.slow
@pytest.mark.parametrize("method", [pytest.param("resample", marks=pytest.mark.slow), "importance"])
def test_weighted_means_are_the_conditional_ones(method):
    """4000 proposals, weighted: within 0.1 of the exact conditional mean, whose standard deviations are near one."""
    exact, model = pair(bias=0.3, widen=1.3)
    result = filled(jr.key(1), model, one_row(3), method=method, steps=2, draws=1, proposals=4000)
    mean, covariance = exact.conditional(X.astype(np.float64), OBSERVED)
    assert np.diag(covariance).min() > 0.3
    np.testing.assert_allclose(result.mean[:, ~OBSERVED], np.broadcast_to(mean, (3, len(mean))), atol=0.1)


@pytest.mark.slow
def test_chains_that_ran_away_have_no_weight():
    """Of ten chains three ended in no number. 4000 proposals, as above: their mean without them is the exact one."""
    exact, model = pair(bias=0.3, widen=1.3)
    ends = jnp.asarray(np.tile(X, (10, 1))).at[:3].set(jnp.nan).at[3, 1].set(jnp.inf)
    evidence = Evidence(Example(jnp.asarray(X), jnp.asarray(OBSERVED)))
    found = resampled(jr.key(1), model, evidence, Example(ends), 20, proposals=4000)
    mean, _ = exact.conditional(X.astype(np.float64), OBSERVED)
    np.testing.assert_allclose(found.mean[~OBSERVED], mean, atol=0.1)
    assert np.isfinite(found.drawn.x).all()


@pytest.mark.slow
def test_means_over_hamiltonian_chains_are_the_conditional_ones():
    """H0: the mean over rows is the exact one; 2 t-scores of 100 rows, |t| < 5, false alarm 5e-6, fixed seed."""
    exact, model = pair(bias=0.3, widen=1.3)
    result = filled(jr.key(1), model, one_row(100), method="hmc", steps=60, draws=4, proposals=10)
    mean, covariance = exact.conditional(X.astype(np.float64), OBSERVED)
    found = result.mean[:, ~OBSERVED].astype(np.float64)
    spread = found.std(0, ddof=1)
    assert (np.abs(found.mean(0) - mean) < 5 * spread / np.sqrt(100)).all()
    assert (spread < 0.5 * np.sqrt(np.diag(covariance) / 4)).all()  # a chain's mean knows more than its last draw
    belief = sbn(jr.key(0), (SIZE,), layers=(2,))
    with pytest.raises(InputError, match="real-valued latents"):
        filled(jr.key(0), belief, one_row(1, np.ones(SIZE, np.float32)), method="hmc")


@pytest.mark.slow
def test_the_exact_posterior_is_always_accepted():
    _, model = pair()
    result = filled(jr.key(1), model, one_row(50), method="metropolis", steps=5, draws=4)
    assert result.accepted > 0.999


@pytest.mark.slow
def test_intervals_cover_what_they_state_and_spreads_are_the_conditional_ones():
    """H0: 90 % coverage of data drawn from the model; z over 600 rows (clustered errors), |z| < 5, fixed seed."""
    exact, model = pair(bias=0.5, widen=1.3)
    rng = np.random.default_rng(1)
    rows = 600
    truth = rng.multivariate_normal(exact.b, exact.covariance, rows).astype(np.float32)
    observed = rng.random((rows, SIZE)) < 0.5
    data = hide(Source(Example(jnp.asarray(truth)), "real", dynamic=False), observed)
    result = filled(jr.key(2), model, data, steps=40, draws=19, proposals=20)
    inside = ((truth >= result.low) & (truth <= result.high)) & ~observed
    counts = (~observed).sum(1)
    excess = inside.sum(1) - 0.9 * counts
    assert abs(excess.sum() / np.sqrt((excess**2).sum())) < 5
    scores = imputation_scores(truth, result)
    assert scores["coverage"] == pytest.approx(inside.sum() / counts.sum())
    assert scores["hidden"] == counts.sum()
    assert (result.mean[observed] == truth[observed]).all()
    assert (result.std[observed] == 0).all()
    some = np.flatnonzero((counts > 0) & (counts < SIZE))[:40]
    best = [exact.conditional(truth[i].astype(np.float64), observed[i])[0] - truth[i][~observed[i]] for i in some]
    ours = [(result.mean[i] - truth[i])[~observed[i]] for i in some]
    # 19 draws add at most 1/19 to the least squares error, plus noise
    assert np.mean(np.concatenate(ours) ** 2) < 1.2 * np.mean(np.concatenate(best) ** 2)


@pytest.mark.slow
@pytest.mark.share(6)
@pytest.mark.parametrize("method", [name for name, method in METHODS.items() if method.of_latents])
def test_a_row_with_nothing_observed_is_a_draw_from_the_prior(method):
    """H0: N(b, W W' + noise); 20 z-scores, |z| < 5, false alarm 1e-5, fixed seed; q is wrong on purpose."""
    exact, model = pair(bias=0.8, widen=1.5)
    nothing = one_row(3000, np.zeros(SIZE, np.float32), np.zeros(SIZE, bool))
    result = filled(jr.key(3), model, nothing, method=method, steps=3, draws=1, proposals=5)
    assert result.empty == 3000
    assert z_scores(result.draws[0].astype(np.float64), exact.b, exact.covariance) < 5


def test_complete_rows_come_back_and_bad_input_is_one_sentence():
    _, model = pair()
    complete = Source(Example(jnp.asarray(np.tile(X, (3, 1)))), "real", dynamic=False)
    result = filled(jr.key(0), model, complete, draws=2)
    assert (result.draws == X[None, None]).all()
    assert (result.std == 0).all()
    assert result.accepted is None
    with pytest.raises(InputError, match=r"shape \[3, 4\]; \[3, 5\], or \[5\] for all rows alike"):
        hide(complete, np.ones((3, 4), bool))
    with pytest.raises(InputError, match="True or 1 where an entry is observed"):
        hide(complete, np.full(SIZE, 0.5))
    with pytest.raises(InputError, match="did you mean 'metropolis'"):
        filled(jr.key(0), model, complete, method="metropolitan")
    with pytest.raises(InputError, match="at least 1 for steps, got 0"):
        filled(jr.key(0), model, complete, steps=0)
    binary = vae(jr.key(0), (SIZE,), latents=2, hidden=(3,))
    with pytest.raises(InputError, match=r"needs zeros and ones .* but these reach from -0\.7 to 1\.2"):
        filled(jr.key(0), binary, complete)
    counts = vae(jr.key(0), (SIZE,), latents=2, hidden=(3,), likelihood="beta-binomial")
    with pytest.raises(InputError, match="whole numbers from 0 to 255"):
        filled(jr.key(0), counts, complete)


def test_hiding_adds_to_what_is_missing_and_takes_one_mask_for_all_rows():
    data = hide(one_row(3), np.array([0, 1, 1, 1, 1]))
    assert (np.asarray(data.arrays.observed) == (OBSERVED & [False, True, True, True, True])).all()
    assert (np.asarray(data.arrays.values)[~np.asarray(data.arrays.observed)] == 0).all()
    grey = Source(Example(jnp.ones((2, 3, 3, 1), jnp.uint8)), "uint8", dynamic=False)
    assert hide(grey, np.eye(3, dtype=bool)).arrays.observed.shape == (2, 3, 3, 1)


@pytest.mark.slow
@pytest.mark.parametrize(
    "method", ["metropolis", pytest.param("resample", marks=pytest.mark.slow), "importance", "hmc"]
)
def test_noisy_readings_give_the_exact_conditional_of_the_clean_values(method):
    """H0: draws of x given y = x + N(0, 0.6^2) in the observed entries; 20 z-scores, |z| < 5, false alarm 1e-5."""
    exact, model = pair(bias=0.3, widen=1.3)
    noise, copies = 0.6, 4000
    result = filled(jr.key(1), model, one_row(copies), method=method, steps=5 if method == "resample" else 60,
                    draws=1, proposals=2 if method == "hmc" else 100, noise="gaussian", rate=noise)  # fmt: skip
    c, y = exact.covariance, X.astype(np.float64)
    gain = c[:, OBSERVED] @ np.linalg.inv(c[np.ix_(OBSERVED, OBSERVED)] + noise**2 * np.eye(OBSERVED.sum()))
    mean, covariance = exact.b + gain @ (y - exact.b)[OBSERVED], c - gain @ c[OBSERVED]
    assert z_scores(result.draws[0].astype(np.float64), mean, covariance) < 5
    assert not result.observed.any()
    assert result.empty == 0


def test_readings_of_bits_follow_bayes_rule():
    """P(x | z, y) and p(y | z) of flipped bits against their enumeration; other likelihoods are refused."""
    model = vae(jr.key(0), (SIZE,), latents=2, hidden=(3,))
    z = (jnp.array([0.5, -1.0]),)
    y = np.array([1.0, 0.0, 1.0, 1.0, 0.0])
    read = np.array([True, True, False, True, True])
    evidence = Evidence(Example(jnp.asarray(y * read, jnp.float32), jnp.asarray(read)), reading("bit-flip", 0.2))
    p = np.asarray(model.generative.likelihood(z).mean, np.float64)
    one, zero = np.where(y == 1, 0.8, 0.2) * p, np.where(y == 1, 0.2, 0.8) * (1 - p)
    found = evidence.hidden(model.generative, z).mean
    np.testing.assert_allclose(found, np.where(read, one / (one + zero), p), rtol=1e-5)
    log_p = evidence.log_prob(model.generative, z)
    assert float(log_p[0]) == pytest.approx(np.log(one + zero)[read].sum(), rel=1e-5)
    np.testing.assert_allclose(log_p[1], model.generative.log_prob(evidence.x, z)[1])
    data = Source(Example(jnp.asarray(np.tile(y, (400, 1)), jnp.float32)), "binary", dynamic=False)
    flipped = np.asarray(spoiled(jr.key(1), data, "bit-flip", 0.2).arrays.values) != y
    assert abs(flipped.mean() - 0.2) < 5 * np.sqrt(0.16 / flipped.size)
    with pytest.raises(InputError, match="gaussian readings need a Gaussian likelihood"):
        filled(jr.key(0), model, data, noise="gaussian", rate=0.1)
    with pytest.raises(InputError, match="must be between 0 and 1, got 1"):
        filled(jr.key(0), model, data, noise="bit-flip", rate=1.0)
    with pytest.raises(InputError, match="Only zeros and ones have bits"):
        spoiled(jr.key(1), one_row(2), "bit-flip", 0.2)


def test_the_frames_of_a_chain_start_at_random_keep_what_is_observed_and_end_in_means():
    _, model = pair()
    batch = one_row(2).arrays
    frames = chain_frames(jr.key(0), model, batch, steps=4)
    assert frames.shape == (2, 5, SIZE)
    assert (frames[:, :, OBSERVED] == X[OBSERVED]).all()
    assert len(np.unique(frames[:, :, 1])) == 10
