"""scikit-learn's own checks of estimators."""

import inspect

import jax
import pytest
from sklearn.utils.estimator_checks import estimator_checks_generator

from nelbo.estimators import DLGM, SBN, VAE, FactorAnalyzer, NoveltyDetector, TableImputer

SMALL = {"epochs": 2, "num_samples": 2, "random_state": 0}
ESTIMATORS = (
    VAE(2, (4,), **SMALL),
    TableImputer(1, (4,), draws=2, method="chain", **SMALL),
    NoveltyDetector(0.2, 1, (4,), **SMALL),
    SBN((3,), **SMALL),
    DLGM((2,), (4,), **SMALL),
    FactorAnalyzer(1, **SMALL),
)
# a few that guard different methods; what is the same class behind another model is slow
FAST = {
    "VAE": ("check_transformer_general", "check_dict_unchanged", "check_fit2d_1sample", "check_n_features_in",
            "check_methods_subset_invariance", "check_estimators_pickle", "check_no_attributes_set_in_init"),
    "TableImputer": ("check_set_output_transform", "check_dataframe_column_names_consistency"),
    "NoveltyDetector": ("check_outliers_train", "check_parameters_default_constructible"),
}  # fmt: skip


def cases():
    for estimator in ESTIMATORS:
        name = type(estimator).__name__
        for one, check in estimator_checks_generator(estimator, legacy=True):
            called = inspect.unwrap(getattr(check, "func", check)).__name__
            marks = () if called in FAST.get(name, ()) else pytest.mark.slow
            yield pytest.param(one, check, id=f"{name}-{called}", marks=marks)


@pytest.mark.share(3)
@pytest.mark.parametrize(("estimator", "check"), list(cases()))
@pytest.mark.filterwarnings("ignore")
def test_it_is_an_estimator(estimator, check, monkeypatch):
    # scikit-learn puts anything into constructors, which only the tests' own check of types refuses
    kind = type(estimator)
    monkeypatch.setattr(kind, "__init__", inspect.unwrap(kind.__init__))
    # optax's Adam mixes types, which the strict setting of the tests refuses; users have the standard one
    with jax.numpy_dtype_promotion("standard"):
        check(estimator)
