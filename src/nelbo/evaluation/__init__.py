"""Numbers about a fitted model."""

from nelbo.evaluation.amortization import Refinement, refinements
from nelbo.evaluation.bounds import Score, Terms, elbo, importance_bound, importance_terms, jackknife_variance
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
from nelbo.evaluation.smoothing import smoothing_error
from nelbo.evaluation.variance import estimators, gradient_noise, settled, variance_report

__all__ = [
    "DRAWS",
    "INTERVALS",
    "PUBLISHED",
    "SHORT",
    "Normalizer",
    "Predictive",
    "Refinement",
    "Reliability",
    "Score",
    "Terms",
    "active_units",
    "binned",
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
    "refinements",
    "settled",
    "smoothing_error",
    "topic_words",
    "variance_report",
]
