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
from nelbo.evaluation.bounds import (
    PRECISIONS,
    Terms,
    elbo,
    importance_bound,
    importance_terms,
    jackknife_variance,
    tail_shape,
)
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
from nelbo.evaluation.picture_quality import MIN_SIDE, bd_rate, ms_ssim, psnr
from nelbo.evaluation.predictive import DRAWS, Predictive, mixture_quantile, predictive
from nelbo.evaluation.rate_distortion import (
    RatePoint,
    blahut_arimoto,
    dual_bound,
    gaussian_rate,
    reverse_water_filling,
)
from nelbo.evaluation.rate_lower import DualBound, LogU, LowerLine, lower_line
from nelbo.evaluation.reciprocal import reciprocal_importance
from nelbo.evaluation.rows import RowTerms, row_terms
from nelbo.evaluation.sandwich import (
    Sandwich,
    Sandwiched,
    SandwichSettings,
    UpperPoint,
    sandwich,
    usual_slopes,
)
from nelbo.evaluation.score import Score
from nelbo.evaluation.smoothing import smoothing_error
from nelbo.evaluation.variance import estimators, gradient_noise, settled, variance_report

__all__ = [
    "CHAINS",
    "DRAWS",
    "INTERVALS",
    "MIN_SIDE",
    "PRECISIONS",
    "PUBLISHED",
    "SHORT",
    "STARTS",
    "TEMPERATURES",
    "Bracket",
    "DualBound",
    "LogU",
    "LowerLine",
    "Normalizer",
    "Predictive",
    "RatePoint",
    "Refinement",
    "Reliability",
    "RowTerms",
    "Sandwich",
    "SandwichSettings",
    "Sandwiched",
    "Score",
    "Terms",
    "UpperPoint",
    "active_units",
    "annealed_importance",
    "bd_rate",
    "binned",
    "blahut_arimoto",
    "bracket",
    "class_reliability",
    "coverage",
    "dual_bound",
    "elbo",
    "estimators",
    "exact_log_likelihood",
    "gaussian_rate",
    "gradient_noise",
    "importance_bound",
    "importance_terms",
    "jackknife_variance",
    "ladder",
    "log_normalizer",
    "lower_line",
    "mixture_quantile",
    "ms_ssim",
    "normalized",
    "perplexity",
    "posterior_bound",
    "posterior_mean",
    "posterior_means",
    "predictive",
    "psnr",
    "quantile_reliability",
    "reciprocal_importance",
    "refinements",
    "require_real_latents",
    "reverse_water_filling",
    "row_terms",
    "sandwich",
    "settled",
    "smoothing_error",
    "tail_shape",
    "topic_words",
    "usual_slopes",
    "variance_report",
]
