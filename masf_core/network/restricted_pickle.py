"""Reading a pickle that came from anywhere: NumPy arrays in dicts, lists and tuples, and nothing else.

A pickle is a program. Reading it here runs none of NumPy's or Python's code that it names: the few names which arrays
are made of stand for small objects of this module, which only take notes and check them; any other name is refused.
"""

from __future__ import annotations

import pickle
import pickletools
from typing import Any, BinaryIO

import numpy as np

# What array pickles name, as Python 2, NumPy 1 and NumPy 2 spell it.
_RECONSTRUCT = {(module, "_reconstruct") for module in ("numpy.core.multiarray", "numpy._core.multiarray")}
_SCALAR = {(module, "scalar") for module in ("numpy.core.multiarray", "numpy._core.multiarray")}

# Instructions that plain data never uses: names by number, and the byte array that is allocated before it is seen.
_REFUSED_INSTRUCTIONS = [ord(opcode.code) for opcode in pickletools.opcodes
                         if opcode.name in ("EXT1", "EXT2", "EXT4", "BYTEARRAY8")]

_LONGEST_LINE = 1 << 16  # bytes; numbers in text take time in the square of their length
_MOST_ITEMS = 100 * 1000  # containers may name one another many times over


class Refused(Exception):
    """The pickle asks for something else than arrays in plain containers, or is damaged; the text says what."""


def load(stream: BinaryIO, size: int) -> Any:
    """The object pickled in the next `size` bytes of `stream`: what `numpy.save` makes of a dict.

    Returns nested dicts, lists, tuples, numbers, str, bytes and NumPy arrays of numbers. Memory stays within a small
    multiple of `size`.
    Raises Refused.
    """
    unpickler = _Unpickler(_Bounded(stream, size), encoding="bytes")
    try:
        value = unpickler.load()
        if isinstance(value, _Array) and isinstance(value.content, _Only):
            value = value.content.value
        return _Resolver().resolve(value, 0)
    except (Refused, MemoryError):
        raise
    except EOFError as problem:
        raise Refused("the file ends too early") from problem
    except Exception as problem:  # a damaged program fails in as many ways as there are instructions
        raise Refused(f"the pickle is damaged ({type(problem).__name__}: {problem})") from problem


class _Note:
    """Base of what stands for NumPy's objects while reading. Has no attributes that a pickle could change."""

    __slots__ = ()

    def __setstate__(self, state):
        raise Refused("the pickle sets a state where arrays have none")


class _Name(_Note):
    """A name that is only ever an argument, such as numpy.ndarray."""

    __slots__ = ()


class _Reconstruct(_Note):
    """numpy's _reconstruct(ndarray, (0,), b"b"): an array without content yet."""

    __slots__ = ()

    def __call__(self, *_):
        return _Array()


class _MakeDtype(_Note):
    """numpy.dtype("f4", 0, 1)."""

    __slots__ = ()

    def __call__(self, code, *_):
        return _Dtype(code)


class _MakeScalar(_Note):
    """numpy's scalar(dtype, bytes)."""

    __slots__ = ()

    def __call__(self, dtype, data=b"\0"):
        array = _Array()
        array.__setstate__((1, (), dtype, False, data))
        return array


class _Encode(_Note):
    """_codecs.encode(text, "latin1"): how protocol 2 writes bytes under Python 3."""

    __slots__ = ()

    def __call__(self, text, encoding):
        if _text(encoding).replace("-", "").lower() not in ("latin1", "iso88591"):
            raise Refused(f"the pickle encodes text as {encoding!r}")
        return _text(text).encode("latin-1")


class _Dtype(_Note):
    __slots__ = ("code", "order")

    def __init__(self, code):
        self.code = _text(code)
        self.order = "="

    def __setstate__(self, state):
        self.order = _text(state[1])
        if any(part is not None for part in state[2:5]):
            raise Refused(f"an array has the structured type {self.code[:20]}")

    def resolve(self) -> np.dtype:
        if self.code[:1] not in tuple("fiub") or not self.code[1:].isdigit() or self.order not in tuple("<>=|"):
            raise Refused(f"an array has the type {self.code[:20]!r}; only numbers are read")
        return np.dtype(self.code).newbyteorder(self.order)


class _Only:
    """The one object in an array without dimensions: numpy.save's wrapping of what is no array."""

    def __init__(self, value):
        self.value = value


class _Array(_Note):
    __slots__ = ("content",)

    def __init__(self):
        self.content = None

    def __setstate__(self, state):
        _, shape, dtype, is_fortran, data = state
        if not isinstance(dtype, _Dtype):
            raise Refused("an array has no type")
        if isinstance(data, list) and shape == () and len(data) == 1:
            self.content = _Only(data[0])
            return
        if isinstance(data, list) or dtype.code[:1] == "O":
            raise Refused("an array holds objects; only numbers are read")
        if not isinstance(data, bytes) or not all(isinstance(n, int) and n >= 0 for n in shape) or len(shape) > 32:
            raise Refused("an array has no plain content")
        kind, count = dtype.resolve(), 1
        for length in shape:
            count *= length
        if count * kind.itemsize != len(data):
            raise Refused(f"an array of shape {tuple(shape)} needs {count * kind.itemsize} bytes, the file has "
                          f"{len(data)}")
        self.content = np.frombuffer(data, kind).reshape(shape, order="F" if is_fortran else "C")


def _refuse_instruction(_):
    raise Refused("the pickle uses an instruction that plain data never needs")


class _Unpickler(pickle._Unpickler):
    """The unpickler written in Python: it keeps its memo in a dict, where the one written in C allocates as many
    entries as the file names."""

    dispatch = dict(pickle._Unpickler.dispatch)
    dispatch.update(dict.fromkeys(_REFUSED_INSTRUCTIONS, _refuse_instruction))

    def find_class(self, module, name):
        name_parts = (_text(module), _text(name))
        if name_parts in _RECONSTRUCT:
            return _Reconstruct()
        if name_parts in _SCALAR:
            return _MakeScalar()
        if name_parts == ("numpy", "ndarray"):
            return _Name()
        if name_parts == ("numpy", "dtype"):
            return _MakeDtype()
        if name_parts == ("_codecs", "encode"):
            return _Encode()
        raise Refused("refuses to load {!r}: the file may hold NumPy arrays in dicts and lists, nothing else".format(
            ".".join(name_parts)))


class _Bounded:
    """A stream that never reads, nor makes room for, more than is there."""

    def __init__(self, stream: BinaryIO, size: int) -> None:
        self._stream = stream
        self._left = size

    def read(self, count: int) -> bytes:
        if not 0 <= count <= self._left:
            raise EOFError
        self._left -= count
        return self._stream.read(count)

    def readinto(self, buffer) -> int:
        data = self.read(len(buffer))
        buffer[:len(data)] = data
        return len(data)

    def readline(self) -> bytes:
        line = self._stream.readline(min(self._left, _LONGEST_LINE))
        self._left -= len(line)
        return line


class _Resolver:
    """Puts arrays in the place of notes, within bounds of depth and number."""

    def __init__(self) -> None:
        self._left = _MOST_ITEMS

    def resolve(self, value: Any, depth: int) -> Any:
        self._left -= 1
        if depth > 8 or self._left < 0:
            raise Refused(f"containers are nested more than 8 deep or hold more than {_MOST_ITEMS} items")
        if isinstance(value, _Array):
            if not isinstance(value.content, np.ndarray):
                raise Refused("an array holds objects; only numbers are read")
            return value.content
        if isinstance(value, dict):
            return {self.resolve(key, depth + 1): self.resolve(item, depth + 1) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return type(value)(self.resolve(item, depth + 1) for item in value)
        if value is None or isinstance(value, (bool, int, float, str, bytes)):
            return value
        raise Refused("something stands where data should ({})".format(type(value).__name__.lstrip("_")))


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode("latin-1")
    if not isinstance(value, str):
        raise Refused("the pickle names something that is no name")
    return value
