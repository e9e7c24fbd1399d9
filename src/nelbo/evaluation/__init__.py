"""Numbers about a fitted model."""

from nelbo.evaluation.bounds import Score, Terms, elbo, importance_bound, importance_terms, jackknife_variance
from nelbo.evaluation.documents import perplexity, topic_words
from nelbo.evaluation.exact import exact_log_likelihood, posterior_bound
from nelbo.evaluation.latents import active_units, posterior_mean, posterior_means
from nelbo.evaluation.smoothing import smoothing_error
from nelbo.evaluation.variance import estimators, gradient_noise, settled, variance_report

__all__ = [
    "Score",
    "Terms",
    "active_units",
    "elbo",
    "estimators",
    "exact_log_likelihood",
    "gradient_noise",
    "importance_bound",
    "importance_terms",
    "jackknife_variance",
    "perplexity",
    "posterior_bound",
    "posterior_mean",
    "posterior_means",
    "settled",
    "smoothing_error",
    "topic_words",
    "variance_report",
]
