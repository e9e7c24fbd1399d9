"""Estimators on arrays of numbers: latent variable models as transformers."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from nelbo.codecs import compress, decompress
from nelbo.core import InputError
from nelbo.data import Cuts, Data, load_array
from nelbo.estimators.base import RunEstimator
from nelbo.tasks import ImputationSettings, decode, embed, impute, sample


class LatentEstimator(ClassNamePrefixFeaturesOutMixin, TransformerMixin, RunEstimator):
    """A latent variable model of rows of numbers.

    Zeros and ones alone are modelled as bits, all else as real numbers, unless `likelihood` says otherwise.
    """

    likelihood: str | None = None

    def fit(self, X: Any, y: Any = None) -> "LatentEstimator":
        """Fit the model.

        Args:
            X: `(rows, features)` numbers, NaN where one is missing.
            y: not read.

        Raises:
            InputError: an option or a value that makes no sense.
        """
        del y
        self.run_, _ = self._fitted(self._checked(X, reset=True))
        self._n_features_out = sum(int(np.prod(node.shape())) for node in self.run_.model.generative.shapes()[1:])
        return self

    def _checked(self, x: Any, *, reset: bool) -> np.ndarray:
        return np.array(
            validate_data(
                self,
                x,
                dtype=np.float64,
                ensure_all_finite="allow-nan",
                ensure_min_samples=2 if reset else 1,
                reset=reset,
            )
        )

    def _read(self, x: Any, *, reset: bool, cuts: Cuts | None = None) -> Data:
        if reset:
            bits = bool(np.isin(x[~np.isnan(x)], (0.0, 1.0)).all()) and self.likelihood in {None, "bernoulli"}
            return load_array(x, where="x", real=not bits, cuts=cuts)
        return load_array(self._checked(x, reset=False), self.run_.fitted_data.schema, where="x")

    def transform(self, X: Any) -> np.ndarray:
        """The latent coordinates of rows: posterior means, all layers side by side.

        Args:
            X: rows like those of `fit`.
        """
        _, source = self._source(X)
        return np.asarray(embed(self._key(2), self.run_.model, source), np.float64)

    def inverse_transform(self, z: Any) -> np.ndarray:
        """E[x | z] at latent coordinates, in the units of `fit`.

        Args:
            z: `(rows, latents)`, as `transform` gives them.
        """
        check_is_fitted(self)
        return np.asarray(self.run_.in_user_units(decode(self.run_.model, np.asarray(z))), np.float64)

    def sample(self, n_samples: int = 1, *, random_state: int = 0) -> np.ndarray:
        """Draw rows from the model.

        Args:
            n_samples: how many.
            random_state: of the draws.
        """
        import jax.random as jr

        check_is_fitted(self)
        return np.asarray(self.run_.in_user_units(sample(jr.key(random_state), self.run_.model, n_samples)), np.float64)

    def impute(self, X: Any, *, draws: int = 0, method: str | None = None) -> np.ndarray:
        """Rows with their missing entries filled in; all others are as they were.

        Args:
            X: rows with NaN where an entry is missing.
            draws: 0 fills in means; else so many completions, `(draws, rows, features)`.
            method: see `nelbo.tasks.METHODS`; None takes the one that suits the model.
        """
        _, source = self._source(X)
        found = impute(self._key(3), self.run_.model, source, ImputationSettings(method, draws=max(draws, 1)))
        values = self.run_.in_user_units(found.draws if draws else found.mean)
        known = np.array(self._checked(X, reset=False))
        return np.where(np.isnan(known), values, known)

    def compress(self, X: Any) -> bytes:
        """Code rows without loss in about -ELBO bits: a whole `.nlb` file.

        Args:
            X: rows of a kind that has a code: zeros and ones, say.

        Raises:
            InputError: real numbers, or missing entries.
        """
        _, source = self._source(X)
        mask = source.arrays.observed
        if mask is not None and not np.asarray(mask).all():
            raise InputError("Rows with missing entries cannot be compressed: fill them in first (impute).")
        return compress(self.run_.model, np.asarray(source.arrays.values))

    def decompress(self, content: bytes) -> np.ndarray:
        """The rows that `compress` coded.

        Args:
            content: what it gave.

        Raises:
            InputError: a damaged file, or one of another model.
        """
        check_is_fitted(self)
        return np.asarray(self.run_.in_user_units(decompress(content, self.run_.model)), np.float64)


class VAE(LatentEstimator):
    """A variational auto-encoder (Kingma and Welling 2014); see `nelbo.models.vae`.

    Args:
        latents: how many.
        hidden: widths of the hidden layers of both networks.
        likelihood: of the data; None: Bernoulli of zeros and ones, else Gaussian.
        epochs: passes over the rows; None: 30, and at least 3000 steps.
        learning_rate: of Adam; None: that of the model.
        batch_size: rows a step.
        patience: stop after so many validations without a better bound; None: none.
        valid_fraction: of the rows, by which the best parameters are kept; fewer than 20 rows are all trained on.
        num_samples: draws for each row in `score_samples`.
        random_state: of everything random.
    """

    family = "vae"

    def __init__(
        self,
        latents: int = 20,
        hidden: Sequence[int] = (500,),
        *,
        likelihood: str | None = None,
        epochs: float | int | None = None,
        learning_rate: float | int | None = None,
        batch_size: int | None = None,
        patience: int | None = None,
        valid_fraction: float | int = 0.1,
        num_samples: int = 50,
        random_state: Any = None,
    ) -> None:
        """Store the parameters, which are those of the class."""
        self.latents, self.hidden, self.likelihood = latents, hidden, likelihood
        self.epochs, self.learning_rate, self.batch_size, self.patience = epochs, learning_rate, batch_size, patience
        self.valid_fraction, self.num_samples, self.random_state = valid_fraction, num_samples, random_state

    def _model_arguments(self) -> dict[str, Any]:
        return {"latents": self.latents, "hidden": list(self.hidden), "likelihood": self.likelihood}


class SBN(LatentEstimator):
    """A sigmoid belief network (Mnih and Gregor 2014); see `nelbo.models.sbn`.

    Args:
        layers: units of each layer of bits, that next to the data first.
        likelihood: see `VAE`.
        epochs: see `VAE`.
        learning_rate: see `VAE`.
        batch_size: see `VAE`.
        patience: see `VAE`.
        valid_fraction: see `VAE`.
        num_samples: see `VAE`.
        random_state: see `VAE`.
    """

    family = "sbn"

    def __init__(
        self,
        layers: Sequence[int] = (200,),
        *,
        likelihood: str | None = None,
        epochs: float | int | None = None,
        learning_rate: float | int | None = None,
        batch_size: int | None = None,
        patience: int | None = None,
        valid_fraction: float | int = 0.1,
        num_samples: int = 50,
        random_state: Any = None,
    ) -> None:
        """Store the parameters, which are those of the class."""
        self.layers, self.likelihood = layers, likelihood
        self.epochs, self.learning_rate, self.batch_size, self.patience = epochs, learning_rate, batch_size, patience
        self.valid_fraction, self.num_samples, self.random_state = valid_fraction, num_samples, random_state

    def _model_arguments(self) -> dict[str, Any]:
        return {"layers": list(self.layers), "likelihood": self.likelihood}

    def _objective(self) -> str:
        return "nvil"


class DLGM(LatentEstimator):
    """A deep latent Gaussian model (Rezende, Mohamed and Wierstra 2014); see `nelbo.models.dlgm`.

    Args:
        layers: latents of each layer, that next to the data first.
        hidden: units of the hidden layer between two layers.
        likelihood: see `VAE`.
        epochs: see `VAE`.
        learning_rate: see `VAE`.
        batch_size: see `VAE`.
        patience: see `VAE`.
        valid_fraction: see `VAE`.
        num_samples: see `VAE`.
        random_state: see `VAE`.
    """

    family = "dlgm"

    def __init__(
        self,
        layers: Sequence[int] = (200,),
        hidden: Sequence[int] = (200,),
        *,
        likelihood: str | None = None,
        epochs: float | int | None = None,
        learning_rate: float | int | None = None,
        batch_size: int | None = None,
        patience: int | None = None,
        valid_fraction: float | int = 0.1,
        num_samples: int = 50,
        random_state: Any = None,
    ) -> None:
        """Store the parameters, which are those of the class."""
        self.layers, self.hidden, self.likelihood = layers, hidden, likelihood
        self.epochs, self.learning_rate, self.batch_size, self.patience = epochs, learning_rate, batch_size, patience
        self.valid_fraction, self.num_samples, self.random_state = valid_fraction, num_samples, random_state

    def _model_arguments(self) -> dict[str, Any]:
        return {"layers": list(self.layers), "hidden": list(self.hidden), "likelihood": self.likelihood}


class FactorAnalyzer(LatentEstimator):
    """Factor analysis, fitted by its bound; see `nelbo.models.factor_analysis`.

    Args:
        latents: how many factors.
        epochs: see `VAE`.
        learning_rate: see `VAE`.
        batch_size: see `VAE`.
        patience: see `VAE`.
        valid_fraction: see `VAE`.
        num_samples: see `VAE`.
        random_state: see `VAE`.
    """

    family = "factor-analysis"
    likelihood = "gaussian-pixel"

    def __init__(
        self,
        latents: int = 2,
        *,
        epochs: float | int | None = None,
        learning_rate: float | int | None = None,
        batch_size: int | None = None,
        patience: int | None = None,
        valid_fraction: float | int = 0.1,
        num_samples: int = 50,
        random_state: Any = None,
    ) -> None:
        """Store the parameters, which are those of the class."""
        self.latents = latents
        self.epochs, self.learning_rate, self.batch_size, self.patience = epochs, learning_rate, batch_size, patience
        self.valid_fraction, self.num_samples, self.random_state = valid_fraction, num_samples, random_state

    def _model_arguments(self) -> dict[str, Any]:
        return {"latents": self.latents}
