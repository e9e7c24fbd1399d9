"""`Model.log_prob`: latents integrated or summed out, against NumPy and enumeration."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
import scipy.stats
import zoo
from oracles_discrete import Network

from nelbo.core import Example, InputError
from nelbo.models import factor_analysis, linear, sbn, vae

log_prob = eqx.filter_jit(lambda model, x: model.log_prob(x))


@pytest.mark.share(2)
@pytest.mark.parametrize(
    "name", ["linear-gaussian", "linear-gaussian-masked", "linear-stack", "nade", "eonade", "rbm", "mixture"]
)
def test_it_is_the_oracles(name):
    case = zoo.MODELS[name]()
    found = jax.jit(jax.vmap(case.model.log_prob))(case.batch)
    np.testing.assert_allclose(found, [case.log_evidence(case.model, x) for x in case.examples], rtol=1e-5)


def test_binary_latents_are_enumerated():
    model = sbn(jr.key(3), (4,), layers=(3, 2), init=0.8)
    x = np.array([1.0, 0.0, 1.0, 1.0])
    assert float(log_prob(model, jnp.asarray(x, jnp.float32))) == pytest.approx(
        Network(model).log_evidence(x), rel=1e-5
    )


def test_a_spread_and_a_centre_change_the_units_and_nothing_else():
    """Factor analysis in the data's units: N(c + S W z + S b, S s^2 S)."""
    centre, spread = jnp.array([10.0, -3.0, 0.5]), jnp.array([2.0, 30.0, 0.01])
    model = zoo.randomized(
        factor_analysis(jr.key(0), (3,), latents=2, centre=centre, spread=spread), jr.key(1), scale=0.3
    )
    layer, scale = model.generative.layers[0], np.asarray(spread, float)
    weight = scale[:, None] * np.asarray(layer.net.layers[0].weight, float)
    noise = scale * np.exp(np.asarray(layer.head.inner.raw_scale, float))
    mean = np.asarray(centre, float) + scale * np.asarray(layer.net.layers[0].bias, float)
    x = mean + 0.7 * scale
    exact = scipy.stats.multivariate_normal(mean, weight @ weight.T + np.diag(noise**2)).logpdf(x)
    assert float(log_prob(model, jnp.asarray(x, jnp.float32))) == pytest.approx(exact, rel=1e-4)


def test_a_row_with_nothing_observed_has_log_probability_zero():
    model = linear(jr.key(0), (3,), latents=2)
    nothing = Example(jnp.zeros(3), jnp.zeros(3, bool))
    assert float(log_prob(model, nothing)) == pytest.approx(0.0, abs=1e-6)


def test_other_models_are_refused_in_one_sentence():
    with pytest.raises(InputError, match="no closed form"):
        vae(jr.key(0), (3,), latents=2, hidden=(3,)).log_prob(jnp.zeros(3))
    with pytest.raises(InputError, match="at most 16 binary latents, this model has 17"):
        sbn(jr.key(0), (3,), layers=(17,)).log_prob(jnp.zeros(3))
