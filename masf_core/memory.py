"""Memory for large arrays."""
from __future__ import annotations

import ctypes
from typing import Any, Sequence

import numpy as np

ALIGNMENT = 64  # bytes; TensorFlow takes arrays that start at a multiple of it without a copy
_M_TRIM_THRESHOLD, _M_MMAP_MAX, _M_ARENA_MAX = -1, -4, -8  # of <malloc.h>


def aligned_empty(shape: Sequence[int], dtype: Any) -> np.ndarray:
    """As ``np.empty``, C-contiguous, in memory that starts at a multiple of ``ALIGNMENT``."""
    size = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
    memory = np.empty(size + ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % ALIGNMENT
    return memory[start:start + size].view(dtype).reshape(shape)


def keep_freed_memory() -> bool:
    """Make the C library keep freed memory for the next allocation, instead of returning it to the system.

    An iteration of TensorFlow 1.15 allocates and frees gigabytes in pieces of up to 150 MB, and spends a tenth of its
    time on getting the pages from the system again. A snapshot of AlexNet's state needs 1.2 GB for a moment at every
    interval: copying takes 0.2 s, but getting the memory from the system takes one or several seconds, in which
    training stops. The peak size of the process stays the same, but the process keeps that size. The setting holds for
    the whole process; call this before the first large allocation.

    Returns:
        Whether the library supports it (glibc does).
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    # One arena: other arenas cannot grow past 64 MB, and would get larger pieces from the system anyway.
    return all(mallopt(name, value) == 1 for name, value in (
        (_M_MMAP_MAX, 0), (_M_TRIM_THRESHOLD, 2 ** 31 - 1), (_M_ARENA_MAX, 1)))
