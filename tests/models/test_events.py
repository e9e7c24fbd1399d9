"""Models of events: what depends on what, and draws from them."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from scipy.stats import kstest, norm

from nelbo.core import Example, InputError
from nelbo.models import PROCESSES, build, load_model, save_model

VALUE = jnp.array([[0.0, 1.0], [0.5, 0.0], [1.5, 2.0], [0.2, 1.0], [0.0, 0.0]])
OBSERVED = jnp.array([[False, True], [True, True], [True, True], [True, True], [False, False]])


def made(name, **options):
    return build(jr.key(0), name, {"shape": [5, 2], "marks": 3, "state_size": 4, **options})


@eqx.filter_jit
def log_prob(model, value, observed):
    return model.log_prob(Example(value, observed))


@pytest.mark.slow
@pytest.mark.parametrize("process", PROCESSES)
def test_padding_and_the_time_of_the_first_event_change_nothing(process):
    model = made("point-process", process=process)
    usual = log_prob(model, VALUE, OBSERVED)
    np.testing.assert_allclose(log_prob(model, VALUE.at[4].set(77.0), OBSERVED), usual, rtol=1e-6)
    shorter = made("point-process", process=process, shape=[4, 2])
    np.testing.assert_allclose(log_prob(shorter, VALUE[:4], OBSERVED[:4]), usual, rtol=1e-5)
    if process != "rmtpp":
        return
    # the last event changes what is said of itself, not of those before it
    terms = model.generative.layers[0](()).process(VALUE).terms(VALUE, OBSERVED)
    other = VALUE.at[3].set(jnp.array([9.0, 0.0]))
    changed = model.generative.layers[0](()).process(other).terms(other, OBSERVED)
    for a, b in zip(terms, changed, strict=True):
        np.testing.assert_allclose(a[:3], b[:3], rtol=1e-6)
        assert a[3] != b[3]


def test_the_first_event_of_an_unknown_beginning_has_a_mark_and_no_time():
    times, kinds = made("point-process").generative.layers[0](()).process(VALUE).terms(VALUE, OBSERVED)
    assert times[0] == times[4] == kinds[4] == 0.0
    assert (kinds[:4] < 0).all()


@pytest.mark.share(2)
@pytest.mark.parametrize("process", PROCESSES)
def test_draws_have_residuals_of_an_exponential(process):
    """600 gaps; Kolmogorov and Smirnov's test at 1e-4, which is its false alarm."""
    model = made("point-process", process=process, shape=[6, 2])
    layer = model.generative.layers[0]

    @jax.jit
    def residuals(keys):
        value = jax.vmap(lambda key: layer(()).sample(key))(keys)
        return jax.vmap(lambda x: layer(()).process(x).residuals(x, jnp.ones(x.shape, bool)))(value)

    found, events = map(np.asarray, residuals(jr.split(jr.key(3), 100)))
    assert events.sum() > 300
    if process == "rmtpp":  # a falling intensity may end a sequence: those residuals are cut off
        found, events = found[events.all(1)], events[events.all(1)]
        assert (found >= 0).all()
        return
    assert kstest(found[events], "expon").pvalue > 1e-4


def test_a_user_is_read_from_other_sequences():
    model = made("events", latents=2, experts=3)
    other = jnp.concatenate([jnp.where(OBSERVED, VALUE, 0.0), OBSERVED.astype(jnp.float32)], 1)
    beside = jnp.stack([other, other.at[1, 0].set(3.0), jnp.zeros_like(other)])

    @jax.jit
    def mixture(value, context, z):
        posterior = model.posterior(Example(value, OBSERVED, context=context))
        return posterior.log_prob((z,)), posterior.part(0, ()).mean, model.recognition.inner.layers[0]((context[1],))

    z = jnp.array([0.3, -0.7])
    both, _, one = mixture(VALUE, beside, z)
    only, _, first = mixture(VALUE, jnp.stack([jnp.zeros_like(other), other, jnp.zeros_like(other)]), z)
    alone, mean, _ = mixture(VALUE, jnp.zeros_like(beside), z)
    log_normal = lambda q: norm.logpdf(z, q.mean, np.sqrt(q.variance)).sum()  # noqa: E731
    np.testing.assert_allclose(both, np.logaddexp(log_normal(first), log_normal(one)) - np.log(2), rtol=1e-5)
    np.testing.assert_allclose(only, log_normal(first), rtol=1e-5)
    np.testing.assert_allclose(alone, norm.logpdf(z).sum(), rtol=1e-6)  # the prior
    assert (mean == 0.0).all()
    np.testing.assert_array_equal(mixture(VALUE + 1.0, beside, z)[0], both)  # what is scored is not looked at
    with pytest.raises(InputError, match="other sequences"):
        model.posterior(Example(VALUE, OBSERVED))
    for options in ({"experts": -1}, {"intensity": "slow"}):
        with pytest.raises(InputError, match=next(iter(options))):
            made("events", **options)


@pytest.mark.slow
def test_latents_of_users_are_read_by_q_and_set_the_process():
    model = made("events", latents=2)
    x = Example(VALUE, OBSERVED)
    draw = model.draw(jr.key(1), x)
    assert draw.z[0].shape == (2,)
    padded = model.draw(jr.key(1), Example(VALUE.at[4].set(5.0), OBSERVED))
    np.testing.assert_allclose(padded.log_w, draw.log_w, rtol=1e-6)
    other = model.generative.log_prob(x, (draw.z[0] + 1.0,))
    assert other[0] != draw.log_p[0]
    with pytest.raises(InputError, match="no mean"):
        _ = model.generative.likelihood(draw.z).mean


def test_files_give_the_same_model(tmp_path):
    for name, options in (
        ("events", {"latents": 2}),
        ("events", {"intensity": "neural-hawkes", "experts": 2}),
        *(("point-process", {"process": one}) for one in PROCESSES),
    ):
        model = made(name, **options)
        save_model(tmp_path / "model.safetensors", model)
        found = load_model(tmp_path / "model.safetensors")
        assert all(bool((a == b).all()) for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(model), strict=True))


def test_a_long_gap_is_no_catastrophe_for_a_new_model():
    """The intensity has no slope at first, whatever the latents: with a random one this gap overflowed."""
    model = made("events", latents=2)
    value = VALUE.at[2, 0].set(100.0)
    for z in (-3.0, 3.0):
        times, _ = model.generative.layers[0]((jnp.full(2, z),)).process(value).terms(value, OBSERVED)
        assert times.min() > -1e4
