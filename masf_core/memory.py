"""Memory for large arrays."""
from __future__ import annotations

import ctypes
from typing import Any, Sequence

import numpy as np

ALIGNMENT = 64  # bytes; TensorFlow takes arrays that start at a multiple of it without a copy
_M_TRIM_THRESHOLD, _M_MMAP_MAX, _M_ARENA_MAX = -1, -4, -8  # of <malloc.h>


def aligned_empty(shape: Sequence[int], dtype: Any) -> np.ndarray:
    """``np.empty``, C-contiguous, whose memory starts at a multiple of ``ALIGNMENT``."""
    size = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
    memory = np.empty(size + ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % ALIGNMENT
    return memory[start:start + size].view(dtype).reshape(shape)


def keep_freed_memory() -> bool:
    """Have the C library keep what is freed for the next allocation, instead of returning it to the system.

    An iteration of TensorFlow 1.15 allocates and frees gigabytes in pieces of up to 150 MB, and a tenth of its time
    goes into being given them afresh by the system, page by page. A snapshot of AlexNet's state needs 1.2 GB for a
    while at every interval: to copy them takes 0.2 s, to be given them a second or several, in which training stands
    still. The process is as large at its peak, and stays as large afterwards. For the whole process; to be called
    before the first large allocation. Returns whether the library (glibc) understood.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    # One arena: the others cannot grow past 64 MB, and would have larger pieces from the system after all.
    return all(mallopt(name, value) == 1 for name, value in (
        (_M_MMAP_MAX, 0), (_M_TRIM_THRESHOLD, 2 ** 31 - 1), (_M_ARENA_MAX, 1)))
