"""Perturbative bounds against quadrature on a normal of one dimension."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import oracles
import pytest
import scipy.optimize
import zoo

from nelbo.core import InputError
from nelbo.nets import trainable
from nelbo.objectives import ObjectiveState, Perturbative, best_reference, perturbative_bound, taylor
from nelbo.objectives.perturbative import Energies
from nelbo.testing import assert_unbiased

NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(60)
WEIGHTS = WEIGHTS / WEIGHTS.sum()


def series(d, order):
    """The definition, in float64."""
    return sum(d**k / float(np.prod(np.arange(1, k + 1))) for k in range(order + 1))


def log_bound(energies, weights, order):
    """The highest log L_K over all reference energies, at which the mean of (V0 - V)^K is zero."""
    best = scipy.optimize.brentq(lambda v: weights @ (v - energies) ** order, energies.min(), energies.max(), xtol=1e-9)
    return np.log(weights @ series(best - energies, order)) - best


def energies_of(model, x):
    """V at the nodes of a quadrature under q, for one latent."""
    oracle, (up,) = zoo.gaussian_oracle(model), [zoo.affine(layer) for layer in model.recognition.layers]
    mean, scale = up.weight @ x + up.bias, up.scale
    values = []
    for node in NODES:
        z = mean + scale * node
        log_q = oracles.normal_log_density(z, mean, np.diag(scale**2))
        values.append(log_q - oracle.log_joint(x, [z]).sum())
    return np.array(values)


@pytest.fixture(scope="module")
def case():
    return zoo.linear_gaussian(latents=1)


def test_higher_orders_are_tighter_and_stay_below_the_evidence(case):
    for x in np.asarray(case.batch, np.float64):
        energies, evidence = energies_of(case.model, x), zoo.gaussian_log_evidence(case.model, x)
        bounds = [log_bound(energies, WEIGHTS, order) for order in (1, 3, 5)]
        assert bounds[0] == pytest.approx(zoo.gaussian_elbo(case.model, x), abs=1e-6)
        assert bounds[0] < bounds[1] < bounds[2] < evidence


@pytest.mark.parametrize("order", [1, 3, 5])
def test_the_bound_of_some_draws_is_the_series_at_its_best_reference(order):
    energies = np.random.default_rng(order).normal(100.0, 2.0, 40)
    equal = np.full(40, 1 / 40)
    found = float(perturbative_bound(jnp.asarray(energies, jnp.float32), order))
    assert found == pytest.approx(log_bound(energies, equal, order), abs=1e-3)
    root = float(best_reference(jnp.asarray(energies, jnp.float32), order))
    assert ((root - energies) ** order).sum() == pytest.approx(0.0, abs=1e-3 * (np.abs(root - energies) ** order).sum())
    assert found <= np.logaddexp.reduce(-energies) - np.log(40)
    d = np.linspace(-3, 3, 50)
    np.testing.assert_allclose(taylor(jnp.asarray(d, jnp.float32), order), series(d, order), rtol=1e-4, atol=1e-4)


@pytest.mark.share(2)
@pytest.mark.parametrize("order", [1, 3])
def test_gradients_for_q_and_for_the_reference_are_those_of_the_quadrature(case, order):
    """Without the factor e^-V0, over 20000 draws; a coordinate fails by chance once in 1.7 million."""
    objective, x = Perturbative(order, num_samples=4), case.batch[:1]
    energies = energies_of(case.model, np.asarray(x[0], np.float64))
    v0 = float(WEIGHTS @ energies) - 0.3
    zero = jax.tree.map(
        lambda a: jnp.zeros_like(a) if eqx.is_inexact_array(a) else a, objective.init(jr.key(0), case.model)
    )
    one = jnp.ones((), jnp.float32)
    state = ObjectiveState(zero.trained, Energies(v0 * one, (v0**2 + 1.0) * one, one))
    params, static = eqx.partition(
        (case.model.recognition, state.trained), trainable((case.model.recognition, state.trained))
    )

    def loss(p, k):
        recognition, trained = eqx.combine(p, static)
        model = eqx.tree_at(lambda m: m.recognition, case.model, recognition)
        return objective(k, model, x, ObjectiveState(trained, state.carried))[0].surrogate

    grads, of_reference = jax.jit(jax.vmap(jax.grad(loss), (None, 0)))(params, jr.split(jr.key(3), 20_000))
    (layer,) = grads.layers

    def scaled_bound(shift):
        """L_K e^V0 as a function of q's bias and log scale, and of V0."""
        places = lambda m: (m.recognition.layers[0].net.layers[0].bias, m.recognition.layers[0].head.raw_scale)  # noqa: E731
        moved = eqx.tree_at(
            places,
            case.model,
            tuple(np.asarray(a, np.float64) + s for a, s in zip(places(case.model), shift[:2], strict=True)),
        )
        values = energies_of(moved, np.asarray(x[0], np.float64))
        return np.exp(-shift[2]) * (WEIGHTS @ series(v0 + shift[2] - values, order))

    exact = -oracles.gradient(scaled_bound, np.zeros(3))
    assert_unbiased(layer.net.layers[0].bias, exact[:1], what="bias of q")
    assert_unbiased(layer.head.raw_scale, exact[1:2], what="log scale of q")
    assert_unbiased(of_reference.layers[-1].bias, exact[2:], what="reference energy")


def best_scale(order, noise, weights, log_p):
    """Standard deviation of the best independent normal around zero."""

    def negative(log_scale):
        log_q = -0.5 * (noise**2).sum(1) - noise.shape[1] * log_scale
        return -log_bound(log_q - log_p(np.exp(log_scale) * noise), weights, order)

    return np.exp(scipy.optimize.minimize_scalar(negative, bounds=(-1.5, 1.0), method="bounded").x)


def test_the_third_order_covers_heavy_tails_that_the_first_cuts_off():
    """Student's t with 5 degrees of freedom: more than its own standard deviation, as tails weigh in w."""
    first, third = (best_scale(k, NODES[:, None], WEIGHTS, lambda z: -3 * np.log1p(z[:, 0] ** 2 / 5)) for k in (1, 3))
    assert first < (5 / 3) ** 0.5 < third


def test_on_a_correlated_normal_the_orders_agree_on_independent_scales():
    """N(0, [[1, .9], [.9, 1]]): the third order is stationary where KL is least, for its terms cancel there."""
    precision = np.linalg.inv(np.array([[1.0, 0.9], [0.9, 1.0]]))
    grid, weights = np.stack(np.meshgrid(NODES, NODES), -1).reshape(-1, 2), np.outer(WEIGHTS, WEIGHTS).ravel()
    for order in (1, 3):
        found = best_scale(order, grid, weights, lambda z: -0.5 * np.einsum("ni,ij,nj->n", z, precision, z))
        assert found == pytest.approx(precision[0, 0] ** -0.5, abs=1e-4)


def test_even_orders_are_no_bounds_and_refused():
    with pytest.raises(InputError, match="odd"):
        Perturbative(2)
    with pytest.raises(InputError, match="sample"):
        Perturbative(3, num_samples=0)
