"""Tables of different kinds of columns: exact special cases, gaps, and files."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from scipy import special, stats

from nelbo.core import Example, InputError
from nelbo.models import build, load_model, save_model, skeleton
from nelbo.testing import check_model

KINDS = ["real", "positive", "binary", "words:3", "count", "student", "ordinal:4"]
SMALL = {"shape": [12], "kinds": KINDS, "latents": 2, "hidden": [3]}
SHARES = (0.1, 0.4, 0.3, 0.2)  # of the ordered levels in the training data
ROW = np.array([0.4, 2.5, 1.0, 0.0, 1.0, 0.0, 3.0, -0.7, 0.0, 1.0, 0.0, 0.0], np.float32)


@pytest.fixture(scope="module")
def model():
    centre = jnp.asarray([0.1, 0.5, 0.3, 0.2, 0.5, 0.3, 2.0, 0.4, *SHARES])
    spread = jnp.asarray([2.0, 0.5, 0.4, 0.4, 0.5, 0.4, 1.5, 3.0, 0.3, 0.5, 0.5, 0.4])
    return build(jr.key(0), "table", SMALL | {"centre": centre, "spread": spread})


@pytest.mark.slow
def test_it_obeys_the_laws(model):
    observed = jnp.asarray([True, True, False] + [True] * 9)
    check_model(model, jr.key(1), Example(jnp.asarray(ROW), observed), eager=False)


def test_before_it_is_trained_a_column_is_its_training_data(model):
    """With networks that give nothing, locations and chances are those of the centre."""
    head = model.generative.layers[0].head
    blank = head(jnp.zeros(head.size, jnp.float32))
    mean = np.asarray(blank.mean)
    np.testing.assert_allclose(mean[[0, 2, 3, 4, 5, 6, 7]], [0.1, 0.3, 0.2, 0.5, 0.3, 2.0, 0.4], rtol=1e-5)
    np.testing.assert_allclose(mean[8:], SHARES, rtol=1e-5)
    np.testing.assert_allclose(np.asarray(blank.loc)[1], 0.5, rtol=1e-6)  # of the logarithm


@pytest.mark.parametrize(("f", "moved"), [(0.0, 0.0), (1.3, -0.4), (-40.0, 2.0), (40.0, 30.0)])
def test_ordered_levels_have_cumulative_logits(model, f, moved):
    """Against SciPy in float64, in the far tails too: P(level k or below) = sigmoid(cut_k - f), cuts in their order."""
    head = model.generative.layers[0].head
    shift = np.array([moved, 0.5 * moved, -0.5 * moved])
    head = eqx.tree_at(lambda h: h.raw_scale, head, head.raw_scale.at[8:11].set(jnp.asarray(shift, jnp.float32)))
    found = head(jnp.zeros(head.size, jnp.float32).at[8].set(f))
    masses = np.asarray(found.log_prob(jnp.zeros(12).at[8:].set(1.0)), np.float64)[8:]
    start = special.logit(np.cumsum(SHARES)[:-1])
    assert abs(shift[1]) < 5 or moved == 30.0
    factors = np.exp(np.clip(shift[1:], -5, 5)) if moved != 30.0 else None
    assert abs(special.logsumexp(masses)) < 1e-5
    if factors is None:  # far beyond the bounds of the steps there is still an order, and no level has lost its mass
        assert np.isfinite(masses).all()
        return
    cuts = start[0] + shift[0] + np.concatenate([[0.0], np.cumsum(np.diff(start) * factors)]) - f
    below, above = stats.logistic.logcdf(cuts), stats.logistic.logsf(cuts)
    between = [below[k + 1] + above[k] + np.log1p(-np.exp(cuts[k] - cuts[k + 1])) for k in range(2)]
    np.testing.assert_allclose(masses, [below[0], *between, above[-1]], rtol=2e-5, atol=1e-5)


def test_what_a_gap_holds_is_never_read(model):
    observed = jnp.asarray([False, False] + [True] * 10)
    rows = [Example(jnp.asarray(ROW).at[:2].set(jnp.asarray(new)), observed) for new in ([7.0, 9.0], [-3.0, 0.0])]
    terms = eqx.filter_jit(lambda x: (model.draw(jr.key(1), x).log_w, model.recognition.see(x)))
    for found, other in zip(*(jax.tree.leaves(terms(row)) for row in rows), strict=True):
        np.testing.assert_array_equal(found, other)
    assert np.isfinite(terms(rows[0])[0])


def test_a_file_brings_it_back(model, tmp_path):
    save_model(tmp_path / "m.safetensors", model)
    again = load_model(tmp_path / "m.safetensors")
    assert eqx.tree_equal(again, model)


def test_impossible_tables_are_refused():
    for wrong in ({"kinds": ["real"]}, {"noise": "cell"}, {"missing": "zero"}, {"shape": [2, 3]}):
        with pytest.raises(InputError):
            skeleton("table", SMALL | wrong)
