"""Memory for large arrays."""
from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

from masf_core.memory import ALIGNMENT, aligned_empty

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

# Prints the resident MB that 200 MB leave behind once they are freed.
FREED = """
import sys
import numpy as np
from masf_core.memory import keep_freed_memory

def resident():
    with open("/proc/self/statm") as stream:
        return int(stream.read().split()[1]) * 4096 / 1e6

if sys.argv[1] == "keep":
    assert keep_freed_memory()
before = resident()
for _ in range(5):
    array = np.ones(50 * 1000 * 1000, np.float32)
    del array
print(resident() - before)
"""


@pytest.mark.parametrize("shape", [(), (0, 3), (5,), (3, 4, 5)])
def test_aligned_arrays_are_ordinary_ones(shape):
    array = aligned_empty(shape, np.float32)
    array[...] = 2.0
    assert array.shape == shape and array.dtype == np.float32 and array.flags.c_contiguous
    assert array.size == 0 or array.ctypes.data % ALIGNMENT == 0
    np.testing.assert_array_equal(array, np.full(shape, 2.0, np.float32))


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="asks glibc")
def test_freed_memory_is_kept_for_the_next_allocation_and_no_more_than_that():
    def left(how):
        return float(subprocess.check_output([sys.executable, "-c", FREED, how], cwd=ROOT))

    assert left("return") < 50.0
    assert 150.0 < left("keep") < 250.0
