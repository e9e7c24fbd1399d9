"""What all estimators share: fitting in memory, scores of rows, files."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax.random as jr
import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import Tags, check_random_state
from sklearn.utils.validation import check_is_fitted

from nelbo.core import InputError, read_json, write_json
from nelbo.data import Cuts, Data, Source
from nelbo.evaluation import row_terms
from nelbo.runs import Experiment, Run, fit_rows, open_run, run_from_bytes, run_to_bytes, save_run

ESTIMATOR = "estimator.json"  # beside a run: which estimator it is of, and its parameters
_FEWEST = 20  # rows of which some are held out
KINDS: dict[str, type["RunEstimator"]] = {}


class RunEstimator(BaseEstimator):
    """An estimator that holds a run."""

    run_: Run
    family = ""  # of the model

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        KINDS[cls.__name__] = cls

    def __sklearn_tags__(self) -> Tags:
        """Missing entries are NaN, which every estimator takes."""
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags

    def _model_arguments(self) -> dict[str, Any]:
        """The options of the model."""
        raise NotImplementedError

    def _read(self, x: Any, *, reset: bool, cuts: Cuts | None = None) -> Data:
        """Checked rows as data: like those of the run, or when fitting in splits."""
        raise NotImplementedError

    def _training(self) -> dict[str, Any]:
        names = ("epochs", "learning_rate", "batch_size", "patience")
        given = {name: self.get_params(deep=False)[name] for name in names}
        return {name: value for name, value in given.items() if value is not None}

    def _fitted(self, x: Any, *, test: float = 0.0) -> tuple[Run, Data]:
        """The run of a fit, and the rows in its splits; few rows are all trained on."""
        settings = self.get_params(deep=False)
        seed = int(check_random_state(settings["random_state"]).randint(2**31 - 1))
        enough = len(x) >= _FEWEST
        cuts = Cuts(seed, float(settings["valid_fraction"]) if enough else 0.0, test if enough else 0.0)
        rows = self._read(x, reset=True, cuts=cuts)
        experiment = Experiment(
            model={"name": self._model_name(), "arguments": self._model_arguments()},
            data={"name": f"rows of {type(self).__name__}"},
            objective={"name": self._objective(), "arguments": {}},
            training=self._training(),
            seed=seed,
        )
        return fit_rows(experiment, rows), rows

    def _model_name(self) -> str:
        """The family of the model."""
        return self.family

    def _objective(self) -> str:
        """What trains the model."""
        return "sgvb"

    def _source(self, x: Any) -> tuple[Data, Source]:
        """Rows as the model of the run sees them."""
        check_is_fitted(self)
        return self.run_.scored(self._read(x, reset=False))

    def _key(self, purpose: int) -> Any:
        """The same draws in every call."""
        return jr.fold_in(jr.key(self.run_.experiment.seed), purpose)

    def score_samples(self, X: Any) -> np.ndarray:
        """The importance-weighted bound on log p of each row [nats]; it does not depend on the other rows.

        Args:
            X: rows like those of `fit`; missing entries are left out.
        """
        _, source = self._source(X)
        terms = row_terms(self._key(1), self.run_.model, source, num_samples=self.get_params(deep=False)["num_samples"])
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
        """For `pickle` and joblib: the run as the bytes of its files."""
        state: Any = super().__getstate__()
        return state | {"run_": run_to_bytes(state["run_"])} if "run_" in state else state

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        """What `__getstate__` gave."""
        files = state.get("run_")
        super().__setstate__({**state, "run_": run_from_bytes(files)} if files is not None else {**state})


def _packed(state: Mapping[str, Any]) -> dict[str, Any]:
    """Arrays as lists, those in dictionaries too."""
    return {
        name: _packed(v) if isinstance(v, dict) else {"array": v.tolist()} if isinstance(v, np.ndarray) else v
        for name, v in state.items()
    }


def _unpacked(state: Mapping[str, Any]) -> dict[str, Any]:
    """What `_packed` was given."""
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
    """The estimator that `save` wrote; no code of the folder is run.

    Raises:
        InputError: the folder holds no estimator, or a damaged one.
    """
    path = Path(folder) / ESTIMATOR
    if not path.is_file():
        raise InputError(f"{folder} holds no estimator (it has no {ESTIMATOR}): open it with nelbo.open_run.")
    about = read_json(path)
    try:
        kind: Callable[..., Any] = KINDS[about["estimator"]]
        found = kind(**{n: tuple(v) if isinstance(v, list) else v for n, v in about["parameters"].items()})
        vars(found).update(_unpacked(about["state"]))
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise InputError(f"{path} is damaged or of another version ({error}): fit the estimator again.") from error
    vars(found)["run_"] = open_run(folder)
    return found
