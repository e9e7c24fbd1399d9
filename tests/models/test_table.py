"""Tables of different kinds of columns: exact special cases, gaps, and files."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from nelbo.core import Example, InputError
from nelbo.models import build, load_model, save_model, skeleton
from nelbo.testing import check_model

KINDS = ["real", "positive", "binary", "words:3", "count", "student"]
SMALL = {"shape": [8], "kinds": KINDS, "latents": 2, "hidden": [3]}
ROW = np.array([0.4, 2.5, 1.0, 0.0, 1.0, 0.0, 3.0, -0.7], np.float32)


@pytest.fixture(scope="module")
def model():
    centre = jnp.asarray([0.1, 0.5, 0.3, 0.2, 0.5, 0.3, 2.0, 0.4])
    spread = jnp.asarray([2.0, 0.5, 0.4, 0.4, 0.5, 0.4, 1.5, 3.0])
    return build(jr.key(0), "table", SMALL | {"centre": centre, "spread": spread})


def test_it_obeys_the_laws(model):
    observed = jnp.asarray([True, True, False, True, True, True, True, True])
    check_model(model, jr.key(1), Example(jnp.asarray(ROW), observed), eager=False)


def test_before_it_is_trained_a_column_is_its_training_data(model):
    """With networks that give nothing, locations and chances are those of the centre."""
    head = model.generative.layers[0].head
    blank = head(jnp.zeros(head.size, jnp.float32))
    mean = np.asarray(blank.mean)
    np.testing.assert_allclose(mean[[0, 2, 3, 4, 5, 6, 7]], [0.1, 0.3, 0.2, 0.5, 0.3, 2.0, 0.4], rtol=1e-5)
    np.testing.assert_allclose(np.asarray(blank.loc)[1], 0.5, rtol=1e-6)  # of the logarithm


def test_what_a_gap_holds_is_never_read(model):
    observed = jnp.asarray([False, False, True, True, True, True, True, True])
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
