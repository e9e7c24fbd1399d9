"""Numbers about a fitted model."""

from nelbo.evaluation.amortization import Refinement, refinements
from nelbo.evaluation.annealing import (
    CHAINS,
    STARTS,
    TEMPERATURES,
    Bracket,
    annealed_importance,
    bracket,
    require_real_latents,
)
from nelbo.evaluation.bounds import Terms, elbo, importance_bound, importance_terms, jackknife_variance, tail_shape
from nelbo.evaluation.calibration import (
    INTERVALS,
    Reliability,
    binned,
    class_reliability,
    coverage,
    quantile_reliability,
)
from nelbo.evaluation.documents import perplexity, topic_words
from nelbo.evaluation.exact import exact_log_likelihood, posterior_bound
from nelbo.evaluation.latents import active_units, posterior_mean, posterior_means
from nelbo.evaluation.normalizers import PUBLISHED, SHORT, Normalizer, ladder, log_normalizer, normalized
from nelbo.evaluation.predictive import DRAWS, Predictive, mixture_quantile, predictive
from nelbo.evaluation.reciprocal import reciprocal_importance
from nelbo.evaluation.rows import RowTerms, row_terms
from nelbo.evaluation.score import Score
from nelbo.evaluation.smoothing import smoothing_error
from nelbo.evaluation.variance import estimators, gradient_noise, settled, variance_report

__all__ = [
    "CHAINS",
    "DRAWS",
    "INTERVALS",
    "PUBLISHED",
    "SHORT",
    "STARTS",
    "TEMPERATURES",
    "Bracket",
    "Normalizer",
    "Predictive",
    "Refinement",
    "Reliability",
    "RowTerms",
    "Score",
    "Terms",
    "active_units",
    "annealed_importance",
    "binned",
    "bracket",
    "class_reliability",
    "coverage",
    "elbo",
    "estimators",
    "exact_log_likelihood",
    "gradient_noise",
    "importance_bound",
    "importance_terms",
    "jackknife_variance",
    "ladder",
    "log_normalizer",
    "mixture_quantile",
    "normalized",
    "perplexity",
    "posterior_bound",
    "posterior_mean",
    "posterior_means",
    "predictive",
    "quantile_reliability",
    "reciprocal_importance",
    "refinements",
    "require_real_latents",
    "row_terms",
    "settled",
    "smoothing_error",
    "tail_shape",
    "topic_words",
    "variance_report",
]
