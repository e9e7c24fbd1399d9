"""Estimators on arrays of numbers: latent variable models as transformers."""

import dataclasses
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
    """A latent variable model of `(rows, features)` numbers.

    If all numbers are zeros and ones they are modelled as bits, else as real numbers, unless `likelihood` says
    otherwise.
    """

    likelihood: str | None = None

    @property
    def _n_features_out(self) -> int:
        """The number of latents, by which scikit-learn names the outputs."""
        return sum(int(np.prod(node.shape())) for node in self.run_.model.generative.shapes()[1:])

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

    def _read(self, x: Any, *, cuts: Cuts | None = None) -> Data:
        if cuts is None:
            return load_array(x, self.run_.fitted_data.schema, where="x")
        bits = bool(np.isin(x[~np.isnan(x)], (0.0, 1.0)).all()) and self.likelihood in {None, "bernoulli"}
        return load_array(x, where="x", real=not bits, cuts=cuts)

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
            n_samples: number of rows.
            random_state: seed of the draws.
        """
        import jax.random as jr

        check_is_fitted(self)
        return np.asarray(self.run_.in_user_units(sample(jr.key(random_state), self.run_.model, n_samples)), np.float64)

    def impute(self, X: Any, *, draws: int = 0, method: str | None = None) -> np.ndarray:
        """Rows with their missing entries filled in; observed entries are returned unchanged.

        Args:
            X: rows with NaN for missing entries.
            draws: 0 fills in means; else this many completions are drawn, `(draws, rows, features)`.
            method: see `nelbo.tasks.METHODS`; None takes the one that suits the model.
        """
        _, source = self._source(X)
        found = impute(self._key(3), self.run_.model, source, ImputationSettings(method, draws=max(draws, 1)))
        values = self.run_.in_user_units(found.draws if draws else found.mean)
        known = np.array(self._checked(X, reset=False))
        return np.where(np.isnan(known), values, known)

    def compress(self, X: Any) -> bytes:
        """Compress rows losslessly, in about -ELBO bits, to the bytes of a `.nlb` file.

        Args:
            X: rows of values that can be coded, such as zeros and ones.

        Raises:
            InputError: real numbers, or missing entries.
        """
        _, source = self._source(X)
        mask = source.arrays.observed
        if mask is not None and not np.asarray(mask).all():
            raise InputError("Rows with missing entries cannot be compressed: fill them in first (impute).")
        return compress(self.run_.model, np.asarray(source.arrays.values))

    def decompress(self, content: bytes) -> np.ndarray:
        """The rows that `compress` was given.

        Args:
            content: the bytes that `compress` returned.

        Raises:
            InputError: a damaged file, or one of another model.
        """
        check_is_fitted(self)
        return np.asarray(self.run_.in_user_units(decompress(content, self.run_.model)), np.float64)


@dataclasses.dataclass(eq=False, repr=False)
class VAE(LatentEstimator):
    """A variational auto-encoder (Kingma and Welling 2014) of `(rows, features)` numbers; see `nelbo.models.vae`.

    `RunEstimator` describes the other parameters.

    Args:
        latents: number of latents.
        hidden: widths of the hidden layers of both networks.
        likelihood: of the data; None: Bernoulli for zeros and ones, else Gaussian.
    """

    latents: int = 20
    hidden: Sequence[int] = (500,)
    _: dataclasses.KW_ONLY
    likelihood: str | None = None

    family = "vae"

    def _model_arguments(self) -> dict[str, Any]:
        return {"latents": self.latents, "hidden": list(self.hidden), "likelihood": self.likelihood}


@dataclasses.dataclass(eq=False, repr=False)
class SBN(LatentEstimator):
    """A sigmoid belief network (Mnih and Gregor 2014) of `(rows, features)` numbers; see `nelbo.models.sbn`.

    `RunEstimator` describes the other parameters.

    Args:
        layers: numbers of binary units, the layer next to the data first.
        likelihood: see `VAE`.
    """

    layers: Sequence[int] = (200,)
    _: dataclasses.KW_ONLY
    likelihood: str | None = None

    family = "sbn"

    def _model_arguments(self) -> dict[str, Any]:
        return {"layers": list(self.layers), "likelihood": self.likelihood}


@dataclasses.dataclass(eq=False, repr=False)
class DLGM(LatentEstimator):
    """A deep latent Gaussian model (Rezende, Mohamed and Wierstra 2014) of `(rows, features)` numbers.

    See `nelbo.models.dlgm`. `RunEstimator` describes the other parameters.

    Args:
        layers: numbers of latents, the layer next to the data first.
        hidden: widths of the hidden layers between two layers of latents.
        likelihood: see `VAE`.
    """

    layers: Sequence[int] = (200,)
    hidden: Sequence[int] = (200,)
    _: dataclasses.KW_ONLY
    likelihood: str | None = None

    family = "dlgm"

    def _model_arguments(self) -> dict[str, Any]:
        return {"layers": list(self.layers), "hidden": list(self.hidden), "likelihood": self.likelihood}


@dataclasses.dataclass(eq=False, repr=False)
class FactorAnalyzer(LatentEstimator):
    """Factor analysis of `(rows, features)` numbers, fitted by its bound; see `nelbo.models.factor_analysis`.

    `RunEstimator` describes the other parameters.

    Args:
        latents: number of factors.
    """

    latents: int = 2

    family = "factor-analysis"
    likelihood = "gaussian-pixel"

    def _model_arguments(self) -> dict[str, Any]:
        return {"latents": self.latents}
