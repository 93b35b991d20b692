"""Reading a pickle that is not trusted: NumPy arrays in dicts, lists and tuples, and nothing else.

`unpickler.py` runs the program that a pickle is. Here are the few names that pickles of arrays use.
"""

from __future__ import annotations

from typing import Any, BinaryIO, Optional

import numpy as np

from masf_core.network.budget import Budget
from masf_core.network.formats.content import is_shape
from masf_core.network.unpickler import Bounded, Note, Refused, Unpickler, carried_out, text_of
from masf_core.words import shown

# What array pickles name, as Python 2, NumPy 1 and NumPy 2 spell it.
_RECONSTRUCT = {(module, "_reconstruct") for module in ("numpy.core.multiarray", "numpy._core.multiarray")}
_SCALAR = {(module, "scalar") for module in ("numpy.core.multiarray", "numpy._core.multiarray")}


def load(stream: BinaryIO, size: int, budget: Budget) -> Any:
    """The object pickled in the next `size` bytes of `stream`: what `numpy.save` makes of a dict.

    Returns nested dicts, lists, tuples, numbers, str, bytes and NumPy arrays of numbers. The arrays are read-only, and
    an array that is named several times is one object.
    Raises Refused, OverBudget.
    """
    unpickler = _ArrayUnpickler(Bounded(stream, size), budget)

    def program():
        value = unpickler.load()
        if isinstance(value, _Array) and isinstance(value.content, _Only):
            value = value.content.value
        return _resolved(value, budget, 0)

    return carried_out(program)


class _Name(Note):
    """A name that is used only as an argument, such as numpy.ndarray."""

    __slots__ = ()


class _Reconstruct(Note):
    """numpy's _reconstruct(ndarray, (0,), b"b"): an array without content yet."""

    __slots__ = ()

    def __call__(self, *_: Any) -> _Array:
        return _Array()


class _MakeDtype(Note):
    """numpy.dtype("f4", 0, 1)."""

    __slots__ = ()

    def __call__(self, code: Any, *_: Any) -> _Dtype:
        return _Dtype(code)


class _MakeScalar(Note):
    """numpy's scalar(dtype, bytes)."""

    __slots__ = ()

    def __call__(self, dtype: Any, data: Any = b"\0") -> _Array:
        array = _Array()
        array.__setstate__((1, (), dtype, False, data))
        return array


class _Encode(Note):
    """_codecs.encode(text, "latin1"): how protocol 2 writes bytes under Python 3."""

    __slots__ = ("_budget",)

    def __init__(self, budget: Budget) -> None:
        self._budget = budget

    def __call__(self, text: Any, encoding: Any) -> bytes:
        if text_of(encoding).replace("-", "").lower() not in ("latin1", "iso88591"):
            raise Refused(f"the pickle encodes text as {shown(text_of(encoding))!r}")
        if not isinstance(text, str):
            raise Refused("the pickle encodes something that is no text")
        self._budget.memory(len(text))
        return text.encode("latin-1")


class _Dtype(Note):
    """A dtype: its code, such as f4, and its byte order."""

    __slots__ = ("code", "order")

    def __init__(self, code: Any) -> None:
        self.code = text_of(code)
        self.order = "="

    def __setstate__(self, state):
        self.order = text_of(state[1])
        if any(part is not None for part in state[2:5]):
            raise Refused(f"an array has the structured type {shown(self.code)}")

    def resolve(self) -> np.dtype:
        """NumPy's dtype. Raises Refused for other types than numbers."""
        if self.code[:1] not in tuple("fiub") or not self.code[1:].isdigit() or self.order not in tuple("<>=|"):
            raise Refused(f"an array has the type {shown(self.code)!r}; only numbers are read")
        return np.dtype(self.code).newbyteorder(self.order)


class _Only:
    """The one object in an array without dimensions: numpy.save wraps a dict in such an array."""

    def __init__(self, value: Any) -> None:
        self.value = value


class _Array(Note):
    """An array. content: np.ndarray or ``_Only``; None before the pickle sets it."""

    __slots__ = ("content",)

    def __init__(self) -> None:
        self.content = None

    def __setstate__(self, state):
        _, shape, dtype, is_fortran, data = state
        if not isinstance(dtype, _Dtype):
            raise Refused("an array has no type")
        if isinstance(data, list) and len(data) == 1 and shape == ():
            self.content = _Only(data[0])
            return
        if isinstance(data, list) or dtype.code[:1] == "O":
            raise Refused("an array holds objects; only numbers are read")
        if not isinstance(data, bytes) or not _is_shape(shape):
            raise Refused("the content of an array is not plain bytes, or its shape is not a list of sizes")
        kind, count = dtype.resolve(), 1
        for length in shape:
            count *= length
        if count * kind.itemsize != len(data):
            raise Refused(f"an array of shape {shape} needs {count * kind.itemsize} bytes, the file has "
                          f"{len(data)}")
        self.content = np.frombuffer(data, kind).reshape(shape, order="F" if is_fortran else "C")


class _ArrayUnpickler(Unpickler):
    """For pickles of NumPy arrays."""

    def note_of(self, module: str, name: str) -> Optional[Note]:
        """See ``Unpickler.note_of``."""
        if (module, name) in _RECONSTRUCT:
            return _Reconstruct()
        if (module, name) in _SCALAR:
            return _MakeScalar()
        if (module, name) == ("numpy", "ndarray"):
            return _Name()
        if (module, name) == ("numpy", "dtype"):
            return _MakeDtype()
        if (module, name) == ("_codecs", "encode"):
            return _Encode(self.budget)
        return None


def _resolved(value: Any, budget: Budget, depth: int) -> Any:
    """`value` with NumPy arrays instead of notes. A container that is named several times is copied each time."""
    budget.operations()
    budget.nested(depth)
    if isinstance(value, _Array):
        if not isinstance(value.content, np.ndarray):
            raise Refused("an array holds objects; only numbers are read")
        return value.content
    if isinstance(value, dict):
        return {_resolved(key, budget, depth + 1): _resolved(item, budget, depth + 1) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_resolved(item, budget, depth + 1) for item in value)
    if value is None or isinstance(value, (bool, int, float, str, bytes)):
        return value
    raise Refused(f"the content has a {type(value).__name__.lstrip('_')} where data are expected")


def _is_shape(value: Any) -> bool:
    return isinstance(value, tuple) and all(isinstance(side, int) for side in value) and is_shape(value)
