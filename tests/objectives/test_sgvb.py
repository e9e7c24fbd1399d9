"""What the law suite does not say about SGVB: variances, weights, refusals."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
import zoo

from nelbo.bayes import WithGlobals, shared_parameters
from nelbo.core import InputError
from nelbo.nets import trainable
from nelbo.objectives import Loss, ObjectiveState, Sgvb


def gradients(objective, model, batch, draws=500, state=None):
    """`draws` replicates of the gradient of the surrogate, as one matrix of floats per part of the model."""
    params, static = eqx.partition(model, trainable(model))
    state = objective.init(jr.key(0), model) if state is None else state

    @jax.jit
    @jax.vmap
    def many(key):
        return jax.grad(lambda p: objective(key, eqx.combine(p, static), batch, state)[0].surrogate)(params)

    grads = many(jr.split(jr.key(3), draws))
    flat = [np.asarray(leaf, np.float64).reshape(draws, -1) for leaf in jax.tree.leaves(grads.recognition)]
    return np.concatenate(flat, axis=1), grads


def test_path_form_has_no_variance_at_the_posterior_and_form_b_has():
    case = zoo.with_exact_posterior(zoo.linear_gaussian(latents=1))
    path, _ = gradients(Sgvb("path"), case.model, case.batch)
    closed, _ = gradients(Sgvb("B"), case.model, case.batch)
    assert np.abs(path).max() < 1e-3
    assert closed.std(0).max() > 0.1


def test_the_bound_is_the_evidence_in_every_draw_at_the_posterior():
    case = zoo.with_exact_posterior(zoo.linear_gaussian(latents=1))
    bounds = eqx.filter_jit(Sgvb("A").bounds)(jr.key(0), case.model, case.batch)
    exact = [case.log_evidence(case.model, x) for x in case.examples]
    np.testing.assert_allclose(bounds, exact, rtol=1e-5)


@pytest.mark.share(3)
@pytest.mark.parametrize("form", ["A", "B", "path"])
def test_beta_weighs_the_kl_part_of_the_surrogate_and_not_the_bound(form):
    case = zoo.linear_stack()
    for beta in (0.0, 0.3):
        loss, _ = eqx.filter_jit(Sgvb(form, beta=beta))(
            jr.key(1), case.model, case.batch, ObjectiveState(carried=jnp.zeros((), jnp.int32))
        )
        kl, reconstruction = loss.metrics["kl"], loss.metrics["reconstruction"]
        np.testing.assert_allclose(loss.surrogate, beta * kl - reconstruction, rtol=1e-5)
        np.testing.assert_allclose(loss.bound, reconstruction - kl, rtol=1e-5)


@pytest.mark.slow
def test_beta_can_follow_the_step():
    case = zoo.linear_gaussian()
    annealed = Sgvb("B", beta=lambda step: step.astype(jnp.float32) / 10.0)
    state = annealed.init(jr.key(0), case.model)
    for step in range(3):
        loss, state = annealed(jr.key(1), case.model, case.batch, state)
        expected = step / 10 * loss.metrics["kl"] - loss.metrics["reconstruction"]
        np.testing.assert_allclose(loss.surrogate, expected, rtol=1e-5)
    assert int(state.carried) == 3


def test_more_samples_divide_the_variance():
    """Var of the mean of 4 is a quarter; a variance of 4000 normal draws has relative error 2.2 %, allowed 5 times."""
    case = zoo.linear_gaussian()

    def variance(count, key):
        one = jax.jit(jax.vmap(lambda k: Sgvb("A", num_samples=count).bounds(k, case.model, case.batch)))
        return np.asarray(one(jr.split(key, 4000)), np.float64).var(0)

    ratio = variance(1, jr.key(0)) / variance(4, jr.key(1))
    # log w of a wrong posterior is a quadratic form with heavier tails than a normal: twice the normal's error
    np.testing.assert_allclose(ratio, 4.0, rtol=5 * 0.022 * 2 * 2**0.5)


@pytest.mark.share(2)
@pytest.mark.parametrize("rows", [1, 3])
def test_the_weight_prior_counts_once_per_data_set(rows):
    """Its gradient is theta / (scale^2 N) for the generative model, whatever the batch, and zero elsewhere."""
    case = zoo.linear_gaussian()
    batch = case.batch[:rows]
    plain, prior = Sgvb("B"), WithGlobals(Sgvb("B"), num_data=50)
    shared = shared_parameters(case.model, posterior="delta", prior_scale=2.0, where="generative")
    _, without = gradients(plain, case.model, batch, draws=1)
    _, with_prior = gradients(prior, shared, batch, draws=1)
    sides = [(m.generative, m.recognition) for m in (with_prior, without)]
    generative, recognition = jax.tree.map(lambda a, b: np.asarray(a - b)[0], *sides)
    for got, theta in zip(jax.tree.leaves(generative), jax.tree.leaves(case.model.generative), strict=True):
        np.testing.assert_allclose(got, theta / (4.0 * 50), atol=2e-6)
    assert not any(leaf.any() for leaf in jax.tree.leaves(recognition))
    state = ObjectiveState(carried=jnp.zeros((), jnp.int32))
    losses = [eqx.filter_jit(o)(jr.key(0), m, batch, state)[0] for o, m in ((plain, case.model), (prior, shared))]
    assert float(losses[0].bound) == float(losses[1].bound)


def test_impossible_settings_are_refused():
    with pytest.raises(InputError, match="choose one of A, B, path"):
        Sgvb("C")
    with pytest.raises(InputError, match="at least one sample"):
        Sgvb(num_samples=0)


def test_loss_keeps_what_is_reported_apart_from_what_is_differentiated():
    assert set(Loss.__dataclass_fields__) == {"surrogate", "bound", "metrics"}
