"""Laws that every model, objective and codec obeys, to be run on the parts that users write themselves."""

from nelbo.testing.codecs import check_codec
from nelbo.testing.models import check_model
from nelbo.testing.objectives import check_objective
from nelbo.testing.statistics import assert_below, assert_same_mean, assert_unbiased

__all__ = ["assert_below", "assert_same_mean", "assert_unbiased", "check_codec", "check_model", "check_objective"]
