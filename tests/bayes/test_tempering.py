"""Variational tempering against closed forms, quadrature and sums over temperatures."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from conjugate_cases import DOCUMENTS, ROWS, evidence_bound, tiny_lda, tiny_mixture, trained
from scipy.integrate import quad
from scipy.special import logsumexp
from scipy.stats import norm

from nelbo.bayes import Global, Grid, Local, Svi, tempered
from nelbo.core import InputError
from nelbo.models import gaussian_mixture
from nelbo.objectives import ObjectiveState

ONE = ROWS[:, :1]  # one entry
NOISE, SCALE = 0.7, 1.5


def one_mean():
    return gaussian_mixture(jr.key(0), (1,), components=1, noise=NOISE, scale=SCALE)


def log_volume(power, count):
    """log C(T) of `count` numbers around a mean: the integral over x does not depend on the mean."""
    return count * (0.5 * (1 - power) * np.log(2 * np.pi * NOISE**2) - 0.5 * np.log(power))


def log_tempered_evidence(rows, power):
    """Log of the integral over the mean of p(mean) prod p(x | mean)^power, by quadrature."""
    peak = power * norm.logpdf(rows[:, 0], rows.mean(), NOISE).sum()

    def density(mean):
        return norm.pdf(mean, 0.0, SCALE) * np.exp(power * norm.logpdf(rows[:, 0], mean, NOISE).sum() - peak)

    return peak + np.log(quad(density, -10, 10, epsabs=1e-12, points=[rows.mean()])[0])


def test_the_normalizer_of_a_normal_mean_is_the_closed_form_and_a_double_integral():
    tempering = Global(Grid(4.0, 3), len(ONE), draws=2)
    shared = one_mean().globals
    heat = tempering.init(jr.key(0), shared)
    found = shared.local.log_volume(heat.volumes, jnp.asarray(ONE[0]))
    powers = np.asarray(tempering.grid.powers)
    np.testing.assert_allclose(found, np.broadcast_to(log_volume(powers, 1), (2, 3)), rtol=1e-5)
    by_sum = [np.log(quad(lambda x, p=p: norm.pdf(x, 0.3, NOISE) ** p, -30, 30)[0]) for p in powers]
    np.testing.assert_allclose(log_volume(powers, 1), by_sum, atol=1e-6)


@eqx.filter_jit
def ascend(objective, model, data, key, steps):
    """Full-batch steps of length one: the model, the state of the temperatures, the losses."""

    def step(carry, _):
        natural, carried = carry

        def loss(natural):
            moved = eqx.tree_at(lambda m: m.globals.natural, model, natural)
            found, state = objective(jr.key(0), moved, data, ObjectiveState(carried=carried))
            return found.surrogate, (found, state.carried)

        slopes, (found, carried) = jax.grad(loss, has_aux=True)(natural)
        return (jax.tree.map(lambda n, g: n - g, natural, slopes), carried), found

    start = (model.globals.natural, objective.init(key, model).carried)
    (natural, carried), losses = jax.lax.scan(step, start, length=steps)
    return eqx.tree_at(lambda m: m.globals.natural, model, natural), carried, losses


def test_q_of_the_temperature_of_a_normal_mean_solves_its_equations_and_its_bound_is_below_the_exact_one():
    """Mean field between T and the mean: the fixed point by a NumPy loop, log Z by quadrature over each temperature."""
    grid, n = Grid(5.0, 7), len(ONE)
    model = one_mean()
    found, heat, losses = ascend(Svi(n, Global(grid, n, draws=1)), model, jnp.asarray(ONE), jr.key(1), 60)
    natural = found.globals.natural
    powers, rows = np.asarray(grid.powers, np.float64), ONE.astype(np.float64)
    q = np.full(7, 1 / 7)
    for _ in range(200):
        precision = 1 / SCALE**2 + q @ powers * n / NOISE**2
        mean, variance = q @ powers * rows.sum() / NOISE**2 / precision, 1 / precision
        energy = (norm.logpdf(rows, mean, NOISE) - 0.5 * variance / NOISE**2).sum()
        logits = powers * energy - log_volume(powers, n)
        q = np.exp(logits - logsumexp(logits))
    np.testing.assert_allclose(heat.q, q, rtol=2e-3)
    np.testing.assert_allclose(-2 * natural.squares[0, 0], precision, rtol=1e-4)
    last = jax.tree.map(lambda leaf: leaf[-1], losses)
    bound = n * float(last.metrics["tempered"] - last.metrics["shared_kl"] - last.metrics["temperature_cost"])
    exact = logsumexp([log_tempered_evidence(rows, p) - log_volume(p, n) for p in powers]) - np.log(7)
    assert exact - 0.2 < bound < exact


@pytest.mark.slow
def test_local_temperatures_of_a_normal_mean_solve_their_equations():
    """With b held: q(T) of each row by a NumPy loop; the row far out is hotter."""
    rows = np.array([[0.1], [-0.2], [9.0]], np.float32)
    grid, shared = Grid(10.0, 20), one_mean().globals
    local = Local(grid, draws=1)
    volumes = local.init(jr.key(0), shared)
    expected = shared.expected()
    found = np.asarray(local.powers(shared, expected, jnp.asarray(rows), volumes))
    mean, square = float(expected.means[0, 0]), float(expected.squares[0, 0])
    powers = np.asarray(grid.powers, np.float64)
    for x, power in zip(rows[:, 0].astype(np.float64), found, strict=True):
        energy = -0.5 * (x * x - 2 * x * mean + square) / NOISE**2 - 0.5 * np.log(2 * np.pi * NOISE**2)
        logits = powers * energy - log_volume(powers, 1)
        assert power == pytest.approx(np.exp(logits - logsumexp(logits)) @ powers, rel=1e-3)
    assert found[2] < 0.75 * found[0]


@pytest.mark.slow
@pytest.mark.parametrize("how", ["global", "local", "annealed"])
@pytest.mark.parametrize("make", [tiny_lda, tiny_mixture])
def test_one_temperature_is_variational_bayes(how, make):
    data = DOCUMENTS if make is tiny_lda else ROWS
    plain = trained(make(), data, steps=3, rate=0.5)
    one = tempered(how, highest=1.0, count=1, steps=2, num_data=len(data), draws=2)
    hot = trained(make(), data, steps=3, rate=0.5, objective=Svi(len(data), one))
    for a, b in zip(jax.tree.leaves(plain.model), jax.tree.leaves(hot.model), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_annealing_ends_at_one():
    anneal = tempered("annealed", highest=5.0, count=1, steps=4, num_data=3, draws=1)
    shared, counts = one_mean().globals, (jnp.asarray(i, jnp.int32) for i in (0, 2, 4, 9))
    found = [float(anneal.powers(shared, None, jnp.asarray(ONE), count)) for count in counts]
    np.testing.assert_allclose(found, [1 / 5, 1 / 3, 1.0, 1.0], rtol=1e-6)


def test_volumes_of_documents_are_sums_over_all_words():
    """One topic: the sum over documents of length 2 of p(x | topic)^power, for the drawn topics."""
    shared = tiny_lda(topics=1).globals
    powers = jnp.array([1.0, 0.5], jnp.float32)
    points = jax.vmap(lambda k: shared.draw(k, shared.prior))(jr.split(jr.key(0), 3))
    volumes = shared.local.volumes(jr.key(1), points, powers)
    found = shared.local.log_volume(volumes, jnp.array([1.0, 0.0, 1.0]))
    want = 2 * np.log((np.exp(np.asarray(points, np.float64))[:, 0, :, None] ** np.asarray(powers)).sum(1))
    np.testing.assert_allclose(found, want, atol=1e-4)


def clusters():
    """Eight clusters on a line: where two components share one of them, mean field stays."""
    rng = np.random.default_rng(1)
    return jnp.asarray(np.concatenate([rng.normal(c, 0.3, (20, 1)) for c in range(-7, 8, 2)]), jnp.float32)


def ends(objective, starts):
    """Bounds that training at a temperature, then at one, reaches."""
    data = clusters()
    cold = Svi(len(data))

    def one(key):
        key, hot_key, cold_key = jr.split(key, 3)
        model = gaussian_mixture(key, (1,), components=8, noise=0.3, scale=4.0)
        hot, _, _ = ascend(objective, model, data, hot_key, 60)
        found, _, _ = ascend(cold, hot, data, cold_key, 40)
        return evidence_bound(found, data)

    return np.asarray(jax.jit(jax.vmap(one))(jr.split(jr.key(7), starts)))


@pytest.mark.slow
def test_tempering_reaches_the_better_optimum_more_often():
    """From the same 16 starts. Were both equally good, 8 more good ends would come by luck once in 400."""
    n = len(clusters())
    plain, hot = ends(Svi(n), 16), ends(Svi(n, Global(Grid(10.0, 20), n, draws=16)), 16)
    best = max(plain.max(), hot.max()) - 5.0
    assert (hot > best).sum() >= (plain > best).sum() + 8


def test_impossible_temperatures_are_refused():
    with pytest.raises(InputError, match="Temperatures"):
        Grid(0.5, 3)
    with pytest.raises(InputError, match="tempering"):
        tempered("warm", highest=2.0, count=2, steps=1, num_data=1, draws=1)
    with pytest.raises(InputError, match="at least one draw"):
        tempered("local", highest=2.0, count=2, steps=1, num_data=1, draws=0)
