"""Posteriors over a tree of arrays by name: a file and a row each."""

from collections.abc import Callable, Mapping

from nelbo.bayes.contracts import SharedPosterior
from nelbo.bayes.posteriors.chain import ChainNormal, chain
from nelbo.bayes.posteriors.delta import Delta, delta
from nelbo.bayes.posteriors.full import FullNormal, full
from nelbo.bayes.posteriors.independent import MeanFieldNormal, mean_field
from nelbo.bayes.posteriors.k_tied import KTiedNormal, k_tied
from nelbo.bayes.posteriors.low_rank import LowRankNormal, low_rank

# from the tree of means, and keyword options, to the posterior
POSTERIORS: Mapping[str, Callable[..., SharedPosterior]] = {
    "delta": delta,
    "mean-field": mean_field,
    "k-tied": k_tied,
    "low-rank": low_rank,
    "full": full,
    "chain": chain,
}

__all__ = ["POSTERIORS", "ChainNormal", "Delta", "FullNormal", "KTiedNormal", "LowRankNormal", "MeanFieldNormal"]
