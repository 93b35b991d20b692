"""Reading `.npy` headers and `.npz` archives that are not trusted: arrays of numbers and nothing else.

NumPy passes a header to Python's own parser. A crafted header keeps that parser busy for minutes, or makes it raise
errors of its own. This module accepts only the form in which NumPy writes the headers of plain arrays.
"""
from __future__ import annotations

import collections
import re
import struct
import zipfile
from typing import Any, BinaryIO, Dict, List, NamedTuple, Tuple

import numpy as np

from masf_core.network.budget import Budget, OverBudget

MAGIC = b"\x93NUMPY"
LONGEST_HEADER = 10 * 1000  # bytes; that of a plain array has about 100
LARGEST_DIRECTORY = 1 << 20  # bytes; some 10,000 members
# Weights hardly compress. An archive that claims to unpack to more than both of these is not unpacked.
MOST_EXPANSION = 10  # times the file's size
MOST_UNASKED = 16 * 1000 * 1000  # bytes

_SIDE = r"[0-9]{1,15}L?"  # Python 2 wrote an L behind large numbers
_ITEM = (r"\s*'(?:descr'\s*:\s*'[^']{1,50}'|fortran_order'\s*:\s*(?:True|False)"
         r"|shape'\s*:\s*\(\s*(?:" + _SIDE + r"\s*,\s*){0,32}(?:" + _SIDE + r")?\s*\))\s*")
_HEADER = re.compile(r"\s*\{" + _ITEM + "," + _ITEM + "," + _ITEM + r",?\s*\}\s*")
_DESCR = re.compile(r"'descr'\s*:\s*'([^']*)'")
_FORTRAN = re.compile(r"'fortran_order'\s*:\s*(True|False)")
_SHAPE = re.compile(r"'shape'\s*:\s*\(([^)]*)\)")
_TYPE = re.compile(r"[<>=|]?[a-zA-Z][0-9]{0,4}")


class Unfit(Exception):
    """The file is not of the expected kind. The message says why."""


class Header(NamedTuple):
    """What a `.npy` says of its array."""

    shape: Tuple[int, ...]
    dtype: np.dtype
    is_fortran: bool

    @property
    def nbytes(self) -> int:
        """Bytes of the array."""
        count = 1
        for side in self.shape:
            count *= side
        return count * self.dtype.itemsize


def read_header(stream: Any) -> Header:
    """Read the header of a `.npy`. The stream is at the first byte of the array afterwards.

    Raises:
        Unfit: the header is damaged, or describes something else than an array of a single type.
    """
    head = _exactly(stream, 8)
    version = tuple(head[6:])
    if head[:6] != MAGIC or version not in ((1, 0), (2, 0)):
        raise Unfit(f"it has version {version[0]}.{version[1]} of the .npy format" if head[:6] == MAGIC
                    else "it does not begin as a .npy")
    (length,) = struct.unpack("<H", _exactly(stream, 2)) if version == (1, 0) else struct.unpack(
        "<I", _exactly(stream, 4))
    if length > LONGEST_HEADER:
        raise Unfit(f"its .npy header has {length:,} bytes, that of a plain array has about 100")
    return _parsed(_exactly(stream, length).decode("latin-1"))


def _parsed(text: str) -> Header:
    text = " ".join(text.split())  # the patterns would try every way to divide a long run of spaces
    found = _HEADER.fullmatch(text) and [pattern.search(text) for pattern in (_DESCR, _FORTRAN, _SHAPE)]
    if not found or not all(found):
        raise Unfit(f"its .npy header is damaged or describes records: {text[:80]!r}")
    descr, order, shape = (match.group(1) for match in found)
    try:
        if not _TYPE.fullmatch(descr):
            raise TypeError(descr)
        dtype = np.dtype(descr)
    except TypeError:
        raise Unfit(f"its .npy header names the type {descr!r}, which is no type of numbers") from None
    return Header(tuple(int(side.strip().rstrip("L")) for side in shape.split(",") if side.strip()), dtype,
                  order == "True")


def read_archive(stream: BinaryIO, size: int, budget: Budget) -> Dict[str, np.ndarray]:
    """The arrays of a `.npz` of ``size`` bytes, read-only, by the names of its members without `.npy`.

    Raises:
        Unfit: it holds something else than arrays of numbers, or would unpack to far more than its size.
        OverBudget: it has too many members. One of ``DAMAGED``: it is damaged.
    """
    with archive_directory(stream, budget) as archive:
        members = [info for info in archive.infolist() if info.filename.endswith(".npy")]
        total = sum(info.file_size for info in members)
        if total > max(MOST_UNASKED, MOST_EXPANSION * size):
            raise Unfit(f"it has {size:,} bytes but unpacks to {total:,}")
        budget.unpacked(total)
        _refuse_repeated([info.filename for info in members])
        return {info.filename[:-len(".npy")]: _read_member(archive, info) for info in members}


def archive_directory(stream: BinaryIO, budget: Budget) -> zipfile.ZipFile:
    """A zip archive whose directory has been read, and nothing else of it. It does not close ``stream``.

    Raises OverBudget: it has too many members. One of ``DAMAGED``: it is damaged.
    """
    directory = _Directory(stream)
    archive = zipfile.ZipFile(directory)  # type: ignore
    directory.is_read = True
    budget.operations(len(archive.infolist()))
    return archive


# What zipfile raises on damaged files; RuntimeError covers encrypted members and unknown compressions.
DAMAGED = (OSError, ValueError, EOFError, RuntimeError, OverflowError, struct.error, zipfile.BadZipFile)


def _refuse_repeated(names: List[str]) -> None:
    name, count = collections.Counter(names).most_common(1)[0] if names else ("", 0)
    if count > 1:
        raise Unfit(f"it holds {name} {count} times")


def _read_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> np.ndarray:
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise Unfit(f"{info.filename} has a compression that NumPy does not write")
    with archive.open(info) as stream:
        try:
            header = read_header(stream)
        except Unfit as problem:
            raise Unfit(f"{info.filename}: {problem}") from problem
        if header.dtype.hasobject:
            raise Unfit(f"{info.filename} holds objects; only numbers are read")
        # Room for the array is made only if the archive has as many bytes as the header says.
        if header.nbytes > info.file_size:
            raise Unfit(f"{info.filename} has the shape {header.shape}, but only {info.file_size:,} bytes")
        data = _exactly(stream, header.nbytes)
        if stream.read(1):
            raise Unfit(f"{info.filename} has more bytes than its shape {header.shape} needs")
    if not header.nbytes:
        return np.zeros(header.shape, header.dtype)
    return np.frombuffer(data, header.dtype).reshape(header.shape, order="F" if header.is_fortran else "C")


def _exactly(stream: Any, count: int) -> bytes:
    data = stream.read(count)
    if len(data) < count:
        raise EOFError("it ends too early")
    return data


class _Directory:
    """A file for ``zipfile``, which reads the directory of an archive in one piece, whatever its stated size is."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.is_read = False
        self.seek, self.tell, self.seekable = stream.seek, stream.tell, stream.seekable

    def read(self, count: int = -1) -> bytes:
        """Up to ``count`` bytes. Raises OverBudget where the directory is larger than any of weights."""
        if self.is_read:
            return self._stream.read(count)
        data = self._stream.read(LARGEST_DIRECTORY + 1 if count is None or count < 0
                                 else min(count, LARGEST_DIRECTORY + 1))
        if len(data) > LARGEST_DIRECTORY:
            raise OverBudget(f"its directory has more than {LARGEST_DIRECTORY:,} bytes")
        return data
