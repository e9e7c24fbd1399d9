"""Strict JAX in every test: a reused key, a silent promotion of types or of ranks is an error."""

import importlib.util
import os

WORKER = os.environ.get("PYTEST_XDIST_WORKER", "").removeprefix("gw")
if WORKER and hasattr(os, "sched_setaffinity"):
    # a core for each worker: the threads of two JAX processes on the same cores wait for each other by spinning;
    # JAX counts its cores once, when it starts
    CORES = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {CORES[int(WORKER) % len(CORES)]})

# most of the time of the tests is compilation, and most of what is compiled runs once
os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0")

if importlib.util.find_spec("jax") is not None:  # the tests of the architecture read sources, and need no package
    import jax

    jax.config.update("jax_debug_key_reuse", True)
    jax.config.update("jax_numpy_rank_promotion", "raise")
    jax.config.update("jax_numpy_dtype_promotion", "strict")
