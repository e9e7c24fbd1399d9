"""Posteriors over a tree of arrays by name: a file and a row each."""

from collections.abc import Callable, Mapping

from nelbo.bayes.contracts import SharedPosterior
from nelbo.bayes.posteriors.delta import Delta, delta
from nelbo.bayes.posteriors.independent import FIRST_LOG_SCALE, MeanFieldNormal, mean_field

# from the tree of means, and keyword options, to the posterior
POSTERIORS: Mapping[str, Callable[..., SharedPosterior]] = {
    "delta": delta,
    "mean-field": mean_field,
}

__all__ = ["FIRST_LOG_SCALE", "POSTERIORS", "Delta", "MeanFieldNormal"]
