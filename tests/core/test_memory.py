"""Memory that a process keeps."""

import platform
import subprocess
import sys

import pytest

TOUCH = """
import ctypes, resource
from nelbo.core.memory import keep_memory
said = keep_memory()
library = ctypes.CDLL(None)
library.malloc.restype, library.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
library.free.argtypes, library.memset.argtypes = [ctypes.c_void_p], [ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t]
for _ in range(2):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    block = library.malloc(100 << 20)
    library.memset(block, 1, 100 << 20)
    library.free(block)
print(said, resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="of glibc")
def test_a_large_block_is_cleared_once():
    told = subprocess.run([sys.executable, "-c", TOUCH], capture_output=True, text=True, check=True).stdout.split()
    assert told[0] == "True"
    assert int(told[1]) < 100  # of the 25,600 pages of the block
