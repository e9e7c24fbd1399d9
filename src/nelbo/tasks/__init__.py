"""Answers for a user."""

from nelbo.tasks.baselines import NEIGHBOURS, Filling, filling_scores, imputation_scores, mean_fill, neighbour_fill
from nelbo.tasks.cautions import Columns
from nelbo.tasks.complexity import compressed_bits
from nelbo.tasks.embed import embed
from nelbo.tasks.filled import Imputation
from nelbo.tasks.generate import decode, manifold, reconstruct, sample
from nelbo.tasks.impute import COVERAGE, chain_frames, impute
from nelbo.tasks.methods import METHODS, ImputationSettings, default_method
from nelbo.tasks.novelty import (
    FALSE_DISCOVERIES,
    SCORES,
    Novelty,
    conformal_p_values,
    detection_scores,
    discoveries,
    novelty,
)
from nelbo.tasks.pairs import (
    Answers,
    Errors,
    pair_errors,
    pairs_in,
    posterior_of,
    predict_pairs,
    predictive_score,
)
from nelbo.tasks.pooling import Pooled, pool
from nelbo.tasks.predict import Prediction, predict
from nelbo.tasks.rows import hide, rows_as_seen, spoiled
from nelbo.tasks.series import (
    SERIES_DRAWS,
    FramePrediction,
    SeriesErrors,
    crps,
    follows_past,
    predict_frames,
    series_errors,
)
from nelbo.tasks.swap import require_static, sequence_codes, swap

__all__ = [
    "COVERAGE",
    "FALSE_DISCOVERIES",
    "METHODS",
    "NEIGHBOURS",
    "SCORES",
    "SERIES_DRAWS",
    "Answers",
    "Columns",
    "Errors",
    "Filling",
    "FramePrediction",
    "Imputation",
    "ImputationSettings",
    "Novelty",
    "Pooled",
    "Prediction",
    "SeriesErrors",
    "chain_frames",
    "compressed_bits",
    "conformal_p_values",
    "crps",
    "decode",
    "default_method",
    "detection_scores",
    "discoveries",
    "embed",
    "filling_scores",
    "follows_past",
    "hide",
    "imputation_scores",
    "impute",
    "manifold",
    "mean_fill",
    "neighbour_fill",
    "novelty",
    "pair_errors",
    "pairs_in",
    "pool",
    "posterior_of",
    "predict",
    "predict_frames",
    "predict_pairs",
    "predictive_score",
    "reconstruct",
    "require_static",
    "rows_as_seen",
    "sample",
    "sequence_codes",
    "series_errors",
    "spoiled",
    "swap",
]
