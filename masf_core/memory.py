"""Memory for large arrays."""
from __future__ import annotations

import ctypes

import numpy as np

ALIGNMENT = 64  # bytes; TensorFlow takes arrays that start at a multiple of it without a copy
_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4  # of <malloc.h>


def aligned_empty(shape, dtype):
    """``np.empty``, C-contiguous, whose memory starts at a multiple of ``ALIGNMENT``."""
    size = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
    memory = np.empty(size + ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % ALIGNMENT
    return memory[start:start + size].view(dtype).reshape(shape)


def keep_freed_memory():
    """Have the C library keep what is freed for the next allocation, instead of returning it to the system.

    A snapshot of AlexNet's state needs 1.2 GB for a while at every interval. To copy them takes 0.2 s, to be given them
    afresh by the system a second or several, in which training stands still. The process is as large at its peak, and
    stays as large afterwards. For the whole process; returns whether the library (glibc) understood.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    return bool(mallopt(_M_MMAP_MAX, 0)) and bool(mallopt(_M_TRIM_THRESHOLD, 2 ** 31 - 1))
