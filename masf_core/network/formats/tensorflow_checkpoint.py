"""Reading a TensorFlow checkpoint, `model.ckpt-N.index` with `model.ckpt-N.data-00000-of-00001`, without TensorFlow.

The index is a sorted table of LevelDB's format: blocks of entries, an index of the blocks, and a footer. An entry tells
the type, shape and place of an array (``BundleEntryProto``); the data files hold nothing but the arrays. The checksums
(CRC-32C) are not compared: Python would need minutes for those of AlexNet.
"""
from __future__ import annotations

import os
import struct
from typing import Dict, Iterator, List, Tuple

import numpy as np

from masf_core.network.budget import Budget
from masf_core.network.formats import wire
from masf_core.network.formats.content import TENSORFLOW, Content, Stored, elements, from_bfloat16, is_shape
from masf_core.network.plain_arrays import Unfit
from masf_core.words import shown

SUFFIX = ".index"
MAGIC = struct.pack("<Q", 0xDB4775248B80FB57)  # the last bytes of a table
FIRST_BYTES = b"\x00\x00"  # the first entry of the first block has an empty name
_FOOTER = 48  # bytes
_TYPES = {1: ("float32", "<f4"), 2: ("float64", "<f8"), 19: ("float16", "<f2"), 14: ("bfloat16", "<u2")}
_LONGEST_NAME = 1000  # characters
_MOST_FILES = 1000  # data files


def read(data: memoryview, path: str, budget: Budget) -> Content:
    """The arrays by the names of their variables.

    Args:
        data: content of the index. path: of the index; the data files are beside it.

    Raises:
        Unfit, OverBudget; OSError: a data file cannot be read.
    """
    arrays: Dict[str, Stored] = {}
    files = 0
    for key, value in _entries(data, budget):
        if not key:
            files = _number_of_files(value, budget)
        else:
            name = key.decode("utf-8", "replace")
            arrays[name] = _entry(name, value, _Data(path, files), budget)
    if not files:
        raise Unfit("it is a table without the header of a checkpoint; TensorFlow's old format (V1) is not read: load "
                    "it with TensorFlow and save it with tf.train.Saver()")
    return Content(TENSORFLOW, arrays)


def data_prefix(path: str) -> str:
    """The beginning of the paths of the data files that belong to the index at ``path``."""
    return path[:-len(SUFFIX)] + ".data-"


class _Data:
    """The data files of a checkpoint."""

    def __init__(self, path: str, files: int) -> None:
        self._prefix, self._files = data_prefix(path), files

    def read(self, file: int, offset: int, size: int, budget: Budget) -> bytes:
        """``size`` bytes of a data file. Raises Unfit where it has fewer, OSError."""
        if file >= self._files:
            raise Unfit(f"it names data file {file} of {self._files}")
        path = f"{self._prefix}{file:05d}-of-{self._files:05d}"
        try:
            with open(path, "rb") as stream:
                there = os.fstat(stream.fileno()).st_size
                if offset + size > there:
                    raise Unfit(f"{os.path.basename(path)} has {there:,} bytes, and an array lies at {offset:,} with "
                                f"{size:,}; is it of another checkpoint?")
                budget.unpacked(size)
                stream.seek(offset)
                return stream.read(size)
        except FileNotFoundError:
            raise Unfit(f"there is no {os.path.basename(path)} beside it; the index and the data files of a checkpoint "
                        "must lie in the same folder") from None


def _entries(data: memoryview, budget: Budget) -> Iterator[Tuple[bytes, memoryview]]:
    """(key, value) of every entry of a table."""
    footer = wire.part(data, max(0, len(data) - _FOOTER), _FOOTER)
    at = 0
    handle: List[int] = []
    for _ in range(4):  # place and size of a block that is not used, and of the index of blocks
        value, at = wire.varint(footer, at)
        handle.append(value)
    for _, place in _block(data, handle[2], handle[3], budget):
        offset, at = wire.varint(place, 0)
        size, _ = wire.varint(place, at)
        yield from _block(data, offset, size, budget)


def _block(data: memoryview, offset: int, size: int, budget: Budget) -> Iterator[Tuple[bytes, memoryview]]:
    if offset > len(data):
        raise Unfit("a block lies behind its end, it may be cut short")
    block = wire.part(data, offset, size + 1)
    if block[size]:
        raise Unfit("it is compressed, which TensorFlow does not do with checkpoints")
    block = block[:size]
    (restarts,) = struct.unpack("<I", wire.part(block, max(0, size - 4), 4))
    if 4 * restarts + 4 > size:
        raise Unfit("a block is damaged")
    block, at, key = block[:size - 4 - 4 * restarts], 0, b""
    while at < len(block):
        budget.operations()
        shared, at = wire.varint(block, at)
        own, at = wire.varint(block, at)
        length, at = wire.varint(block, at)
        if shared > len(key) or shared + own > _LONGEST_NAME:
            raise Unfit("the name of an array is damaged")
        key = key[:shared] + bytes(wire.part(block, at, own))
        yield key, wire.part(block, at + own, length)
        at += own + length


def _number_of_files(message: memoryview, budget: Budget) -> int:
    files = 1
    for number, way, value in wire.fields(message, budget):
        if number == 1 and way == wire.VARINT:
            files = value
        elif number == 2 and value:
            raise Unfit("it was written on a machine with another byte order")
    if not 1 <= files <= _MOST_FILES:
        raise Unfit(f"it says that it has {files} data files")
    return files


def _entry(name: str, message: memoryview, source: _Data, budget: Budget) -> Stored:
    found = {1: 0, 3: 0, 4: 0, 5: 0}  # type, data file, offset and size
    shape: Tuple[int, ...] = ()
    in_slices = False
    for number, way, value in wire.fields(message, budget):
        if number in found and way == wire.VARINT:
            found[number] = value
        elif number == 2 and way == wire.BYTES:
            shape = _shape(value, budget)
        elif number == 7:
            in_slices = True
    if found[1] not in _TYPES or in_slices:
        return Stored(shape, "a variable in slices" if in_slices else f"type {found[1]} of TensorFlow", None)
    kind, code = _TYPES[found[1]]
    dtype = np.dtype(code)
    if not is_shape(shape) or elements(shape) * dtype.itemsize != found[5]:
        raise Unfit(f"{shown(name)} has the shape {shown(shape)} in {found[5]:,} bytes of {kind}")

    def content() -> np.ndarray:
        array = np.frombuffer(source.read(found[3], found[4], found[5], budget), dtype).reshape(shape)
        return from_bfloat16(array) if kind == "bfloat16" else array

    return Stored(shape, kind, content)


def _shape(message: memoryview, budget: Budget) -> Tuple[int, ...]:
    sides = []
    for number, way, dimension in wire.fields(message, budget):
        if number == 2 and way == wire.BYTES:
            sides.append(sum(value for field, kind, value in wire.fields(dimension, budget)
                             if field == 1 and kind == wire.VARINT))
    return tuple(sides)
