"""Strict JAX in every test: a reused key, a silent promotion of types or of ranks is an error. And compiled programs
are kept, for the other worker, for commands in processes of their own, and for the next run of the tests."""

import gc
import importlib.util
import os
import shutil
from collections import Counter
from pathlib import Path

import pytest

# What is traced and compiled stays until the end and makes garbage collection slow: rare is enough.
gc.set_threshold(50_000, 20, 20)

WORKER = os.environ.get("PYTEST_XDIST_WORKER", "").removeprefix("gw")
if WORKER and hasattr(os, "sched_setaffinity"):
    # a core for each worker: the threads of two JAX processes on the same cores wait for each other by spinning;
    # JAX counts its cores once, when it starts
    CORES = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {CORES[int(WORKER) % len(CORES)]})

# Most of the time of the tests is compilation, and most of what is compiled runs once: no optimization, the plainer of
# XLA's two code generators (half the time of the other), and each program in one piece (a worker has one core).
os.environ.setdefault(
    "XLA_FLAGS",
    "--xla_backend_optimization_level=0 --xla_cpu_use_fusion_emitters=false --xla_cpu_parallel_codegen_split_count=1"
    # the command line's own, so that its processes find what is compiled
    " --xla_backend_extra_options=-unroll-full-max-count=0",
)

# Below pytest's own cache, which git ignores. JAX writes an entry in place, so another process may read half of it:
# that fails its checksum, is compiled anew, and warns (ignored in pyproject.toml).
COMPILED = Path(__file__).parents[1] / ".pytest_cache" / "compiled"
MANY = 30_000  # entries, of 7 kB on average; a run from nothing makes some thousands
SETTINGS = {
    "jax_compilation_cache_dir": str(COMPILED),
    "jax_persistent_cache_min_compile_time_secs": 0,
    "jax_persistent_cache_min_entry_size_bytes": -1,
}
for name, value in SETTINGS.items():  # for commands in processes of their own
    os.environ[name.upper()] = str(value)
if not WORKER and COMPILED.is_dir() and sum(1 for _ in COMPILED.iterdir()) > MANY:
    shutil.rmtree(COMPILED)

if importlib.util.find_spec("jax") is not None:  # the tests of the architecture read sources, and need no package
    import jax

    for name, value in SETTINGS.items():  # a plugin may have imported JAX before
        jax.config.update(name, value)
    jax.config.update("jax_debug_key_reuse", True)
    jax.config.update("jax_numpy_rank_promotion", "raise")
    jax.config.update("jax_numpy_dtype_promotion", "strict")

if importlib.util.find_spec("beartype") is not None and importlib.util.find_spec("jaxtyping") is not None:
    import typecheck

    typecheck.install("nelbo")

if importlib.util.find_spec("hypothesis") is not None:
    import hypothesis

    # the same examples in every run: shapes that differ would be compiled anew
    hypothesis.settings.register_profile("fixed", derandomize=True)
    hypothesis.settings.load_profile("fixed")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Of the cases of a test marked `share(n)`, the first and every n-th after it are fast; the others are slow."""
    seen = Counter()
    for item in items:
        marked = item.get_closest_marker("share")
        if marked is not None and item.get_closest_marker("slow") is None:
            name = item.nodeid.partition("[")[0]
            if seen[name] % marked.args[0]:
                item.add_marker(pytest.mark.slow)
            seen[name] += 1
