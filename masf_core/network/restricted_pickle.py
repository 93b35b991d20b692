"""Reading a pickle that is not trusted: NumPy arrays in dicts, lists and tuples, and nothing else.

A pickle is a program that can call any function by its name. This reader calls none of them. The few names that array
pickles need stand for small objects of this module, which record their arguments and check them; any other name is
refused. The reader carries out only the instructions that plain data needs, each of them within a ``Budget``.
"""

from __future__ import annotations

import pickle
import pickletools
from typing import Any, BinaryIO, Callable, Dict

import numpy as np

from masf_core.network.budget import Budget, OverBudget

# What array pickles name, as Python 2, NumPy 1 and NumPy 2 spell it.
_RECONSTRUCT = {(module, "_reconstruct") for module in ("numpy.core.multiarray", "numpy._core.multiarray")}
_SCALAR = {(module, "scalar") for module in ("numpy.core.multiarray", "numpy._core.multiarray")}

# The instructions of plain data in every protocol. INST and OBJ are here so that the error tells the name they call.
_INSTRUCTIONS = frozenset("""
    PROTO FRAME STOP MARK POP POP_MARK DUP GET BINGET LONG_BINGET PUT BINPUT LONG_BINPUT MEMOIZE
    NONE NEWTRUE NEWFALSE INT BININT BININT1 BININT2 LONG LONG1 FLOAT BINFLOAT
    STRING BINSTRING SHORT_BINSTRING BINBYTES SHORT_BINBYTES BINBYTES8
    UNICODE BINUNICODE SHORT_BINUNICODE BINUNICODE8
    EMPTY_LIST APPEND APPENDS LIST EMPTY_TUPLE TUPLE TUPLE1 TUPLE2 TUPLE3 EMPTY_DICT DICT SETITEM SETITEMS
    GLOBAL STACK_GLOBAL REDUCE BUILD INST OBJ""".split())
_REFERENCES = frozenset(("GET", "BINGET", "LONG_BINGET", "DUP"))
# Bytes of a number that is written as a line of text; reading it takes time in the square of its length.
_LONGEST_NUMBER = {"INT": 64, "LONG": 64, "FLOAT": 64, "GET": 12, "PUT": 12}
_LONGEST_LINE = 1 << 16  # bytes of any other line
_LONGEST_NAME = 1000  # characters; names are copied each time they are used
_LARGEST_SIDE = 1 << 48  # of an array
_MOST_SIDES = 32  # of an array; NumPy 1 has no more
_SHOWN = 80  # characters of the file's own words in a message


class Refused(Exception):
    """The pickle holds something else than arrays in plain containers, or is damaged. The message says what."""


def load(stream: BinaryIO, size: int, budget: Budget) -> Any:
    """The object pickled in the next `size` bytes of `stream`: what `numpy.save` makes of a dict.

    Returns nested dicts, lists, tuples, numbers, str, bytes and NumPy arrays of numbers. The arrays are read-only, and
    an array that is named several times is one object.
    Raises Refused, OverBudget.
    """
    unpickler = _Unpickler(_Bounded(stream, size), budget)
    try:
        value = unpickler.load()
        if isinstance(value, _Array) and isinstance(value.content, _Only):
            value = value.content.value
        return _resolved(value, budget, 0)
    except (Refused, OverBudget, MemoryError):
        raise
    except EOFError as problem:
        raise Refused("the file ends too early") from problem
    except Exception as problem:  # a damaged program fails in as many ways as there are instructions
        raise Refused(f"the pickle is damaged ({type(problem).__name__}: {shown(problem)})") from problem


def shown(words: Any) -> str:
    """Words of the file as a message can hold them: not too long, and without control characters."""
    text = str(words) if isinstance(words, (str, Exception)) else repr(words)
    if len(text) > _SHOWN:
        text = text[:_SHOWN] + "…"
    return text if text.isprintable() else repr(text)


class _Note:
    """Base of the objects that stand for NumPy's while reading. A pickle cannot change their attributes."""

    __slots__ = ()

    def __setstate__(self, state):
        raise Refused("the pickle sets a state where arrays have none")


class _Name(_Note):
    """A name that is used only as an argument, such as numpy.ndarray."""

    __slots__ = ()


class _Reconstruct(_Note):
    """numpy's _reconstruct(ndarray, (0,), b"b"): an array without content yet."""

    __slots__ = ()

    def __call__(self, *_: Any) -> _Array:
        return _Array()


class _MakeDtype(_Note):
    """numpy.dtype("f4", 0, 1)."""

    __slots__ = ()

    def __call__(self, code: Any, *_: Any) -> _Dtype:
        return _Dtype(code)


class _MakeScalar(_Note):
    """numpy's scalar(dtype, bytes)."""

    __slots__ = ()

    def __call__(self, dtype: Any, data: Any = b"\0") -> _Array:
        array = _Array()
        array.__setstate__((1, (), dtype, False, data))
        return array


class _Encode(_Note):
    """_codecs.encode(text, "latin1"): how protocol 2 writes bytes under Python 3."""

    __slots__ = ("_budget",)

    def __init__(self, budget: Budget) -> None:
        self._budget = budget

    def __call__(self, text: Any, encoding: Any) -> bytes:
        if _text(encoding).replace("-", "").lower() not in ("latin1", "iso88591"):
            raise Refused(f"the pickle encodes text as {shown(_text(encoding))!r}")
        if not isinstance(text, str):
            raise Refused("the pickle encodes something that is no text")
        self._budget.memory(len(text))
        return text.encode("latin-1")


class _Dtype(_Note):
    """A dtype: its code, such as f4, and its byte order."""

    __slots__ = ("code", "order")

    def __init__(self, code: Any) -> None:
        self.code = _text(code)
        self.order = "="

    def __setstate__(self, state):
        self.order = _text(state[1])
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


class _Array(_Note):
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


class _Unpickler(pickle._Unpickler):
    """The unpickler that is written in Python. Its memo is a dict; the one written in C is an array with room for the
    largest number that the file names."""

    dispatch: Dict[int, Callable[[Any], None]] = {}  # instruction → what carries it out; filled below

    def __init__(self, stream: Any, budget: Budget) -> None:
        super().__init__(stream, encoding="bytes")
        self.budget = budget

    def find_class(self, module: Any, name: Any) -> _Note:
        """What stands for a name. Raises Refused for all names but those of arrays."""
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
            return _Encode(self.budget)
        raise Refused(f"refuses to load {shown('.'.join(name_parts))!r}: the file may hold NumPy arrays in dicts and "
                      "lists, nothing else")


def _within_budget(name: str, carry_out: Callable[[Any], None]) -> Callable[[Any], None]:
    """The instruction `name` of ``pickle``'s own unpickler, checked and paid for before it is carried out."""
    def instruction(unpickler):
        budget, stack = unpickler.budget, unpickler.stack
        budget.operations()
        if name == "MARK":
            budget.nested(len(unpickler.metastack) + 1)
        elif name in _REFERENCES:
            budget.references()
        elif name == "REDUCE" and isinstance(stack[-1], tuple):
            budget.operations(len(stack[-1]))  # a call copies its arguments
        elif name == "SETITEM":
            _check_keys(stack[-2:-1])
        elif name in ("SETITEMS", "DICT"):
            _check_keys(stack[0::2])  # the stack begins at the last mark
        if name in _LONGEST_NUMBER:
            _with_lines_up_to(_LONGEST_NUMBER[name], unpickler, carry_out)
        else:
            carry_out(unpickler)

    return instruction


def _refuse(name: str) -> Callable[[Any], None]:
    def instruction(_):
        raise Refused(f"the pickle uses the instruction {name}, which plain data never needs")

    return instruction


def _check_keys(keys: Any) -> None:
    """Refuse keys that are not text: nested tuples can take hours to hash, and chosen integers hours to compare."""
    for key in keys:
        if not isinstance(key, (str, bytes)):
            what = f"the key {key}" if isinstance(key, int) else f"a key of type {type(key).__name__.lstrip('_')}"
            raise Refused(f"a dict has {what}, expected a name")


def _with_lines_up_to(most: int, unpickler: Any, carry_out: Callable[[Any], None]) -> None:
    """Carry out an instruction whose argument is a number on a line of at most `most` bytes."""
    read_line = unpickler.readline

    def read_short_line():
        line = read_line()
        if len(line) > most:
            raise Refused(f"a number has more than {most} digits")
        return line

    unpickler.readline = read_short_line
    try:
        carry_out(unpickler)
    finally:
        unpickler.readline = read_line


_Unpickler.dispatch = {
    ord(opcode.code): (_within_budget(opcode.name, pickle._Unpickler.dispatch[ord(opcode.code)])
                       if opcode.name in _INSTRUCTIONS else _refuse(opcode.name))
    for opcode in pickletools.opcodes if ord(opcode.code) in pickle._Unpickler.dispatch}


class _Bounded:
    """A stream that refuses to read more than is left, before room for it is made."""

    def __init__(self, stream: BinaryIO, size: int) -> None:
        self._stream = stream
        self._left = size

    def read(self, count: int) -> bytes:
        """Exactly ``count`` bytes. Raises EOFError."""
        if not 0 <= count <= self._left:
            raise EOFError
        self._left -= count
        return self._stream.read(count)

    def readinto(self, buffer: Any) -> int:
        """Fill ``buffer``; returns its size."""
        data = self.read(len(buffer))
        buffer[:len(data)] = data
        return len(data)

    def readline(self) -> bytes:
        """A line, or its first ``_LONGEST_LINE`` bytes."""
        line = self._stream.readline(min(self._left, _LONGEST_LINE))
        self._left -= len(line)
        return line


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
    return isinstance(value, tuple) and len(value) <= _MOST_SIDES and all(
        isinstance(side, int) and 0 <= side <= _LARGEST_SIDE for side in value)


def _text(value: Any) -> str:
    """A name, type or encoding as text."""
    if not isinstance(value, (str, bytes)) or len(value) > _LONGEST_NAME:
        raise Refused("the pickle has no name where a name is expected")
    return value.decode("latin-1") if isinstance(value, bytes) else value
