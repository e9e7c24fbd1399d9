"""Stochastic variational inference against closed forms, enumeration and a NumPy recursion."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from conjugate_cases import (
    DOCUMENTS,
    ROWS,
    evidence_bound,
    factorial_evidence,
    lda_evidence,
    log_dirichlet_multinomial,
    mixture_evidence,
    normal_evidence,
    tiny_factorial,
    tiny_lda,
    tiny_mixture,
    trained,
)
from scipy.special import digamma

from nelbo.bayes import Svi
from nelbo.core import InputError
from nelbo.models import vae
from nelbo.training import optimizer

CASES = {
    "lda": (tiny_lda, DOCUMENTS, lambda: lda_evidence(DOCUMENTS, 2, 0.7, 0.4)),
    "mixture": (tiny_mixture, ROWS, lambda: mixture_evidence(ROWS, 2, 0.7, 1.5, 1.3)),
    "factorial": (tiny_factorial, ROWS, lambda: factorial_evidence(ROWS, 2, 0.7, 1.2, 1.5)),
}


def test_one_full_batch_step_of_length_one_is_the_exact_posterior_of_a_dirichlet_multinomial():
    """With one topic no word has a choice: Dir(eta + counts), whose bound is the evidence."""
    model = trained(tiny_lda(topics=1), DOCUMENTS, steps=1).model
    np.testing.assert_allclose(model.globals.natural, 0.4 + DOCUMENTS.sum(0)[None], rtol=1e-6)
    evidence = log_dirichlet_multinomial(DOCUMENTS.sum(0), 0.4)
    assert float(evidence_bound(model, DOCUMENTS)) == pytest.approx(evidence, abs=1e-4)
    again = trained(model, DOCUMENTS, steps=3, rate=0.3).model
    np.testing.assert_allclose(again.globals.natural, model.globals.natural, rtol=1e-6)


def test_one_full_batch_step_of_length_one_is_the_exact_posterior_of_a_normal_mean():
    model = trained(tiny_mixture(components=1), ROWS, steps=1).model
    shared = model.globals
    precision = 1 / 1.5**2 + len(ROWS) / 0.7**2
    np.testing.assert_allclose(-2 * shared.natural.squares, np.full((1, 2), precision), rtol=1e-6)
    np.testing.assert_allclose(shared.mean().means[0], ROWS.sum(0) / 0.7**2 / precision, rtol=1e-5)
    assert float(evidence_bound(model, ROWS)) == pytest.approx(normal_evidence(ROWS, 0.7, 1.5), abs=1e-4)


@pytest.mark.share(4)
@pytest.mark.parametrize("name", CASES)
def test_coordinate_ascent_never_lowers_the_bound_and_stays_below_the_evidence(name):
    make, data, evidence = CASES[name]
    model, bounds = make(), []
    for _ in range(6):
        bounds.append(float(evidence_bound(model, data)))
        model = trained(model, data, steps=2).model
    assert min(np.diff(bounds)) > -1e-4
    assert bounds[-1] > bounds[0] + 0.1
    exact = evidence()
    assert max(bounds) < exact
    assert bounds[-1] > exact - 0.3 * abs(exact)  # and not far below: a bound of minus infinity would pass otherwise


@pytest.mark.share(4)
@pytest.mark.parametrize("name", CASES)
def test_the_fitted_q_is_a_maximum_and_its_slopes_are_the_expected_statistics(name):
    """Slopes of the bound by finite differences, q(z) fitted anew each time (the envelope theorem)."""
    make, data, _ = CASES[name]
    shared = make().globals
    expected, x, power = shared.expected(), jnp.asarray(data[0]), jnp.asarray(0.6, jnp.float32)

    @jax.jit
    def bound(expected, x, power):
        return shared.local.bound(expected, x, power)

    slope, energy = jax.jit(jax.grad(bound, (0, 2)))(expected, x, power)
    step = 1e-2
    found = (bound(expected, x, power + step) - bound(expected, x, power - step)) / (2 * step)
    assert float(energy) == pytest.approx(float(found), rel=2e-3)
    leaves, structure = jax.tree.flatten(expected)
    for i, leaf in enumerate(leaves):
        direction = jr.normal(jr.key(i), leaf.shape)
        direction = direction + direction.T if direction.ndim == 2 and len(leaf) == leaf.shape[1] else direction
        ends = [bound(jax.tree.unflatten(structure, [*leaves[:i], leaf + s * direction, *leaves[i + 1 :]]), x, power)
                for s in (step, -step)]  # fmt: skip
        along = float((jax.tree.leaves(slope)[i] * direction).sum())
        assert along == pytest.approx(float(ends[0] - ends[1]) / (2 * step), rel=5e-3, abs=2e-3)


def test_other_proportions_are_no_better():
    """The bound of a document at its fitted q(proportions) is above that at 200 others."""
    shared = tiny_lda().globals
    x, one, expected = jnp.asarray(DOCUMENTS[0]), jnp.ones(()), shared.expected()
    q = shared.local.posterior(expected, x, one)
    scales = jnp.exp(0.2 * jr.normal(jr.key(0), (200, 2)))
    at = jax.jit(jax.vmap(lambda s: shared.local.bound_of(type(q)(q.concentration * s), expected, x, one)))
    best = float(shared.local.bound_of(q, expected, x, one))
    assert float(at(scales).max()) < best
    assert float(at(scales).min()) < best - 1e-3


def recursion(targets, start, rate, window):
    """Mandt and Blei (2014), algorithm 1, as a loop."""
    natural = np.asarray(start, np.float64)
    for t, target in enumerate(targets):
        mean = np.mean(targets[max(0, t + 1 - window) : t + 1], axis=0)
        natural = natural + rate(t) * (mean - natural)
        del target
    return natural


@pytest.mark.parametrize("window", [1, 3])
def test_the_optimizer_is_the_recursion(window):
    """Window one is stochastic variational inference; three averages targets, one and two at the start."""
    targets = np.random.default_rng(0).gamma(2.0, size=(8, 4)).astype(np.float32)
    rule = optimizer("natural", schedule="robbins-monro", delay=2.0, forgetting=0.6, window=window)
    params = jnp.ones(4)
    state = rule.init(params)
    for target in targets:
        moves, state = rule.update(params - target, state, params)
        params = params + moves
    want = recursion(targets.astype(np.float64), np.ones(4), lambda t: (2.0 + t) ** -0.6, window)
    np.testing.assert_allclose(params, want, rtol=2e-6)


def test_a_window_of_one_is_svi_by_hand_on_minibatches():
    """Lambda <- (1 - rho) lambda + rho (eta + N s), with the responsibilities of a mixture in NumPy."""
    model = tiny_mixture()
    found = trained(model, ROWS, steps=1, rate=0.25).model.globals.natural
    shared = model.globals
    weights, means, squares = (np.asarray(leaf, np.float64) for leaf in shared.natural)
    middle, variance = -0.5 * means / squares, -0.5 / squares
    rows = ROWS.astype(np.float64)
    energies = digamma(weights) - digamma(weights.sum()) - 0.5 / 0.7**2 * (
        (rows[:, None] - middle) ** 2 + variance
    ).sum(-1)  # fmt: skip
    share = np.exp(energies - energies.max(1, keepdims=True))
    share /= share.sum(1, keepdims=True)
    want = [1.3 + share.sum(0), share.T @ rows / 0.7**2, -0.5 / 1.5**2 - 0.5 / 0.7**2 * share.sum(0)[:, None] * np.ones((1, 2))]  # fmt: skip  # noqa: E501
    for old, new, got in zip((weights, means, squares), want, found, strict=True):
        np.testing.assert_allclose(got, 0.75 * old + 0.25 * new, rtol=1e-5)


def test_what_is_not_conjugate_is_refused():
    with pytest.raises(InputError, match="conjugate posterior"):
        Svi(10).init(jr.key(0), vae(jr.key(0), (3,), latents=1, hidden=(2,)))
    with pytest.raises(InputError, match="window"):
        optimizer("adam", window=3)
    with pytest.raises(InputError, match="at most 1"):
        optimizer("natural", learning_rate=2.0)
