"""Running a pickle that is not trusted, without calling anything that it names.

A pickle is a program that can call any function by its name. This reader calls none of them. The few names that a file
may use stand for small objects of our own, which record their arguments and check them; any other name is refused. The
reader carries out only the instructions that plain data needs, each of them within a ``Budget``.
`restricted_pickle.py` has the names of NumPy's arrays, `formats/torch_pickle.py` those of PyTorch's.
"""

from __future__ import annotations

import pickle
import pickletools
from typing import Any, BinaryIO, Callable, Dict, Optional

from masf_core.network.budget import Budget, OverBudget
from masf_core.words import shown

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


class Refused(Exception):
    """The pickle holds something else than arrays in plain containers, or is damaged. The message says what."""


class Note:
    """Base of the objects that stand for those of a library while reading. A pickle cannot change their attributes."""

    __slots__ = ()

    def __setstate__(self, state):
        raise Refused("the pickle sets a state where arrays have none")


def carried_out(program: Callable[[], Any]) -> Any:
    """What ``program``, which runs an ``Unpickler``, returns. Raises Refused instead of any error of Python's own."""
    try:
        return program()
    except (Refused, OverBudget, MemoryError):
        raise
    except EOFError as problem:
        raise Refused("the file ends too early") from problem
    except Exception as problem:  # a damaged program fails in as many ways as there are instructions
        raise Refused(f"the pickle is damaged ({type(problem).__name__}: {shown(problem)})") from problem


class Unpickler(pickle._Unpickler):
    """The unpickler that is written in Python. Its memo is a dict; the one written in C is an array with room for the
    largest number that the file names.

    Attributes:
        holds: what the file may hold, for messages. largest_key: the largest integer that may be a key of a dict.
    """

    dispatch: Dict[int, Callable[[Any], None]] = {}  # instruction → what carries it out; filled below
    holds = "NumPy arrays in dicts and lists"
    largest_key = -1

    def __init__(self, stream: Any, budget: Budget) -> None:
        super().__init__(stream, encoding="bytes")
        self.budget = budget

    def find_class(self, module: Any, name: Any) -> Note:
        """What stands for a name. Raises Refused for all names but those of arrays."""
        note = self.note_of(text_of(module), text_of(name))
        if note is None:
            raise Refused(f"refuses to load {shown(text_of(module) + '.' + text_of(name))!r}: the file may hold "
                          f"{self.holds}, nothing else")
        return note

    def note_of(self, module: str, name: str) -> Optional[Note]:
        """What stands for a name; None where the file may not use it."""
        raise NotImplementedError


def within_budget(name: str, carry_out: Callable[[Any], None]) -> Callable[[Any], None]:
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
            _check_keys(stack[-2:-1], unpickler.largest_key)
        elif name in ("SETITEMS", "DICT"):
            _check_keys(stack[0::2], unpickler.largest_key)  # the stack begins at the last mark
        if name in _LONGEST_NUMBER:
            _with_lines_up_to(_LONGEST_NUMBER[name], unpickler, carry_out)
        else:
            carry_out(unpickler)

    return instruction


def _refuse(name: str) -> Callable[[Any], None]:
    def instruction(_):
        raise Refused(f"the pickle uses the instruction {name}, which plain data never needs")

    return instruction


def _check_keys(keys: Any, largest: int) -> None:
    """Refuse keys that are not text, or integers up to ``largest``.

    Nested tuples can take hours to hash, and chosen integers hours to compare.
    """
    for key in keys:
        if not isinstance(key, (str, bytes)) and not (isinstance(key, int) and 0 <= key <= largest):
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


Unpickler.dispatch = {
    ord(opcode.code): (within_budget(opcode.name, pickle._Unpickler.dispatch[ord(opcode.code)])
                       if opcode.name in _INSTRUCTIONS else _refuse(opcode.name))
    for opcode in pickletools.opcodes if ord(opcode.code) in pickle._Unpickler.dispatch}


class Bounded:
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


def text_of(value: Any) -> str:
    """A name, type or encoding as text."""
    if not isinstance(value, (str, bytes)) or len(value) > _LONGEST_NAME:
        raise Refused("the pickle has no name where a name is expected")
    return value.decode("latin-1") if isinstance(value, bytes) else value
