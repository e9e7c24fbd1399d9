"""Estimators in scikit-learn's company: pipelines, searches without compilation, tables, files."""

import io

import jax
import joblib
import numpy as np
import pandas as pd
import pytest
from compiling import compilations
from scipy import stats
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from nelbo.core import InputError
from nelbo.estimators import SBN, VAE, NoveltyDetector, TableImputer, load
from nelbo.runs import open_run
from nelbo.tasks import pool

SMALL = {"epochs": 2, "num_samples": 2, "random_state": 0}


@pytest.fixture(autouse=True)
def _as_users_have_it():
    # optax's Adam mixes types, which the strict setting of the tests refuses
    with jax.numpy_dtype_promotion("standard"):
        yield


@pytest.fixture(scope="module")
def numbers():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, 3))
    x[:, 2] = x[:, 0] + 0.1 * rng.normal(size=40)
    x[0, 2] = np.nan
    return x


@pytest.fixture(scope="module")
def people(numbers):
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({"name": [f"p{i}" for i in range(40)], "height": 170 + 10 * numbers[:, 0],
                          "kids": pd.array(rng.integers(0, 5, 40), "Int64"), "town": rng.choice(["Graz", "Wien"], 40)})  # fmt: skip  # noqa: E501
    frame.loc[1, "height"] = np.nan
    frame.loc[[1, 2], "kids"] = pd.NA
    frame.loc[1, "town"] = None
    return frame


@pytest.fixture(scope="module")
def code(numbers):
    with jax.numpy_dtype_promotion("standard"):
        return VAE(1, (4,), **SMALL).fit(numbers)


@pytest.fixture(scope="module")
def imputer(people):
    with jax.numpy_dtype_promotion("standard"):
        return TableImputer(1, (4,), draws=2, method="chain", **SMALL).fit(people)


@pytest.mark.slow
def test_a_table_comes_back_whole_with_its_types(people, imputer):
    filled = imputer.transform(people)
    known = people.notna()
    assert filled.notna().all().all()
    assert filled.dtypes.equals(people.dtypes)
    assert filled.where(known).equals(people)
    assert set(filled["town"]) <= {"Graz", "Wien"}
    assert list(imputer.get_feature_names_out()) == list(people.columns)
    low, high = imputer.intervals(people)
    assert (np.isnan(low) == known[["height", "kids", "town"]].to_numpy()).all()
    assert (low[1, 0] <= high[1, 0]).all()
    assert list(imputer.sample(3)) == ["height", "kids", "town"]


@pytest.mark.slow
def test_completed_tables_are_pooled(people, imputer):
    tables = imputer.impute(people, draws=3)
    found = pool(lambda table: (table["height"].mean(), table["height"].var() / len(table)), tables)
    assert found.low < found.estimate < found.high


@pytest.mark.slow
def test_columns_are_matched_by_scikit_learns_rule(people, imputer):
    with pytest.raises(ValueError, match="feature names should match"):
        imputer.transform(people.rename(columns={"town": "city"}))


def comes_back(estimator, x, folder):
    """By joblib and by nelbo's own files, with the same answers."""
    expected = estimator.transform(x)
    stream = io.BytesIO()
    joblib.dump(estimator, stream)
    stream.seek(0)
    estimator.save(folder)
    for again in (joblib.load(stream), load(folder)):
        assert again.get_params() == estimator.get_params()
        pd.testing.assert_frame_equal(pd.DataFrame(again.transform(x)), pd.DataFrame(expected))


@pytest.mark.slow
def test_files_bring_a_table_back(people, imputer, tmp_path):
    comes_back(imputer, people, tmp_path / "run")
    assert open_run(tmp_path / "run").model.spec.name == "table"


def test_files_bring_an_estimator_back(numbers, code, tmp_path):
    comes_back(code, numbers, tmp_path / "run")
    assert open_run(tmp_path / "run").model.spec.name == "vae"
    with pytest.raises(InputError, match="is a run already"):
        code.save(tmp_path / "run")
    with pytest.raises(InputError, match="no estimator"):
        load(tmp_path)
    assert not vars(clone(code)).keys() & {"run_", "n_features_in_"}


@pytest.mark.slow
def test_a_search_compiles_nothing_after_its_first_fold(numbers):
    """Two folds of twenty rows: a second search, with other seeds, has nothing to compile."""
    pipe = make_pipeline(StandardScaler(), VAE(1, (4,), **SMALL))

    def search(seed):
        return GridSearchCV(pipe, {"vae__learning_rate": [0.01], "vae__random_state": [seed]}, cv=2).fit(numbers)

    with compilations() as found:
        first = search(0)
    assert np.isfinite(first.cv_results_["mean_test_score"]).all()
    assert found
    with compilations() as found:
        search(1)
    assert not found


@pytest.mark.slow
def test_columns_are_transformed_by_their_names(numbers):
    frame = pd.DataFrame(numbers, columns=["a", "b", "c"])
    parts = ColumnTransformer([("code", VAE(1, (4,), **SMALL), ["a", "b", "c"])]).set_output(transform="pandas")
    out = parts.fit_transform(frame)
    assert list(out.columns) == ["code__vae0"]
    assert out.shape == (40, 1)


def test_numbers_are_filled_in_and_decoded(numbers, code):
    filled, drawn = code.impute(numbers, method="chain"), code.impute(numbers, draws=2, method="chain")
    known = ~np.isnan(numbers)
    assert (filled[known] == numbers[known]).all()
    assert np.isfinite(filled).all()
    assert drawn.shape == (2, 40, 3)
    assert code.inverse_transform(code.transform(numbers)).shape == (40, 3)
    assert code.sample(2).shape == (2, 3)
    with pytest.raises(InputError, match="were expected"):
        code.inverse_transform(np.zeros((2, 5)))
    with pytest.raises(InputError, match="missing"):
        code.compress(numbers)


@pytest.mark.slow
def test_bits_are_compressed_and_come_back(numbers):
    bits = (np.nan_to_num(numbers) > 0).astype(float)
    model = SBN((2,), **SMALL).fit(bits)
    assert (model.decompress(model.compress(bits)) == bits).all()


@pytest.mark.slow
def test_novel_rows_are_called_so(numbers):
    with pytest.warns(UserWarning, match="held-out rows give no p-value below"):
        found = NoveltyDetector(0.05, 1, (4,), **SMALL).fit(numbers)
    odd = np.array([[50.0, 0.0, -50.0], [0.0, 0.0, 0.0]])
    assert found.predict(odd).tolist() == [-1, 1]
    assert found.p_values(odd)[0] == pytest.approx(1 / 9)
    assert found.score_samples(odd)[0] < found.score_samples(odd)[1]


@pytest.mark.slow
def test_p_values_of_a_fitted_detector_are_uniform_for_normal_rows():
    """A model that overfits 60 rows: held-out and new rows score alike (two samples, Kolmogorov-Smirnov at 1e-3)."""
    rng = np.random.default_rng(5)
    mix = rng.normal(size=(3, 6))

    def rows(count):
        return rng.normal(size=(count, 3)) @ mix + 0.3 * rng.normal(size=(count, 6))

    found = NoveltyDetector(0.1, 4, (32,), held_out=0.6, **(SMALL | {"epochs": 300})).fit(rows(200))
    held, new = found.held_out_scores(), found.score_samples(rows(400))
    assert stats.ks_2samp(held, new).pvalue > 1e-3
    # 120 held-out rows: the share that is called novel is beta-distributed around 0.1, within 0.1 of it at 3 deviations
    assert abs((found.predict(rows(2000)) < 0).mean() - 0.1) < 0.1
