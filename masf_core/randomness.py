"""Randomness as a function of (seed, purpose, ...), so that no generator's state ever needs saving."""

from __future__ import annotations

import hashlib
import json
import operator
from typing import Any

import numpy as np


def derive_seed(seed: int, *purpose: Any) -> int:
    """An int in [0, 2**31) that depends on `seed` and every part of `purpose`, and on nothing else.

    The parts are strings and integers (NumPy's too); `("a", 1)`, `("a", "1")` and `("a1",)` differ. The value is
    the head of a SHA-256 digest: the same on every machine, interpreter and NumPy version.
    Raises TypeError for a part of another type.
    """
    parts = [part if isinstance(part, str) else operator.index(part) for part in (seed,) + purpose]
    digest = hashlib.sha256(json.dumps(parts).encode("ascii")).digest()
    return int.from_bytes(digest[:4], "big") & 0x7FFFFFFF


def generator(seed: int, *purpose: Any) -> np.random.RandomState:
    """A fresh generator for this purpose alone. RandomState's streams are frozen across NumPy versions."""
    return np.random.RandomState(derive_seed(seed, *purpose))
