"""What NumPyro lacks, and the two operations that models need: a masked total and a closed-form KL."""

from numpyro.distributions import Distribution, Normal

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
    closed_form_kl,
    example_shape,
    total_log_prob,
    uniforms,
)
from nelbo.distributions.joint import AutoregressiveBernoulli, BagOfWords
from nelbo.distributions.moments import FUNCTIONS, MOMENTS, moments
from nelbo.distributions.sequential import BernoulliMixture, Nade, SequentialBernoulli

__all__ = [
    "FUNCTIONS",
    "MOMENTS",
    "AutoregressiveBernoulli",
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
    "Nade",
    "Normal",
    "RankOneNormal",
    "SequentialBernoulli",
    "closed_form_kl",
    "example_shape",
    "moments",
    "total_log_prob",
    "uniforms",
]
