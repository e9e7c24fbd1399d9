"""What is said of a filling that cannot be trusted, and what is not said of one that can."""

import dataclasses

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from test_impute import OBSERVED, SIZE, X, one_row, pair

from nelbo.core import Example
from nelbo.data import Source
from nelbo.models import factor_analysis
from nelbo.tasks import Columns, Imputation, ImputationSettings, impute
from nelbo.tasks.cautions import cautions

KNOWN = Columns(trained=np.ones(SIZE, bool))  # every column was there in training
NARROW = {"bias": 1.5, "widen": 0.3}  # a shifted q, narrower than the posterior


def filled(key, model, data, **settings):
    return impute(key, model, data, ImputationSettings(**settings), columns=KNOWN)


@pytest.mark.slow
def test_a_chain_that_hardly_moves_says_so_and_names_what_to_use():
    _, model = pair(**NARROW)
    result = filled(jr.key(0), model, one_row(20), method="metropolis", draws=4)
    (said,) = result.warnings
    assert "metropolis took fewer than 5% of its proposals in" in said
    assert "use hmc or importance" in said
    assert result.accepted < 0.1
    _, right = pair()
    assert filled(jr.key(0), right, one_row(20), method="metropolis", draws=4).warnings == ()


@pytest.mark.slow
def test_few_effective_proposals_are_said():
    _, model = pair(**NARROW)
    (said,) = filled(jr.key(0), model, one_row(20), method="importance", draws=4, proposals=5).warnings
    assert "importance rests on fewer than 10 effective proposals in 20 of 20 rows" in said
    assert filled(jr.key(0), model, one_row(20), method="importance", draws=4).warnings == ()


@pytest.mark.slow
def test_the_default_is_right_and_silent_where_metropolis_is_neither():
    """H0: the default's mean is the exact one; |z| < 5 over 200 rows, fixed seed. Metropolis fails by far."""
    exact, model = pair(**NARROW)
    mean, covariance = exact.conditional(X.astype(np.float64), OBSERVED)
    scale, z = np.sqrt(np.diag(covariance)), {}
    for method in (None, "metropolis"):
        result = filled(jr.key(0), model, one_row(200), method=method, draws=4)
        rows = (result.mean[:, ~OBSERVED] - mean) / scale
        z[result.method] = np.abs(rows.mean(0) / (rows.std(0, ddof=1) / np.sqrt(len(rows)))).max()
        assert bool(result.warnings) == (result.method == "metropolis")
    assert z["hmc"] < 5
    assert z["metropolis"] > 10


def table(rows=30, hidden_column=None):
    """Rows that follow the model of `pair`, with a tenth missing."""
    exact, model = pair()
    rng = np.random.default_rng(0)
    values = rng.multivariate_normal(exact.b, exact.covariance, rows).astype(np.float32)
    observed = rng.random((rows, SIZE)) < 0.9
    if hidden_column is not None:
        observed[:, hidden_column] = False
    return model, Source(Example(jnp.asarray(values), jnp.asarray(observed)), "real", dynamic=False)


@pytest.mark.slow
def test_a_column_that_is_never_there_is_named():
    model, data = table(hidden_column=3)
    settings = ImputationSettings("importance", draws=3)
    (soft,) = impute(jr.key(0), model, data, settings).warnings
    assert "No row has column 4: its numbers come from training alone" in soft
    trained = np.array([True, True, True, False, True])
    names = ["age", "height", "weight", "shoe size", "pulse"]
    (hard,) = impute(jr.key(0), model, data, settings, columns=Columns(names, trained)).warnings
    assert "No training row had column 'shoe size'" in hard
    assert "invented" in hard
    known = Columns(names, np.ones(SIZE, bool))
    assert impute(jr.key(0), model, data, settings, columns=known).warnings == ()
    model, whole = table()
    assert impute(jr.key(0), model, whole, settings).warnings == ()


@pytest.mark.slow
def test_a_spread_that_ran_away_is_said_and_mean_and_draws_agree_within_chance():
    """The scale of column 2 is 3000 where its values are zeros and ones: as a Gaussian head learned it once."""
    model = factor_analysis(jr.key(0), (SIZE,), latents=2, scale=0.8)
    layer = lambda m: m.generative.layers[0].head.raw_scale  # noqa: E731
    scale = np.full(SIZE, 0.8)
    scale[1] = 3000.0
    model = eqx.tree_at(layer, model, layer(model) + jnp.log(jnp.asarray(scale / 0.8, jnp.float32)))
    rng = np.random.default_rng(0)
    values = rng.normal(size=(40, SIZE)).astype(np.float32)
    values[:, 1] = rng.random(40) < 0.1
    observed = rng.random((40, SIZE)) < 0.7
    data = Source(Example(jnp.asarray(values), jnp.asarray(observed)), "real", dynamic=False)
    result = filled(jr.key(0), model, data, draws=19)
    said, *more = result.warnings
    assert all(sentence.startswith("Filled means of column") for sentence in more)  # the model was not trained
    assert "Intervals of column 2 reach far beyond all values given" in said
    assert "do not use its intervals or draws" in said
    hidden = ~observed
    off = (result.draws.mean(0) - result.mean)[hidden] / (result.std[hidden] / np.sqrt(19))
    # H0: Student t of about 18 degrees, 60 of them; |t| < 6.5, false alarm 3e-4
    assert np.abs(off).max() < 6.5


@pytest.mark.parametrize(("two", "beyond", "said"), [(True, 0.2, 1), (True, 0.04, 0), (False, 0.2, 0), (False, 0.7, 1)])
def test_a_filled_mean_outside_the_range_of_all_values_is_said_in_the_users_numbers(two, beyond, said):
    given = np.ones((30, 2), bool)
    given[7, 1] = False
    mean = np.tile(np.arange(30.0)[:, None] % 2 if two else np.linspace(0.0, 1.0, 30)[:, None], (1, 2))
    mean[7, 1] = 1.0 + beyond
    result = Imputation(mean, np.zeros_like(mean), mean, mean, mean[None], given, "importance", None, 0)
    settings = ImputationSettings("importance", draws=3, proposals=10)
    columns = Columns(["age", "is ill"], np.ones(2, bool), np.array([0.0, 100.0]))
    found = cautions(result, given, settings, columns, real=True)
    assert len(found) == said
    if said:
        assert "Filled means of column 'is ill' lie outside" in found[0]
        assert f"from {101 + beyond:.4g} to {101 + beyond:.4g}, where values go from 100 to 101" in found[0]
    assert cautions(result, given, settings, columns, real=False) == ()
    # of a column that is constant there is no range
    level = np.ones((30, 2))
    level[7, 1] += 1e-3
    constant = dataclasses.replace(result, mean=level, low=np.ones((30, 2)), high=np.ones((30, 2)))
    assert cautions(constant, given, settings, columns, real=True) == ()


@pytest.mark.slow
def test_empty_rows_and_single_draws_are_said():
    _, model = pair()
    nothing = one_row(3, np.zeros(SIZE, np.float32), np.zeros(SIZE, bool))
    said = filled(jr.key(3), model, nothing, draws=1).warnings
    assert any("3 rows have no observed entry" in sentence for sentence in said)
    assert any("One draw has no spread" in sentence for sentence in said)


@pytest.mark.parametrize("count", [1, 7])
def test_the_listing_of_columns_is_short(count):
    which = np.zeros(9, bool)
    which[:count] = True
    assert Columns().listing(which) == {1: "column 1", 7: "columns 1, 2, 3, 4, 5 and 2 more"}[count]
