"""`.npz` files in one pass: what `np.savez` writes and `np.load` reads, for less of the processor.

NumPy copies each array on its way, and whoever wants a digest reads the file again. Here a piece of an array is checked
(the archive's CRC-32), hashed and written, or read and checked, while it is in the processor's cache.
"""
from __future__ import annotations

import functools
import hashlib
import operator
import os
import struct
import tokenize
import zipfile

import numpy as np

from masf_core.memory import aligned_empty

PIECE = 1 << 20  # bytes
_LOCAL_HEADER = 30  # bytes before a member's name (APPNOTE of the ZIP format, 4.3.7)


class Hashing:
    """A binary stream that is only written to, and knows the SHA-256 of what was.

    It cannot be rewound, so that an archive puts sizes and checksums behind its members instead of going back.
    """

    def __init__(self, stream):
        self._stream = stream
        self._sha256 = hashlib.sha256()

    def write(self, data):
        self._stream.write(data)
        self._sha256.update(data)
        return len(data)

    def flush(self):
        self._stream.flush()

    def sha256(self):
        """Hexadecimal."""
        return self._sha256.hexdigest()


def write_npz(stream, arrays):
    """Write ``arrays`` (name → array) as ``np.savez(stream, **arrays)`` does. ``stream`` may be a ``Hashing``."""
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        for name, array in arrays.items():
            array = np.asarray(array, order="C")
            with archive.open(name + ".npy", "w", force_zip64=True) as member:
                np.lib.format.write_array_header_1_0(member, np.lib.format.header_data_from_array_1_0(array))
                content = memoryview(array.reshape(-1).view(np.uint8))
                for start in range(0, len(content), PIECE):
                    member.write(content[start:start + PIECE])


def read_npz(path, sha256=None):
    """The arrays of a file as ``write_npz`` or ``np.savez`` wrote it: dict name → array, in aligned memory.

    Args:
        sha256: what the file's SHA-256 has to be (hexadecimal). It is taken in the same pass over the file and compared
            instead of the archive's own checksums, which would cost as much again.

    Raises:
        OSError, ValueError, zipfile.BadZipFile: it cannot be read, or a checksum is wrong.
    """
    try:
        return _read_npz(path, sha256)
    except (EOFError, RuntimeError, SyntaxError, tokenize.TokenError, struct.error) as error:
        # What zipfile and NumPy's reading of a header say of some damages.
        raise ValueError(f"it is damaged ({type(error).__name__}: {error})") from error


def _read_npz(path, sha256):
    with zipfile.ZipFile(path) as archive:
        members = sorted(archive.infolist(), key=lambda info: info.header_offset)
        if sha256 is None:
            return {_array_name(info): _read_checked(archive, info) for info in members}
    with open(path, "rb", buffering=0) as stream:
        hashing, arrays = _HashingReader(stream), {}
        for info in members:
            hashing.pass_over(info.header_offset - hashing.offset)
            name_length, extra_length = struct.unpack("<26x2H", hashing.read(_LOCAL_HEADER))
            hashing.pass_over(name_length + extra_length)
            if info.compress_type != zipfile.ZIP_STORED:
                raise ValueError(f"{info.filename}: is compressed")
            arrays[_array_name(info)] = _read_array(hashing, info)
        hashing.pass_over(os.fstat(stream.fileno()).st_size - hashing.offset)
    if hashing.sha256() != sha256:
        raise ValueError(f"its SHA-256 is {hashing.sha256()}, not {sha256}")
    return arrays


class _HashingReader:
    """A file that is read from its beginning to its end, and knows the SHA-256 of what was read."""

    def __init__(self, stream):
        self._stream = stream
        self._sha256 = hashlib.sha256()
        self.offset = 0

    def read(self, size):
        data = bytearray(size)
        self.readinto(data)
        return bytes(data)

    def readinto(self, buffer):
        left = memoryview(buffer)
        while left:
            count = self._stream.readinto(left)
            if not count:
                raise ValueError("ends too early")
            self._sha256.update(left[:count])
            self.offset += count
            left = left[count:]

    def pass_over(self, size):
        if size < 0:
            raise ValueError("its members overlap")
        while size:
            size -= len(self.read(min(size, PIECE)))

    def sha256(self):
        return self._sha256.hexdigest()


def _array_name(info):
    return info.filename[:-len(".npy")]


def _read_checked(archive, info):
    with archive.open(info) as member:
        array = _read_array(_MemberReader(member), info)
        member.read(1)  # only at the end of a member is its checksum compared
        return array


class _MemberReader:
    """A member of an archive, read as ``_HashingReader`` reads a file; the archive compares its checksum."""

    def __init__(self, member):
        self._member = member
        self.offset = 0

    def read(self, size):
        data = self._member.read(size)
        if len(data) < size:
            raise ValueError("ends too early")
        self.offset += size
        return data

    def readinto(self, buffer):
        buffer[:] = self.read(len(buffer))


def _read_array(reader, info):
    """The array that begins here and ends the member ``info``."""
    begin = reader.offset
    if np.lib.format.read_magic(reader) != (1, 0):
        raise ValueError(f"{info.filename}: of another version of the .npy format than 1.0")
    shape, fortran, dtype = np.lib.format.read_array_header_1_0(reader)
    if dtype.hasobject:
        raise ValueError(f"{info.filename}: holds objects, not numbers")
    size, there = dtype.itemsize * functools.reduce(operator.mul, shape, 1), info.file_size - (reader.offset - begin)
    if size != there:  # before memory is taken for what is not there
        raise ValueError(f"{info.filename}: its array takes {size} bytes, there are {there}")
    array = aligned_empty(shape[::-1] if fortran else shape, dtype)
    content = memoryview(array.reshape(-1).view(np.uint8))
    for start in range(0, size, PIECE):
        reader.readinto(content[start:start + PIECE])
    return array.T if fortran else array
