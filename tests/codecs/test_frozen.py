"""Streams of format 1 still decode: in this version of JAX, and with other threads and reductions.

The files were written by `python tests/codecs/freeze.py`. A change that breaks them needs a new format version, under
which these must still be read.
"""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import nelbo
from nelbo.codecs import decompress

FROZEN = Path(__file__).parent / "frozen"
FILES = sorted(FROZEN.glob("*.nlb"))
SETTINGS = {
    "one thread": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
    "fast math": "--xla_cpu_enable_fast_math=true --xla_cpu_fast_math_honor_nans=false",
    "no optimization": "--xla_backend_optimization_level=0",
}


def test_there_are_streams():
    assert len(FILES) >= 4


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_stream_of_format_1_decodes(path):
    assert np.array_equal(decompress(path.read_bytes()), np.load(path.with_suffix(".npy")))


@pytest.mark.slow
@pytest.mark.parametrize("flags", SETTINGS.values(), ids=list(SETTINGS))
def test_streams_decode_with_other_settings_of_the_compiler(flags):
    code = (
        "import sys, numpy as np; from pathlib import Path; from nelbo.codecs import decompress\n"
        "for path in map(Path, sys.argv[1:]):\n"
        "    assert np.array_equal(decompress(path.read_bytes()), np.load(path.with_suffix('.npy'))), path"
    )
    environment = {**os.environ, "XLA_FLAGS": flags, "PYTHONPATH": str(Path(nelbo.__file__).parents[1])}
    subprocess.run([sys.executable, "-c", code, *map(str, FILES)], check=True, env=environment, timeout=300)
