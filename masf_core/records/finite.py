"""Whether the values of variables are numbers: a loss can be finite while weights are not, where ReLU hides them."""
from __future__ import annotations

from typing import List, Mapping

import numpy as np

PIECE = 1 << 20  # values looked at in one go: the answers for a whole array would take a quarter of its memory


def not_finite(arrays: Mapping[str, np.ndarray]) -> List[str]:
    """Names of the arrays that hold a value which is NaN or infinite.

    One sum for each array, which such a value makes NaN or infinite. A sum may also overflow; then every value is
    looked at.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        suspects = [name for name, array in arrays.items() if not np.isfinite(np.sum(array))]
    return [name for name in suspects if not _all_finite(arrays[name])]


def _all_finite(array: np.ndarray) -> bool:
    values = array.reshape(-1, order="A")
    return all(np.isfinite(values[start:start + PIECE]).all() for start in range(0, values.size, PIECE))
