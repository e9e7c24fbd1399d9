"""Priors over a tree of arrays by name: a file and a row each."""

from collections.abc import Callable, Mapping

from nelbo.bayes.contracts import SharedPrior
from nelbo.bayes.priors.hierarchical import HierarchicalPrior, hierarchical
from nelbo.bayes.priors.horseshoe import HorseshoePrior, horseshoe
from nelbo.bayes.priors.laplace import LaplacePrior, laplace
from nelbo.bayes.priors.normal import LearnedNormalPrior, NormalPrior, learned_normal, normal

# from the tree of the posterior's means, and keyword options, to the prior
PRIORS: Mapping[str, Callable[..., SharedPrior]] = {
    "normal": normal,
    "learned-normal": learned_normal,
    "hierarchical": hierarchical,
    "laplace": laplace,
    "horseshoe": horseshoe,
}

__all__ = ["PRIORS", "HierarchicalPrior", "HorseshoePrior", "LaplacePrior", "LearnedNormalPrior", "NormalPrior"]
