"""Markov kernels that leave a log density as it is."""

from nelbo.samplers.chain import run_chain
from nelbo.samplers.hamiltonian import Hamiltonian, HamiltonianState
from nelbo.samplers.independence import Independence, WeightedState
from nelbo.samplers.kernel import Info, Kernel

__all__ = ["Hamiltonian", "HamiltonianState", "Independence", "Info", "Kernel", "WeightedState", "run_chain"]
