"""Memory as TensorFlow likes it."""
from __future__ import annotations

import numpy as np

ALIGNMENT = 64  # bytes; TensorFlow takes arrays that start at a multiple of it without a copy


def aligned_empty(shape, dtype):
    """``np.empty``, C-contiguous, whose memory starts at a multiple of ``ALIGNMENT``."""
    size = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
    memory = np.empty(size + ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % ALIGNMENT
    return memory[start:start + size].view(dtype).reshape(shape)
