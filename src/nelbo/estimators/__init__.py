"""nelbo's models as scikit-learn estimators: `fit`, `transform`, `score_samples` on arrays and data frames.

They are thin layers over `nelbo.runs` and `nelbo.tasks`: an estimator holds a run, and `save` writes it as a run folder
that the command line reads.
"""

from nelbo.estimators.arrays import DLGM, SBN, VAE, FactorAnalyzer
from nelbo.estimators.base import RunEstimator, load
from nelbo.estimators.frames import NoveltyDetector, TableImputer
from nelbo.estimators.series import SeriesModel

__all__ = [
    "DLGM",
    "SBN",
    "VAE",
    "FactorAnalyzer",
    "NoveltyDetector",
    "RunEstimator",
    "SeriesModel",
    "TableImputer",
    "load",
]
