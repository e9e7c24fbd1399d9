"""Streams of every format still decode: in this version of JAX, and with other threads and reductions.

The files were written by `tests/codecs/freeze.py`. A change that breaks them needs a new format, under which these must
still be read.
"""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import nelbo
from nelbo.codecs import FORMAT, decompress, describe

FROZEN = Path(__file__).parent / "frozen"
FILES = {str(path.relative_to(FROZEN).with_suffix("")): path for path in sorted(FROZEN.rglob("*.nlb"))}
SETTINGS = {
    "one thread": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
    "fast math": "--xla_cpu_enable_fast_math=true --xla_cpu_fast_math_honor_nans=false",
    "no optimization": "--xla_backend_optimization_level=0",
}


def number(name):
    """Of the format, by the folder."""
    return int(name.split("/")[0]) if "/" in name else 1


def comes_back(path):
    context = path.with_suffix(".context.npy")
    back = decompress(path.read_bytes(), context=np.load(context) if context.exists() else None)
    return np.array_equal(back, np.load(path.with_suffix(".npy")))


def test_there_are_streams_of_every_format():
    assert {number(name) for name in FILES} == set(range(1, FORMAT + 1))
    assert all(sum(number(name) == one for name in FILES) >= 8 for one in (1, FORMAT))


@pytest.mark.share(4)
@pytest.mark.parametrize("name", FILES)
def test_a_stream_decodes(name):
    assert describe(FILES[name].read_bytes())["format"] == number(name)
    assert comes_back(FILES[name])


@pytest.mark.slow
@pytest.mark.parametrize("flags", SETTINGS.values(), ids=list(SETTINGS))
def test_streams_decode_with_other_settings_of_the_compiler(flags):
    code = "import sys; from pathlib import Path; from test_frozen import comes_back\n"
    code += "for path in map(Path, sys.argv[1:]):\n    assert comes_back(path), path"
    roots = [str(Path(nelbo.__file__).parents[1]), str(Path(__file__).parent)]
    environment = {**os.environ, "XLA_FLAGS": flags, "PYTHONPATH": os.pathsep.join(roots)}
    subprocess.run([sys.executable, "-c", code, *map(str, FILES.values())], check=True, env=environment, timeout=600)
