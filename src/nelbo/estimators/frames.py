"""Estimators on tables with columns of any kinds: filling in, and novelty."""

import dataclasses
import math
import warnings
from collections.abc import Sequence
from typing import Any

import jax.random as jr
import numpy as np
from sklearn.base import OneToOneFeatureMixin, OutlierMixin, TransformerMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted, validate_data

from nelbo.core import NATS_PER_BIT, choice
from nelbo.data import Cuts, Data, Source, filled_frame, load_frame, made_frame
from nelbo.estimators.base import RunEstimator
from nelbo.evaluation import RowTerms, row_terms
from nelbo.tasks import Imputation, ImputationSettings, Novelty, impute, novelty, sample

_ENDS = 19  # draws, whose ends are a 90 % interval


@dataclasses.dataclass(eq=False, repr=False)
class FrameEstimator(RunEstimator):
    """The model `table` on a data frame, or an array.

    Args:
        ignore: names of columns that are not modelled.
    """

    _: dataclasses.KW_ONLY
    ignore: Sequence[str] = ()
    family = "table"

    def __sklearn_tags__(self) -> Tags:
        """Columns may hold strings and categories."""
        tags = super().__sklearn_tags__()
        tags.input_tags.string = tags.input_tags.categorical = True
        return tags

    def _model_arguments(self) -> dict[str, Any]:
        given = vars(self)
        return {"latents": given["latents"], "hidden": list(given["hidden"])}

    def _checked(self, x: Any, *, reset: bool) -> Any:
        """The rows as a data frame; names and number of columns are checked by scikit-learn."""
        import pandas as pd

        if _is_frame(x):
            validate_data(self, x, skip_check_array=True, reset=reset)
            if len(x) < (2 if reset else 1):
                raise ValueError(f"Found array with {len(x)} sample(s) while a minimum of {1 + reset} is required.")
            return x
        checked: Any = validate_data(
            self, x, dtype=None, ensure_all_finite="allow-nan", ensure_min_samples=2 if reset else 1, reset=reset
        )
        frame = pd.DataFrame(checked, columns=[f"x{j}" for j in range(checked.shape[1])])
        return frame.infer_objects() if checked.dtype == object else frame

    def _read(self, x: Any, *, cuts: Cuts | None = None) -> Data:
        if cuts is None:
            return load_frame(x, self.run_.fitted_data.schema, where="x")
        return load_frame(x, where="x", ignore=tuple(self.ignore), cuts=cuts)

    def sample(self, n_samples: int = 1, *, random_state: int = 0) -> Any:
        """Draw rows from the model, as a data frame of the modelled columns.

        Args:
            n_samples: number of rows.
            random_state: seed of the draws.
        """
        check_is_fitted(self)
        drawn = self.run_.in_user_units(sample(jr.key(random_state), self.run_.model, n_samples))
        assert self.run_.fitted_data.schema is not None  # of a table
        return made_frame(self.run_.fitted_data.schema, drawn)


def _is_frame(x: Any) -> bool:
    """Whether it is a data frame of pandas."""
    import pandas as pd

    return isinstance(x, pd.DataFrame)


@dataclasses.dataclass(eq=False, repr=False)
class TableImputer(OneToOneFeatureMixin, TransformerMixin, FrameEstimator):
    """Imputes tables with columns of any kinds (Mattei and Frellsen 2019); see `nelbo.models.table`.

    `transform` keeps the columns, their order and their types: whole numbers stay whole, and words are words of the
    column. Columns that cannot be modelled (identifiers, text, columns without values) are returned unchanged.
    `RunEstimator` describes the other parameters.

    Args:
        latents: number of latents.
        hidden: widths of the hidden layers of both networks.
        ignore: names of columns that are not modelled.
        draws: completions of each row, from which the intervals are computed.
        method: of imputation, see `nelbo.tasks.METHODS`; None takes the one that suits the model.
    """

    latents: int = 10
    hidden: Sequence[int] = (64,)
    _: dataclasses.KW_ONLY
    draws: int = _ENDS
    method: str | None = None

    def transform(self, X: Any) -> Any:
        """The table with its gaps filled in: a data frame, with the same types, for a data frame, else an array.

        Args:
            X: rows like those of `fit`.
        """
        data, found = self._completed(X)
        frame = filled_frame(data, data.only, found.mean, found.observed)
        return frame if _is_frame(X) else frame.to_numpy()

    def impute(self, X: Any, *, draws: int = 20) -> list[Any]:
        """Completed tables, each with other draws of the missing entries, for `nelbo.tasks.pool`.

        Args:
            X: rows like those of `fit`.
            draws: number of tables.
        """
        data, found = self._completed(X, draws=draws)
        return [filled_frame(data, data.only, one, found.observed) for one in found.draws]

    def intervals(self, X: Any) -> Any:
        """The ends of the 90 % interval of every imputed cell: two arrays `(rows, modelled columns)`; NaN if known.

        For columns of words the ends have no meaning.

        Args:
            X: rows like those of `fit`.
        """
        data, found = self._completed(X, draws=max(self.draws, _ENDS))
        gaps = ~found.observed[:, data.schema.first_entries]
        ends = (data.schema.by_column(data.schema.restored(end)) for end in (found.low, found.high))
        return tuple(np.where(gaps, end, np.nan) for end in ends)

    def _completed(self, x: Any, draws: int | None = None) -> tuple[Data, Imputation]:
        data, source = self._source(x)
        settings = ImputationSettings(self.method, draws=self.draws if draws is None else draws)
        return data, impute(self._key(3), self.run_.model, source, settings)


@dataclasses.dataclass(eq=False, repr=False)
class NoveltyDetector(OutlierMixin, FrameEstimator):
    """Finds rows unlike those of `fit`, in tables with columns of any kinds; see `nelbo.tasks.novelty`.

    A share of the rows is held out of training, to compute p-values from: `predict` calls a row novel if its p-value is
    at most `alpha`. `RunEstimator` describes the other parameters.

    Args:
        alpha: probability that `predict` calls a row novel that is not.
        latents: number of latents of the model `table`.
        hidden: widths of the hidden layers of both networks, of the model `table`.
        model: "table", or "neutral-ad", which has a score by learned transformations and no density (Qiu et al. 2021).
        ignore: names of columns that are not modelled.
        held_out: share of the rows that p-values are computed from; fewer than 20 rows are compared with themselves.
    """

    alpha: float | int = 0.05
    latents: int = 10
    hidden: Sequence[int] = (64,)
    _: dataclasses.KW_ONLY
    model: str = "table"
    held_out: float | int = 0.2

    def fit(self, X: Any, y: Any = None) -> "NoveltyDetector":
        """Fit the model to rows that are not novel.

        Args:
            X: a data frame, or an array of numbers.
            y: not read.

        Raises:
            InputError: no column that can be modelled, or an option that makes no sense.
        """
        del y
        choice("model of a detector", self.model, ("table", "neutral-ad"))
        self.run_, rows = self._fitted(X, test=self.held_out)
        name = "test" if "test" in rows.splits else "train"
        _, source = self.run_.scored(dataclasses.replace(rows, splits={name: rows.split(name)}))
        self.held_out_ = vars(self._terms(source))
        ordered = np.sort(self.held_out_scores())
        # a row is called novel whose p-value is at most alpha: fewer held-out rows than this score as low
        least = math.floor(self.alpha * (len(ordered) + 1))
        if least < 1:
            warnings.warn(
                f"{len(ordered)} held-out rows give no p-value below {1 / (len(ordered) + 1):.2g}: `predict` calls "
                "novel what scores lower than all of them. Give more rows, or a larger alpha.",
                stacklevel=2,
            )
        self.offset_ = float(ordered[max(least, 1) - 1])
        return self

    def _model_name(self) -> str:
        return self.model

    def _model_arguments(self) -> dict[str, Any]:
        return super()._model_arguments() if self.model == "table" else {}

    def held_out_scores(self) -> np.ndarray:
        """`score_samples` of the rows that were held out of training."""
        return -self._novelty(RowTerms(**self.held_out_)).excess * NATS_PER_BIT

    def _terms(self, source: Source) -> RowTerms:
        return row_terms(self._key(1), self.run_.model, source, num_samples=self.num_samples)

    def _novelty(self, terms: RowTerms) -> Novelty:
        return novelty(terms, RowTerms(**self.held_out_))

    def novelty(self, X: Any) -> Novelty:
        """The novelty of rows in detail: excess bits, p-values, flags, and the bits of each entry.

        A detector without a density has its score in place of nats, and that score divided by log 2 in place of bits.

        Args:
            X: rows like those of `fit`.
        """
        _, source = self._source(X)
        return self._novelty(self._terms(source))

    def p_values(self, X: Any) -> np.ndarray:
        """The p-value of each row against the held-out rows of `fit`.

        Args:
            X: rows like those of `fit`.
        """
        return self.novelty(X).p_values

    def score_samples(self, X: Any) -> np.ndarray:
        """Minus the excess code length of each row [nats], or minus the excess of a detector's score: low is novel.

        Args:
            X: rows like those of `fit`.
        """
        return -self.novelty(X).excess * NATS_PER_BIT

    def decision_function(self, X: Any) -> np.ndarray:
        """`score_samples - offset_`: negative is novel.

        Args:
            X: rows like those of `fit`.
        """
        return self.score_samples(X) - self.offset_

    def predict(self, X: Any) -> np.ndarray:
        """-1 for novel rows, 1 for others.

        Args:
            X: rows like those of `fit`.
        """
        return np.where(self.decision_function(X) < 0, -1, 1)
