"""What NumPyro lacks, and the two operations that models need: a masked total and a closed-form KL."""

from numpyro.distributions import Distribution

from nelbo.distributions.correlated import (
    CholeskyNormal,
    CorrelatedNormal,
    LowRankNormal,
    RankOneNormal,
)
from nelbo.distributions.counts import BetaBinomial, Categorical, DiscretizedLogistic
from nelbo.distributions.elementary import (
    Bernoulli,
    BinaryUnits,
    Marginalizable,
    closed_form_kl,
    example_shape,
    total_log_prob,
    uniforms,
)
from nelbo.distributions.joint import AutoregressiveBernoulli, BagOfWords
from nelbo.distributions.moments import FUNCTIONS, MOMENTS, moments
from nelbo.distributions.normal import Normal
from nelbo.distributions.ratings import AveragedNormal, Ordinal
from nelbo.distributions.readings import READINGS, Reading, reading
from nelbo.distributions.sequential import BernoulliMixture, Nade, SequentialBernoulli
from nelbo.distributions.supports import check_support

__all__ = [
    "FUNCTIONS",
    "MOMENTS",
    "READINGS",
    "AutoregressiveBernoulli",
    "AveragedNormal",
    "BagOfWords",
    "Bernoulli",
    "BernoulliMixture",
    "BetaBinomial",
    "BinaryUnits",
    "Categorical",
    "CholeskyNormal",
    "CorrelatedNormal",
    "DiscretizedLogistic",
    "Distribution",
    "LowRankNormal",
    "Marginalizable",
    "Nade",
    "Normal",
    "Ordinal",
    "RankOneNormal",
    "Reading",
    "SequentialBernoulli",
    "check_support",
    "closed_form_kl",
    "example_shape",
    "moments",
    "reading",
    "total_log_prob",
    "uniforms",
]
