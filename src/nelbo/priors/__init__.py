"""Priors p(z | context): Gaussian processes over time and their state-space forms."""

from nelbo.priors.conditioned import ConditionedProcess
from nelbo.priors.gaussian_process import (
    JITTER,
    DenseProcess,
    GaussianProcess,
    MarkovProcess,
    gaussian_process,
)
from nelbo.priors.kernels import KERNELS, Kernel, kernel_named
from nelbo.priors.smoothed import SmoothedProcess
from nelbo.priors.state_space import Chain, Filtered, chain, joined, kalman_filter, kalman_smoother

__all__ = [
    "JITTER",
    "KERNELS",
    "Chain",
    "ConditionedProcess",
    "DenseProcess",
    "Filtered",
    "GaussianProcess",
    "Kernel",
    "MarkovProcess",
    "SmoothedProcess",
    "chain",
    "gaussian_process",
    "joined",
    "kalman_filter",
    "kalman_smoother",
    "kernel_named",
]
