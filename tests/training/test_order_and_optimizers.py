import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from nelbo.core import InputError
from nelbo.training import DEFAULT_RATES, OPTIMIZERS, SCHEDULES, optimizer, padded_batches
from nelbo.training.order import Replacement, Reshuffled


@pytest.mark.parametrize(("size", "batch"), [(1, 1), (7, 7), (20, 6), (13, 12), (40, 1)])
def test_every_example_is_seen_once_a_pass(size, batch):
    steps = -(-3 * size // batch)
    flat = Reshuffled(jr.key(0), size, batch).feed(0, steps, steps).indices.ravel()
    for start in range(0, 3 * size, size):
        np.testing.assert_array_equal(np.sort(flat[start : start + size]), np.arange(size))


@pytest.mark.parametrize("kind", [Reshuffled, Replacement])
def test_passes_differ_and_any_cut_gives_the_same_order(kind):
    whole = kind(jr.key(0), 20, 6).feed(0, 10, 10).indices
    pieces = kind(jr.key(0), 20, 6)
    parts = [pieces.feed(0, 3, 3).indices, pieces.feed(3, 7, 9).indices[:7]]
    np.testing.assert_array_equal(np.concatenate(parts), whole)
    # a resumed run asks for the middle first
    np.testing.assert_array_equal(kind(jr.key(0), 20, 6).feed(7, 3, 3).indices, whole[7:])
    flat = whole.ravel()
    assert (flat[:20] != flat[20:40]).any()
    assert (kind(jr.key(1), 20, 6).feed(0, 10, 10).indices != whole).any()


def test_first_place_is_uniform():
    """H0: each of 5 examples comes first equally often; chi-square over 1000 passes, p > 1e-6."""
    import scipy.stats

    first = Reshuffled(jr.key(0), 5, 5).feed(0, 1000, 1000).indices[:, 0]
    assert scipy.stats.chisquare(np.bincount(first, minlength=5)).pvalue > 1e-6


def test_unused_rows_are_zero():
    for kind in (Reshuffled, Replacement):
        assert not kind(jr.key(0), 5, 2).feed(0, 3, 6).indices[3:].any()


def test_draws_with_replacement_are_independent_and_uniform():
    """H0: each of the 25 pairs in a batch of two is equally frequent; chi-square over 5000 batches, p > 1e-6."""
    import scipy.stats

    first, second = Replacement(jr.key(0), 5, 2).feed(0, 5000, 5000).indices.T
    assert scipy.stats.chisquare(np.bincount(5 * first + second, minlength=25)).pvalue > 1e-6


def test_noise_of_a_pass_is_zero_when_reshuffled_and_not_with_replacement():
    for kind, noise in ((Reshuffled, False), (Replacement, True)):
        counts = np.bincount(kind(jr.key(0), 20, 5).feed(0, 4, 4).indices.ravel(), minlength=20)
        assert bool((counts != 1).any()) is noise


@pytest.mark.parametrize(("size", "batch"), [(1, 1), (5, 2), (6, 3), (7, 100)])
def test_padded_batches_hold_every_index_once(size, batch):
    indices, real = padded_batches(size, batch)
    np.testing.assert_array_equal(indices[real], np.arange(size))
    assert not indices[~real].any()


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_goes_down_a_bowl(name):
    made = optimizer(name, learning_rate=0.05)
    start = jnp.array([1.0, -2.0])

    @jax.jit
    @jax.numpy_dtype_promotion("standard")
    def run(x):
        def step(carry, _):
            x, state = carry
            updates, state = made.update(jax.grad(lambda x: (x**2).sum())(x), state)
            return (optax.apply_updates(x, updates), state), None

        return jax.lax.scan(step, (x, made.init(x)), length=100)[0][0]

    assert float((run(start) ** 2).sum()) < 0.5 * float((start**2).sum())


def test_every_optimizer_has_a_usual_rate():
    assert set(DEFAULT_RATES) == set(OPTIMIZERS)


def first_step(made, gradient):
    return made.update(jnp.asarray(gradient), made.init(jnp.zeros(len(gradient))))[0]


@pytest.mark.slow
@settings(max_examples=20, deadline=None)
@given(
    gradients=arrays(np.float32, (6, 3), elements=st.floats(-1e3, 1e3, width=32)),
    schedule=st.sampled_from(sorted(SCHEDULES)),
)
def test_adam_takes_the_steps_of_optax(gradients, schedule):
    rate = SCHEDULES[schedule](0.1, 6)
    ours, theirs = optimizer("adam", learning_rate=0.1, schedule=schedule, steps=6), optax.adam(rate)
    mine, its = ours.init(jnp.zeros(3)), theirs.init(jnp.zeros(3))
    assert jax.tree.structure(mine) == jax.tree.structure(its)  # what was saved with one goes on with the other
    for gradient in gradients:
        with jax.numpy_dtype_promotion("standard"):
            step, mine = ours.update(jnp.asarray(gradient), mine)
            expected, its = theirs.update(jnp.asarray(gradient), its)
        np.testing.assert_allclose(step, expected, rtol=1e-5, atol=1e-9)


def test_adagrad_is_that_of_duchi_and_others():
    np.testing.assert_allclose(first_step(optimizer("adagrad", learning_rate=0.1), [3.0]), -0.1, rtol=1e-4)


def test_clipping_bounds_the_norm():
    step = first_step(optimizer("sgd", learning_rate=1.0, clip=0.5), [3.0, 4.0])
    np.testing.assert_allclose(step, [-0.3, -0.4], rtol=1e-5)


@pytest.mark.parametrize("name", SCHEDULES)
def test_schedules_start_at_the_rate_and_end_where_they_say(name):
    schedule = SCHEDULES[name](0.1, 200)
    values = [float(schedule(t)) if callable(schedule) else schedule for t in (0, 100, 200)]
    falling = [0.1 * (1.0 + t) ** -0.7 for t in (0, 100, 200)]
    wanted = {"constant": [0.1, 0.1, 0.1], "robbins-monro": falling}.get(name, [0.1, 0.0505, 0.001])
    np.testing.assert_allclose(values, wanted, rtol=1e-4)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"name": "adagard"}, "did you mean 'adagrad'"),
        ({"schedule": "cosin"}, "did you mean 'cosine'"),
        ({"learning_rate": 0.0}, "must be a positive number"),
        ({"learning_rate": float("nan")}, "must be a positive number"),
    ],
)
def test_impossible_settings_are_refused(options, words):
    with pytest.raises(InputError, match=words):
        optimizer(**options)
