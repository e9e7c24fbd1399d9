"""What all estimators share: fitting in memory, scores of rows, files."""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import jax.random as jr
import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import Tags, check_random_state
from sklearn.utils.validation import check_is_fitted

from nelbo.core import InputError, read_json, write_json
from nelbo.data import Cuts, Data, Source
from nelbo.evaluation import row_terms
from nelbo.runs import (
    Experiment,
    Run,
    default_objective,
    fit_rows,
    open_run,
    run_from_bytes,
    run_to_bytes,
    save_run,
)

ESTIMATOR = "estimator.json"  # in a run folder: the class of the estimator, and its parameters
_FEWEST = 20  # fewer rows are all trained on
KINDS: dict[str, Callable[..., Any]] = {}  # by the names of their classes
_Own = TypeVar("_Own", bound="RunEstimator")


@dataclasses.dataclass(eq=False, repr=False, kw_only=True)  # scikit-learn has its own equality and repr
class RunEstimator(BaseEstimator):
    """An estimator that holds a run.

    Args:
        epochs: passes over the data; None: those of the model.
        learning_rate: of Adam; None: that of the model.
        batch_size: rows (or windows of a series) in a step; None: that of the model.
        patience: training stops after this many validations without a better bound; None: it never stops early.
        valid_fraction: share of the data that is held out to choose the best parameters; fewer than 20 rows are all
            trained on.
        num_samples: draws for each row in `score_samples`.
        random_state: seed of everything random.
    """

    run_: Run = dataclasses.field(init=False)
    epochs: float | int | None = None
    learning_rate: float | int | None = None
    batch_size: int | None = None
    patience: int | None = None
    valid_fraction: float | int = 0.1
    num_samples: int = 50
    random_state: Any = None
    family = ""  # of the model

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        KINDS[cls.__name__] = cls

    def __sklearn_tags__(self) -> Tags:
        """Every estimator accepts NaN, which marks a missing entry."""
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags

    def _model_arguments(self) -> dict[str, Any]:
        """The options of the model."""
        raise NotImplementedError

    def _checked(self, x: Any, *, reset: bool) -> Any:
        """The data after scikit-learn's checks; `reset` when fitting."""
        raise NotImplementedError

    def _read(self, x: Any, *, cuts: Cuts | None = None) -> Data:
        """Checked data: in splits when fitting, else matched to the data of the run."""
        raise NotImplementedError

    def _cuts(self, x: Any, seed: int, test: float) -> Cuts:
        """How checked data are split for a fit."""
        enough = len(x) >= _FEWEST
        return Cuts(seed, float(self.valid_fraction) if enough else 0.0, test if enough else 0.0)

    def _fitted(self, x: Any, *, test: float = 0.0) -> tuple[Run, Data]:
        """The run of a fit, and the data in its splits."""
        checked = self._checked(x, reset=True)
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        data = self._read(checked, cuts=self._cuts(checked, seed, test))
        names = ("epochs", "learning_rate", "batch_size", "patience")
        training = {name: value for name in names if (value := vars(self)[name]) is not None}
        experiment = Experiment(
            model={"name": self._model_name(), "arguments": self._model_arguments()},
            data={"name": f"data of {type(self).__name__}"},
            objective={"name": default_objective(self._model_name()), "arguments": {}},
            training=training,
            seed=seed,
        )
        return fit_rows(experiment, data), data

    def fit(self: _Own, X: Any, y: Any = None) -> _Own:
        """Fit the model.

        Args:
            X: data of the kind that the class takes; NaN where a value is missing.
            y: not read.

        Raises:
            InputError: nothing that can be modelled, or an option that makes no sense.
        """
        del y
        self.run_, _ = self._fitted(X)
        return self

    def _model_name(self) -> str:
        """The family of the model."""
        return self.family

    def _source(self, x: Any) -> tuple[Data, Source]:
        """Data as the model of the run sees them."""
        check_is_fitted(self)
        return self.run_.scored(self._read(self._checked(x, reset=False)))

    def _key(self, purpose: int) -> Any:
        """A key that depends on the run and the purpose alone, so that every call has the same draws."""
        return jr.fold_in(jr.key(self.run_.experiment.seed), purpose)

    def score_samples(self, X: Any) -> np.ndarray:
        """The importance-weighted bound on log p of each row [nats]; it does not depend on the other rows.

        Args:
            X: rows like those of `fit`; missing entries are left out.
        """
        _, source = self._source(X)
        terms = row_terms(self._key(1), self.run_.model, source, num_samples=self.num_samples)
        return terms.importance

    def score(self, X: Any, y: Any = None) -> float:
        """The mean of `score_samples` [nats per row].

        Args:
            X: rows like those of `fit`.
            y: not read.
        """
        del y
        return float(self.score_samples(X).mean())

    def save(self, folder: Path | str) -> None:
        """Write the run as a run folder, which `nelbo.estimators.load` and all commands read.

        Raises:
            InputError: the folder holds a run already.
        """
        check_is_fitted(self)
        save_run(self.run_, folder)
        plain = {name: list(v) if isinstance(v, tuple) else v for name, v in self.get_params(deep=False).items()}
        state = {name: value for name, value in vars(self).items() if name.endswith("_") and name != "run_"}
        about = {"estimator": type(self).__name__, "parameters": plain, "state": _packed(state)}
        write_json(Path(folder) / ESTIMATOR, about)

    def __getstate__(self) -> Any:
        """The state for `pickle` and joblib, with the run as the bytes of its files."""
        state: Any = super().__getstate__()
        return state | {"run_": run_to_bytes(state["run_"])} if "run_" in state else state

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        """Restore the state that `__getstate__` returned."""
        files = state.get("run_")
        super().__setstate__({**state, "run_": run_from_bytes(files)} if files is not None else {**state})


def _packed(state: Mapping[str, Any]) -> dict[str, Any]:
    """A copy with arrays as lists, also inside dictionaries."""
    return {
        name: _packed(v) if isinstance(v, dict) else {"array": v.tolist()} if isinstance(v, np.ndarray) else v
        for name, v in state.items()
    }


def _unpacked(state: Mapping[str, Any]) -> dict[str, Any]:
    """The inverse of `_packed`."""
    found = {}
    for name, value in state.items():
        if isinstance(value, dict) and set(value) == {"array"}:
            text = bool(value["array"]) and isinstance(value["array"][0], str)
            value = np.array(value["array"], object if text else None)
        elif isinstance(value, dict):
            value = _unpacked(value)
        found[name] = value
    return found


def load(folder: Path | str) -> Any:
    """Load the estimator that `save` wrote; no code in the folder is run.

    Raises:
        InputError: the folder holds no estimator, or a damaged one.
    """
    path = Path(folder) / ESTIMATOR
    if not path.is_file():
        raise InputError(f"{folder} holds no estimator (it has no {ESTIMATOR}): open it with nelbo.open_run.")
    about = read_json(path)
    try:
        found = KINDS[about["estimator"]](
            **{n: tuple(v) if isinstance(v, list) else v for n, v in about["parameters"].items()}
        )
        vars(found).update(_unpacked(about["state"]))
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise InputError(f"{path} is damaged or of another version ({error}): fit the estimator again.") from error
    vars(found)["run_"] = open_run(folder)
    return found
