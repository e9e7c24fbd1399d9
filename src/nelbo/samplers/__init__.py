"""Markov kernels that leave a log density as it is, and chains that are led from one density to another."""

from nelbo.samplers.annealing import (
    Annealed,
    annealed,
    learned_steps,
    linear_betas,
    piecewise_betas,
    sigmoid_betas,
)
from nelbo.samplers.chain import run_chain
from nelbo.samplers.flips import BitFlips
from nelbo.samplers.gibbs import BlockGibbs
from nelbo.samplers.hamiltonian import Hamiltonian, HamiltonianState, NoUTurn
from nelbo.samplers.independence import Independence, WeightedState
from nelbo.samplers.kernel import Info, Kernel
from nelbo.samplers.parallel_tempering import ParallelTempering

__all__ = [
    "Annealed",
    "BitFlips",
    "BlockGibbs",
    "Hamiltonian",
    "HamiltonianState",
    "Independence",
    "Info",
    "Kernel",
    "NoUTurn",
    "ParallelTempering",
    "WeightedState",
    "annealed",
    "learned_steps",
    "linear_betas",
    "piecewise_betas",
    "run_chain",
    "sigmoid_betas",
]
