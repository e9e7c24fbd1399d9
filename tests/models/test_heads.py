"""Scales stay finite and positive whatever a network gives, are what the head says in between, and can come back."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
import pytest

from nelbo.distributions import Normal
from nelbo.models import (
    LIKELIHOODS,
    DiscretizedLogisticHead,
    NormalHead,
    SharedNormalHead,
    StandardizedHead,
    likelihood_head,
    posterior_head,
    soft_bound,
    vae,
)
from nelbo.nets import trainable
from nelbo.objectives import Sgvb

WILD = [-1e30, -1e4, -300.0, 0.0, 300.0, 1e4, 1e30]


@pytest.mark.slow
def test_a_soft_bound_is_the_number_itself_inside_and_smooth_and_rising_beyond():
    inside = jnp.linspace(-2.0, 3.0, 101)
    np.testing.assert_array_equal(soft_bound(inside, (-2.0, 3.0)), inside)
    x = jnp.linspace(-40.0, 40.0, 4001)
    value, slope, curve = (jax.vmap(f)(x) for f in _derivatives(lambda t: soft_bound(t, (-2.0, 3.0))))
    assert value.min() > -3.0
    assert value.max() < 4.0
    assert slope.min() > 1e-4  # a unit 37 beyond its bound still moves
    assert slope.max() <= 1.0
    assert np.abs(np.diff(curve)).max() < 0.2  # the second derivative does not jump (5 along each unit of x)
    assert np.isfinite(soft_bound(jnp.array([-jnp.inf, jnp.inf]), (-2.0, 3.0))).all()


def _derivatives(f):
    return f, jax.grad(f), jax.grad(jax.grad(f))


@pytest.mark.share(4)
@pytest.mark.parametrize("name", [name for name in LIKELIHOODS if name not in ("categorical", "multinomial")])
def test_no_output_of_a_network_makes_a_likelihood_infinite(name):
    head = likelihood_head(name, (len(WILD),))
    heads = [head]
    if isinstance(head(jnp.zeros(head.size)), Normal):
        heads.append(StandardizedHead(head, jnp.full(len(WILD), 0.01), jnp.full(len(WILD), 0.1)))
    wild = jnp.asarray(WILD * head.planes)
    if name not in ("bernoulli", "beta-binomial"):
        wild = wild.at[: len(WILD)].set(0.3)  # wild scales under a tame location
    for one in heads:
        total = lambda raw, one=one: one(raw).log_prob(jnp.ones(len(WILD))).sum()  # noqa: E731
        value, slope = jax.jit(jax.value_and_grad(total))(wild)
        assert np.isfinite(value)
        assert np.isfinite(slope).all()


@pytest.mark.share(2)
@pytest.mark.parametrize("name", ["diagonal", "rank-one", "low-rank", "full"])
def test_no_log_variance_makes_a_posterior_infinite(name):
    head = posterior_head(name, 3, rank=2)

    def draw(log_variance):
        q = head(jnp.full(head.size, 0.1).at[3:6].set(log_variance))
        z = q.sample(jr.key(0))
        return q.log_prob(z).sum() + (z**2).sum()

    values, slopes = jax.jit(jax.vmap(jax.value_and_grad(draw)))(jnp.asarray(WILD))
    assert np.isfinite(values).all()
    assert np.isfinite(slopes).all()


def test_scales_in_their_ranges_are_what_they_were_before_there_were_bounds():
    """Saved models and frozen streams mean the same."""
    raw = jnp.asarray([0.2, -0.4, 1.5, -4.9, 0.0, 5.9])
    np.testing.assert_array_equal(NormalHead((3,), min_scale=0.01)(raw).scale, 0.01 + jnp.exp(0.5 * raw[3:]))
    np.testing.assert_array_equal(DiscretizedLogisticHead((3,))(raw).scale, 0.05 + 16.0 * jnp.exp(raw[3:]))
    inner, spread = NormalHead((3,), min_scale=0.01), jnp.asarray([0.1, 2.0, 7.0])
    small = raw.at[5].set(1.0)
    made = StandardizedHead(inner, jnp.zeros(3), spread)(small)
    np.testing.assert_array_equal(made.scale, spread * inner(small).scale)


def test_a_standardized_normal_is_at_most_14_spreads_wide():
    head = StandardizedHead(likelihood_head("gaussian", (4,)), jnp.zeros(4), jnp.full(4, 0.1))
    scale = head(jnp.asarray([0.0] * 4 + [2.0, 5.0, 20.0, 1e4])).scale / 0.1
    assert (np.diff(scale) > 0).all()
    assert scale[-1] < 14.0


def test_a_trained_scale_is_bounded_too():
    head = SharedNormalHead((2,), learn=True)
    for raw in WILD:
        made = jax.tree.map(lambda leaf, raw=raw: jnp.full_like(leaf, raw), head)(jnp.zeros(2))
        assert np.isfinite(made.scale).all()
        assert (made.scale > 0).all()


def test_bounds_of_the_logistic_cost_a_honest_pixel_next_to_nothing():
    """A pixel that is always 100 is worth log 1, one that is 0 or 255 at even chances log 1/2."""
    sharp = DiscretizedLogisticHead((1,))(jnp.asarray([(100.0 - 127.5) / 127.5, -30.0]))
    assert -0.015 < float(sharp.log_prob(jnp.full(1, 100.0))[0]) < 0.0
    wide = DiscretizedLogisticHead((1,))(jnp.asarray([0.0, 30.0]))
    assert float(wide.log_prob(jnp.zeros(1))[0]) == pytest.approx(np.log(0.5), abs=0.01)


def photographs(count=64):
    """Smooth 8-bit colour patterns, bright on the whole as photographs are."""
    smooth = jnp.cumsum(jnp.cumsum(jr.normal(jr.key(0), (count, 12, 12, 3)), 1), 2)
    return jnp.round(jnp.clip(150.0 + 12.0 * smooth, 0.0, 255.0))


@pytest.mark.slow
@pytest.mark.parametrize("likelihood", ["discretized-logistic", "beta-binomial"])
@pytest.mark.parametrize("activation", ["relu", pytest.param("gelu", marks=pytest.mark.slow)])
def test_bytes_that_reach_the_recognition_network_unscaled_do_not_end_training(likelihood, activation):
    """Before there were bounds the first step was NaN: log variances of several hundreds."""
    x = photographs()
    model = vae(jr.key(1), (12, 12, 3), latents=20, hidden=(200,), likelihood=likelihood, activation=activation)
    objective, optimizer = Sgvb("B"), optax.adam(1e-3)
    bounds = _train(objective, optimizer, model, x)
    assert np.isfinite(bounds).all()
    assert bounds[-1] > bounds[0]


def _train(objective, optimizer, model, x, steps=40):
    params, static = eqx.partition(model, trainable(model))

    def step(carry, key):
        params, memory = carry

        def loss(p):
            out, _ = objective(key, eqx.combine(p, static), x, objective.init(jr.key(5), model))
            return out.surrogate, out.bound

        slopes, bound = jax.grad(loss, has_aux=True)(params)
        updates, memory = optimizer.update(slopes, memory)
        return (optax.apply_updates(params, updates), memory), bound.mean()

    start = (params, optimizer.init(params))
    with jax.numpy_dtype_promotion("standard"):  # Optax's own
        return np.asarray(jax.jit(lambda keys: jax.lax.scan(step, start, keys))(jr.split(jr.key(2), steps))[1])
