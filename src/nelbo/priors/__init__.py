"""Priors p(z | context): Gaussian processes in dense and state-space form, recurrent priors and flows over time,
factorized densities, bands of pictures.

Names are imported on first use, so that the codec of pictures, which needs the layout of bands alone, needs no JAX.
"""

from typing import TYPE_CHECKING

from nelbo._lazy import lazy

if TYPE_CHECKING:
    from nelbo.priors.autoregressive import AutoregressiveFlow as AutoregressiveFlow
    from nelbo.priors.autoregressive import Past as Past
    from nelbo.priors.autoregressive import RecentPast as RecentPast
    from nelbo.priors.autoregressive import RecurrentPast as RecurrentPast
    from nelbo.priors.autoregressive import independent_normals as independent_normals
    from nelbo.priors.conditioned import ConditionedProcess as ConditionedProcess
    from nelbo.priors.conditioned import GivenReadings as GivenReadings
    from nelbo.priors.factorized import FactorizedDensity as FactorizedDensity
    from nelbo.priors.factorized import FactorizedMass as FactorizedMass
    from nelbo.priors.inducing import InducingMemory as InducingMemory
    from nelbo.priors.inducing import InducingPosterior as InducingPosterior
    from nelbo.priors.inducing import InducingStatistics as InducingStatistics
    from nelbo.priors.inducing import inducing_bound as inducing_bound
    from nelbo.priors.inducing import inducing_posterior as inducing_posterior
    from nelbo.priors.inducing import inducing_root as inducing_root
    from nelbo.priors.inducing import inducing_statistics as inducing_statistics
    from nelbo.priors.inducing import whitened as whitened
    from nelbo.priors.kernels import KERNELS as KERNELS
    from nelbo.priors.kernels import Kernel as Kernel
    from nelbo.priors.kernels import kernel_named as kernel_named
    from nelbo.priors.layout import COARSE as COARSE
    from nelbo.priors.layout import COLOURS as COLOURS
    from nelbo.priors.layout import coarse_bands as coarse_bands
    from nelbo.priors.layout import coarse_basis as coarse_basis
    from nelbo.priors.layout import coarse_log_spread as coarse_log_spread
    from nelbo.priors.layout import image_bands as image_bands
    from nelbo.priors.layout import log_spread as log_spread
    from nelbo.priors.layout import typical_logs as typical_logs
    from nelbo.priors.processes import JITTER as JITTER
    from nelbo.priors.processes import DenseProcess as DenseProcess
    from nelbo.priors.processes import GaussianProcess as GaussianProcess
    from nelbo.priors.processes import MarkovProcess as MarkovProcess
    from nelbo.priors.processes import gaussian_process as gaussian_process
    from nelbo.priors.smoothed import SmoothedProcess as SmoothedProcess
    from nelbo.priors.state_space import Chain as Chain
    from nelbo.priors.state_space import Filtered as Filtered
    from nelbo.priors.state_space import chain as chain
    from nelbo.priors.state_space import joined as joined
    from nelbo.priors.state_space import kalman_filter as kalman_filter
    from nelbo.priors.state_space import kalman_smoother as kalman_smoother

_HOMES = {
    "AutoregressiveFlow": "autoregressive",
    "COARSE": "layout",
    "COLOURS": "layout",
    "Chain": "state_space",
    "ConditionedProcess": "conditioned",
    "GivenReadings": "conditioned",
    "DenseProcess": "processes",
    "FactorizedDensity": "factorized",
    "FactorizedMass": "factorized",
    "Filtered": "state_space",
    "GaussianProcess": "processes",
    "InducingMemory": "inducing",
    "InducingPosterior": "inducing",
    "InducingStatistics": "inducing",
    "JITTER": "processes",
    "KERNELS": "kernels",
    "Kernel": "kernels",
    "MarkovProcess": "processes",
    "Past": "autoregressive",
    "RecentPast": "autoregressive",
    "RecurrentPast": "autoregressive",
    "SmoothedProcess": "smoothed",
    "chain": "state_space",
    "coarse_bands": "layout",
    "coarse_basis": "layout",
    "coarse_log_spread": "layout",
    "gaussian_process": "processes",
    "image_bands": "layout",
    "inducing_bound": "inducing",
    "inducing_posterior": "inducing",
    "inducing_root": "inducing",
    "inducing_statistics": "inducing",
    "independent_normals": "autoregressive",
    "joined": "state_space",
    "kalman_filter": "state_space",
    "kalman_smoother": "state_space",
    "kernel_named": "kernels",
    "log_spread": "layout",
    "typical_logs": "layout",
    "whitened": "inducing",
}

__all__ = [*_HOMES]  # noqa: PLE0604 (all are strings)

__getattr__, __dir__ = lazy(__name__, _HOMES)
