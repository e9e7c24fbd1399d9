"""What NumPyro lacks, and the two operations that models need: a masked total and a closed-form KL."""

from numpyro.distributions import Distribution

from nelbo.distributions.banded import BandedNormal
from nelbo.distributions.columns import COLUMN_KINDS, LEVELS, ONE_NUMBER, Columns, by_kind, column_widths
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
    Completable,
    Marginalizable,
    closed_form_kl,
    example_shape,
    total_log_prob,
    uniforms,
)
from nelbo.distributions.events import (
    END,
    HawkesProcess,
    PointProcess,
    PoissonProcess,
    RmtppProcess,
    excitations,
    next_gap,
    thinned,
)
from nelbo.distributions.joint import AutoregressiveBernoulli, BagOfWords
from nelbo.distributions.moments import FUNCTIONS, MOMENTS, moments
from nelbo.distributions.moved import Offset, free_parameters, from_noise, moved, no_offset
from nelbo.distributions.neural_hawkes import NeuralHawkesProcess, hidden_at
from nelbo.distributions.normal import Normal
from nelbo.distributions.orderless import OrderAgnosticNade, observed_first
from nelbo.distributions.quantized import DENSITY_SHAPES, LEAST_MASS, Rounded, UnitMass, UnitUniform
from nelbo.distributions.ratings import AveragedNormal, Ordinal
from nelbo.distributions.readings import READINGS, Reading, reading
from nelbo.distributions.scores import Scored
from nelbo.distributions.sequential import BernoulliMixture, Nade, SequentialBernoulli
from nelbo.distributions.simplex import LEAST, Dirichlet, OneHot, expected_log, log_beta, log_proportions
from nelbo.distributions.sobol import sobol_normals, sobol_uniforms
from nelbo.distributions.supports import cell_can_be, cell_values, check_support, class_count
from nelbo.distributions.targets import Poisson, StudentT

__all__ = [
    "COLUMN_KINDS",
    "DENSITY_SHAPES",
    "END",
    "FUNCTIONS",
    "LEAST",
    "LEAST_MASS",
    "LEVELS",
    "MOMENTS",
    "ONE_NUMBER",
    "READINGS",
    "AutoregressiveBernoulli",
    "AveragedNormal",
    "BagOfWords",
    "BandedNormal",
    "Bernoulli",
    "BernoulliMixture",
    "BetaBinomial",
    "BinaryUnits",
    "Categorical",
    "CholeskyNormal",
    "Columns",
    "Completable",
    "CorrelatedNormal",
    "Dirichlet",
    "DiscretizedLogistic",
    "Distribution",
    "HawkesProcess",
    "LowRankNormal",
    "Marginalizable",
    "Nade",
    "NeuralHawkesProcess",
    "Normal",
    "Offset",
    "OneHot",
    "OrderAgnosticNade",
    "Ordinal",
    "PointProcess",
    "Poisson",
    "PoissonProcess",
    "RankOneNormal",
    "Reading",
    "RmtppProcess",
    "Rounded",
    "Scored",
    "SequentialBernoulli",
    "StudentT",
    "UnitMass",
    "UnitUniform",
    "by_kind",
    "cell_can_be",
    "cell_values",
    "check_support",
    "class_count",
    "closed_form_kl",
    "column_widths",
    "example_shape",
    "excitations",
    "expected_log",
    "free_parameters",
    "from_noise",
    "hidden_at",
    "log_beta",
    "log_proportions",
    "moments",
    "moved",
    "next_gap",
    "no_offset",
    "observed_first",
    "reading",
    "sobol_normals",
    "sobol_uniforms",
    "thinned",
    "total_log_prob",
    "uniforms",
]
