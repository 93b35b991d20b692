"""`.npz` files in one pass: what `np.savez` writes and `np.load` reads, in less processor time.

NumPy copies each array on its way, and a caller who wants a digest reads the file again. Here each piece of an array is
checked (CRC-32 of the archive), hashed, and written or read while it is in the processor's cache.
"""
from __future__ import annotations

import functools
import hashlib
import operator
import os
import struct
import tokenize
import zipfile
import zlib
from typing import Any, BinaryIO, Dict, Mapping, Optional

import numpy as np

from masf_core.memory import aligned_empty

PIECE = 1 << 20  # bytes
_LOCAL_HEADER = 30  # bytes before a member's name (APPNOTE of the ZIP format, 4.3.7)


class Hashing:
    """A binary stream to write to. It knows the SHA-256 of the bytes that were written.

    It has no ``seek``, so an archive writes sizes and checksums behind its members instead of going back.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._sha256 = hashlib.sha256()

    def write(self, data: Any) -> int:
        self._stream.write(data)
        self._sha256.update(data)
        return len(data)

    def flush(self) -> None:
        self._stream.flush()

    def sha256(self) -> str:
        """64 lower-case hex digits."""
        return self._sha256.hexdigest()


def write_npz(stream: Any, arrays: Mapping[str, np.ndarray]) -> None:
    """Write ``arrays`` (name → array) as ``np.savez(stream, **arrays)`` does.

    Args:
        stream: a binary file to write to, or a ``Hashing``.
    """
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        for name, array in arrays.items():
            array = np.asarray(array, order="C")
            with archive.open(name + ".npy", "w", force_zip64=True) as member:
                np.lib.format.write_array_header_1_0(member, np.lib.format.header_data_from_array_1_0(array))
                content = memoryview(array.reshape(-1).view(np.uint8))
                for start in range(0, len(content), PIECE):
                    member.write(content[start:start + PIECE])


def read_npz(path: str, sha256: Optional[str] = None) -> Dict[str, np.ndarray]:
    """The arrays of a file that ``write_npz`` or ``np.savez`` wrote: dict name → array, in aligned memory.

    Args:
        sha256: the SHA-256 that the file must have (hexadecimal). It is computed in the same pass over the file, and
            replaces the archive's own checksums, whose check would take as long again.

    Raises:
        OSError, ValueError, zipfile.BadZipFile: the file cannot be read, or a checksum is wrong.
    """
    try:
        return _read_npz(path, sha256)
    except (EOFError, MemoryError, OverflowError, RuntimeError, SyntaxError, TypeError, tokenize.TokenError,
            struct.error, zlib.error) as error:
        # zipfile, zlib and NumPy's reader of headers raise these for some kinds of damage.
        raise ValueError(f"it is damaged ({type(error).__name__}: {error})") from error


def _read_npz(path: str, sha256: Optional[str]) -> Dict[str, np.ndarray]:
    with zipfile.ZipFile(path) as archive:
        members = sorted(archive.infolist(), key=lambda info: info.header_offset)
        if sha256 is None:
            return {_array_name(info): _read_checked(archive, info) for info in members}
    with open(path, "rb", buffering=0) as stream:
        hashing, arrays, size = _HashingReader(stream), {}, os.fstat(stream.fileno()).st_size
        for info in members:
            if info.file_size > size:  # before memory is allocated for it
                raise ValueError(f"{info.filename}: it has {info.file_size} bytes, and the file has {size}")
            hashing.pass_over(info.header_offset - hashing.offset)
            name_length, extra_length = struct.unpack("<26x2H", hashing.read(_LOCAL_HEADER))
            hashing.pass_over(name_length + extra_length)
            if info.compress_type != zipfile.ZIP_STORED:
                raise ValueError(f"{info.filename}: it is compressed")
            arrays[_array_name(info)] = _read_array(hashing, info)
        hashing.pass_over(size - hashing.offset)
    if hashing.sha256() != sha256:
        raise ValueError(f"its SHA-256 is {hashing.sha256()}, not {sha256}")
    return arrays


class _HashingReader:
    """A file that is read from its beginning to its end. It knows the SHA-256 of the bytes that were read."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._sha256 = hashlib.sha256()
        self.offset = 0

    def read(self, size: int) -> bytes:
        data = bytearray(size)
        self.readinto(data)
        return bytes(data)

    def readinto(self, buffer: Any) -> None:
        left = memoryview(buffer)
        while left:
            count = self._stream.readinto(left)
            if not count:
                raise ValueError("ends too early")
            self._sha256.update(left[:count])
            self.offset += count
            left = left[count:]

    def pass_over(self, size: int) -> None:
        if size < 0:
            raise ValueError("its members overlap")
        while size:
            size -= len(self.read(min(size, PIECE)))

    def sha256(self) -> str:
        return self._sha256.hexdigest()


def _array_name(info: zipfile.ZipInfo) -> str:
    return info.filename[:-len(".npy")]


def _read_checked(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> np.ndarray:
    with archive.open(info) as member:
        array = _read_array(_MemberReader(member), info)
        member.read(1)  # zipfile compares the checksum only when it reaches the end of the member
        return array


class _MemberReader:
    """A member of an archive, with the methods of ``_HashingReader``. The archive compares its checksum."""

    def __init__(self, member: Any) -> None:
        self._member = member
        self.offset = 0

    def read(self, size: int) -> bytes:
        data = self._member.read(size)
        if len(data) < size:
            raise ValueError("ends too early")
        self.offset += size
        return data

    def readinto(self, buffer: Any) -> None:
        buffer[:] = self.read(len(buffer))


def _read_array(reader: Any, info: zipfile.ZipInfo) -> np.ndarray:
    """The array that begins at the reader's position and reaches to the end of the member ``info``."""
    begin = reader.offset
    if np.lib.format.read_magic(reader) != (1, 0):
        raise ValueError(f"{info.filename}: the version of its .npy format is not 1.0")
    shape, fortran, dtype = np.lib.format.read_array_header_1_0(reader)
    if dtype.hasobject:
        raise ValueError(f"{info.filename}: it holds objects, not numbers")
    size, there = dtype.itemsize * functools.reduce(operator.mul, shape, 1), info.file_size - (reader.offset - begin)
    if size != there:  # checked before memory is allocated
        raise ValueError(f"{info.filename}: its array takes {size} bytes, there are {there}")
    array = aligned_empty(shape[::-1] if fortran else shape, dtype)
    content = memoryview(array.reshape(-1).view(np.uint8))
    for start in range(0, size, PIECE):
        reader.readinto(content[start:start + PIECE])
    return array.T if fortran else array
