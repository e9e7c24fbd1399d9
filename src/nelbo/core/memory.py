"""What the C library does with memory that a step of training gives back."""

import ctypes
import os
import platform

# of mallopt, in malloc.h; of madvise, in linux/mman.h
_TRIM_THRESHOLD, _MMAP_MAX, _ARENA_MAX = -1, -4, -8
_HUGE_PAGES = 14
_NEVER = 2**31 - 1
_MOST = 4 << 30  # bytes that large pages are asked for
_LARGE_PAGE = 2 << 20


def keep_memory() -> bool:
    """Have this process keep what it frees, in large pages; whether that is possible here (it is with glibc).

    XLA allocates what a compiled call works in anew for each call. glibc takes large blocks from the kernel and gives
    them back at once, so each step of a convolutional network waits until tens of thousands of pages are cleared: a
    fifth of its processor time (docs/performance.md). Steps with small arrays gain nothing, and reading large tables
    loses by it. To be called before JAX computes anything: threads that have memory of their own keep it apart. The
    process holds the most memory that it ever used until it ends.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    library = ctypes.CDLL(None)
    kept = [library.mallopt(_MMAP_MAX, 0), library.mallopt(_TRIM_THRESHOLD, _NEVER), library.mallopt(_ARENA_MAX, 1)]
    library.malloc.restype, library.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
    library.free.argtypes, library.madvise.argtypes = (
        [ctypes.c_void_p],
        [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int],
    )
    size = min(_MOST, os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2)
    block = library.malloc(size)  # only addresses; nothing is in memory until it is written
    if block:
        first = -(-block // _LARGE_PAGE) * _LARGE_PAGE
        library.madvise(first, size - _LARGE_PAGE, _HUGE_PAGES)
        library.free(block)
    return all(kept)
