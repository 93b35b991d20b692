"""`.npz` files in one pass: what `np.savez` writes and `np.load` reads, for less of the processor.

NumPy copies each array on its way, and whoever wants a digest reads the file again. Here a piece of an array is checked
(the archive's CRC-32), hashed and written, or read and checked, while it is in the processor's cache.
"""
from __future__ import annotations

import hashlib
import zipfile

import numpy as np

from masf_core.memory import aligned_empty

PIECE = 1 << 20  # bytes


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


def read_npz(path):
    """The arrays of a file as ``write_npz`` or ``np.savez`` wrote it: dict name → array, in aligned memory.

    Raises:
        OSError, ValueError, zipfile.BadZipFile: it cannot be read, or a checksum is wrong.
    """
    with zipfile.ZipFile(path) as archive:
        return {info.filename[:-len(".npy")]: _read_member(archive, info) for info in archive.infolist()}


def _read_member(archive, info):
    with archive.open(info) as member:
        if np.lib.format.read_magic(member) != (1, 0):
            raise ValueError("{}: of another version of the .npy format than 1.0".format(info.filename))
        shape, fortran, dtype = np.lib.format.read_array_header_1_0(member)
        if dtype.hasobject:
            raise ValueError("{}: holds objects, not numbers".format(info.filename))
        array = aligned_empty(shape[::-1] if fortran else shape, dtype)
        content = memoryview(array.reshape(-1).view(np.uint8))
        for start in range(0, len(content), PIECE):
            piece = member.read(min(PIECE, len(content) - start))
            if len(piece) < min(PIECE, len(content) - start):
                raise ValueError("{}: ends too early".format(info.filename))
            content[start:start + len(piece)] = piece
        if member.read(1):  # at the end of a member its checksum is compared
            raise ValueError("{}: has more than its array".format(info.filename))
        return array.T if fortran else array
