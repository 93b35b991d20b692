"""Reading an HDF5 file that is not trusted: groups of arrays of floating-point numbers, as h5py writes them by default.

Only the oldest form of the format is read ("version 0"), and in it only arrays that lie in the file in one piece,
which is what Keras writes. https://docs.hdfgroup.org/hdf5/v1_14/_f_m_t3.html describes the format. The library itself,
in C, is not used: damaged files have made it crash, which no caller can catch.
"""
from __future__ import annotations

import struct
from typing import BinaryIO, Dict, Iterator, List, NamedTuple, Optional, Tuple

import numpy as np

from masf_core.network.budget import Budget
from masf_core.network.formats.content import Stored, elements, is_shape
from masf_core.network.plain_arrays import Unfit
from masf_core.words import shown

FIRST_BYTES = b"\x89HDF\r\n\x1a\n"
_OTHER_FORM = "it has a form of HDF5 that is not read ({}); h5py's default (libver='earliest') is"
_DATASPACE, _DATATYPE, _LAYOUT, _FILTERS, _ATTRIBUTE, _CONTINUED, _GROUP = 0x1, 0x3, 0x8, 0xB, 0xC, 0x10, 0x11
_VARIABLE_LENGTH = 9  # class of a type
_LARGEST_HEADER = 1 << 16  # bytes of an object's header; attributes such as the list of layers are in it
_LARGEST_NAMES = 1 << 20  # bytes of the names in a group
_LONGEST_NAME = 1000
_SOFT_LINK = 2
# Bits of a number → (words, bits of exponent, NumPy's type).
_FLOATS = {16: ("float16", 5, "f2"), 32: ("float32", 8, "f4"), 64: ("float64", 11, "f8")}


class _Entry(NamedTuple):
    """What a group says of a member: place of its name, of its header, and the kind of the entry."""

    name: int
    header: int
    kind: int


class Hdf5(NamedTuple):
    """The content of a file.

    arrays: by their paths, such as ``conv1/conv1/kernel:0``. names: of each group that has an attribute "name" of text
    of variable length, what that says.
    """

    arrays: Dict[str, Stored]
    names: Dict[str, str]


def read(stream: BinaryIO, size: int, budget: Budget) -> Hdf5:
    """The arrays of a file. ``stream`` has to stay open while they are read. Raises Unfit, OverBudget."""
    return _File(stream, size, budget).content()


class _File:
    def __init__(self, stream: BinaryIO, size: int, budget: Budget) -> None:
        self._stream, self._size, self._budget = stream, size, budget
        head = self._at(0, 96)
        if head[8] not in (0, 1):
            raise Unfit(_OTHER_FORM.format(f"version {head[8]}"))
        if head[13:15] != b"\x08\x08":
            raise Unfit(_OTHER_FORM.format("places that are not numbers of 8 bytes"))
        begin = 24 if head[8] == 0 else 28
        self._base, root = struct.unpack_from("<Q24xQ", head, begin)[0], struct.unpack_from("<Q", head, begin + 40)[0]
        self._root = root

    def content(self) -> Hdf5:
        found = Hdf5({}, {})
        waiting: List[Tuple[str, int, int]] = [("", self._root, 0)]
        while waiting:
            path, place, depth = waiting.pop()
            self._budget.nested(depth)
            every = self._messages(place)
            messages = dict(every)
            if _GROUP in messages:
                tree, heap = struct.unpack_from("<QQ", messages[_GROUP].ljust(16, b"\0"))
                names = self._names(heap)
                for entry in self._entries(tree, 0):
                    if entry.kind != _SOFT_LINK:
                        name = _name(names, entry.name)
                        waiting.append((path + "/" + name if path else name, entry.header, depth + 1))
                for attribute in (content for kind, content in every if kind == _ATTRIBUTE):
                    self._read_name(path, attribute, found.names)
            elif _LAYOUT in messages:
                found.arrays[path] = self._stored(path, messages)
            else:
                raise Unfit(_OTHER_FORM.format(f"{shown(path) or 'the file'} is a group of the newer kind"))
        return found

    def _read_name(self, path: str, message: bytes, names: Dict[str, str]) -> None:
        """Put what an attribute "name" of the group ``path`` says into ``names``."""
        message = message.ljust(9, b"\0")
        version, sizes = message[0], struct.unpack_from("<HHH", message, 2)
        begin = 9 if version == 3 else 8
        parts = []
        for size in sizes:  # of the attribute's name, its type and its shape
            parts.append(message[begin:begin + size])
            begin += size if version != 1 else (size + 7) // 8 * 8
        if parts[0] != b"name\0" or parts[1][:1] != bytes([0x10 | _VARIABLE_LENGTH]) or len(message) < begin + 16:
            return
        length, place, index = struct.unpack_from("<IQI", message, begin)
        if length <= _LONGEST_NAME:
            names[path] = self._in_heap(self._base + place, index)[:length].decode("utf-8", "replace")

    def _in_heap(self, place: int, sought: int) -> bytes:
        """The object with this number in the "global heap" at ``place``, which has texts of variable length."""
        head = self._at(place, 16)
        end = place + struct.unpack_from("<Q", head, 8)[0]
        at = place + 16
        while head[:4] == b"GCOL" and at + 16 <= end:
            number, size = struct.unpack("<H6xQ", self._at(at, 16))
            if number == sought:
                return self._at(at + 16, min(size, _LONGEST_NAME))
            if not number:  # free space
                break
            at += 16 + (size + 7) // 8 * 8
        raise Unfit("a text is damaged")

    def _at(self, place: int, count: int) -> bytes:
        self._budget.operations()
        if place + count > self._size:
            raise Unfit("a part of it lies behind its end, it may be cut short")
        self._stream.seek(place)
        return self._stream.read(count)

    def _messages(self, place: int) -> List[Tuple[int, bytes]]:
        """(kind, content) of each message of an object's header."""
        head = self._at(self._base + place, 16)
        if head[:1] != b"\x01":
            raise Unfit(_OTHER_FORM.format("an object's header of a newer version"))
        left, = struct.unpack_from("<H", head, 2)
        blocks = [(self._base + place + 16, struct.unpack_from("<I", head, 8)[0])]
        found: List[Tuple[int, bytes]] = []
        while blocks and left > 0:
            start, length = blocks.pop(0)
            if length > _LARGEST_HEADER:
                raise Unfit(f"the header of an object has {length:,} bytes")
            block, at = self._at(start, length), 0
            while at + 8 <= length and left > 0:
                self._budget.operations()
                kind, count = struct.unpack_from("<HH", block, at)
                content = block[at + 8:at + 8 + count]
                at, left = at + 8 + count, left - 1
                if kind == _CONTINUED and len(content) >= 16:
                    where, size = struct.unpack_from("<QQ", content)
                    blocks.append((self._base + where, size))
                found.append((kind, content))
        return found

    def _names(self, place: int) -> bytes:
        head = self._at(self._base + place, 32)
        size, _, data = struct.unpack_from("<QQQ", head, 8)
        if head[:4] != b"HEAP" or size > _LARGEST_NAMES:
            raise Unfit("the names of a group are damaged")
        return self._at(self._base + data, size)

    def _entries(self, place: int, depth: int) -> Iterator[_Entry]:
        """The entries of the tree at ``place``."""
        self._budget.nested(depth)
        head = self._at(self._base + place, 24)
        if head[:4] == b"SNOD":
            count, = struct.unpack_from("<H", head, 6)
            for name, header, kind in struct.iter_unpack("<QQI20x", self._at(self._base + place + 8, 40 * count)):
                self._budget.operations()
                yield _Entry(name, header, kind)
            return
        if head[:5] != b"TREE\x00":
            raise Unfit("a group is damaged")
        count, = struct.unpack_from("<H", head, 6)
        for child, in struct.iter_unpack("<8xQ", self._at(self._base + place + 24, 16 * count)):
            yield from self._entries(child, depth + 1)

    def _stored(self, path: str, messages: Dict[int, bytes]) -> Stored:
        shape = _shape(path, messages.get(_DATASPACE, b""))
        kind, dtype = _type(messages.get(_DATATYPE, b""))
        if dtype is None:
            return Stored(shape, kind, None)
        layout = messages[_LAYOUT].ljust(18, b"\0")
        if layout[0] != 3:
            raise Unfit(_OTHER_FORM.format(f"{shown(path)} has a layout of version {layout[0]}"))
        if layout[1] != 1 or _FILTERS in messages:
            return Stored(shape, kind + " that is compressed or in pieces", None)
        place, count = struct.unpack_from("<QQ", layout, 2)
        if count != elements(shape) * dtype.itemsize:
            raise Unfit(f"{shown(path)} has the shape {shown(shape)} in {count:,} bytes of {kind}")

        def content() -> np.ndarray:
            if not count:
                return np.zeros(shape, dtype)
            if self._base + place + count > self._size:
                raise Unfit("a part of it lies behind its end, it may be cut short")
            self._budget.memory(count)
            return np.frombuffer(self._at(self._base + place, count), dtype).reshape(shape)

        return Stored(shape, kind, content)


def _shape(path: str, message: bytes) -> Tuple[int, ...]:
    if len(message) < 4 or message[0] not in (1, 2):
        raise Unfit(f"the shape of {shown(path)} is damaged")
    begin, sides = (8 if message[0] == 1 else 4), message[1]
    if len(message) < begin + 8 * sides:
        raise Unfit(f"the shape of {shown(path)} is damaged")
    shape = struct.unpack_from(f"<{sides}Q", message, begin)
    if not is_shape(shape):
        raise Unfit(f"{shown(path)} has the shape {shown(shape)}")
    return shape


def _type(message: bytes) -> Tuple[str, Optional[np.dtype]]:
    """(its words, NumPy's type, None if it is not a usual one for floating-point numbers)."""
    message = message.ljust(20, b"\0")
    if message[0] & 0x0F != 1:
        return f"type {message[0] & 0x0F} of HDF5", None
    offset, bits = struct.unpack_from("<HH", message, 8)
    words, exponent, code = _FLOATS.get(bits, ("", 0, ""))
    if offset or message[13] != exponent or message[1] & 0x40 or struct.unpack_from("<I", message, 4) != (bits // 8,):
        return "a type of floating-point numbers that is not usual", None
    return words, np.dtype((">" if message[1] & 1 else "<") + code)


def _name(names: bytes, place: int) -> str:
    end = names.find(b"\0", place)
    if not 0 <= place < end or end - place > _LONGEST_NAME:
        raise Unfit("the name of an array is damaged")
    return names[place:end].decode("utf-8", "replace")
