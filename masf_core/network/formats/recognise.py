"""Finds the format of a file by its content, and calls its reader."""
from __future__ import annotations

import re
from typing import BinaryIO, Optional

from masf_core.network import plain_arrays
from masf_core.network.budget import Budget
from masf_core.network.formats import caffe, hdf5, keras, safetensors, tensorflow_checkpoint, torch_file
from masf_core.network.formats.content import Content
from masf_core.network.plain_arrays import Unfit

NPY, ARCHIVE, HDF5, OLD_TORCH, SAFETENSORS, CHECKPOINT, CAFFE = (
    "npy", "archive", "hdf5", "old torch", "safetensors", "checkpoint", "caffe")
HEAD = 16  # bytes that tell the format; of a checkpoint its end tells as well
_PART_OF_A_CHECKPOINT = re.compile(r"(.*)\.(data-\d{5}-of-\d{5}|meta)\Z", re.DOTALL)


def format_of(head: bytes, size: int) -> Optional[str]:
    """The format of a file of ``size`` bytes that begins with ``head`` (``HEAD`` bytes); None if it is none of ours."""
    if head.startswith(plain_arrays.MAGIC):
        return NPY
    if head.startswith(b"PK\x03\x04"):
        return ARCHIVE
    if head.startswith(hdf5.FIRST_BYTES):
        return HDF5
    if head.startswith(torch_file.FIRST_BYTES):
        return OLD_TORCH
    if safetensors.looks_so(head, size):
        return SAFETENSORS
    if head.startswith(tensorflow_checkpoint.FIRST_BYTES):
        return CHECKPOINT
    if head.startswith(caffe.FIRST_BYTES):
        return CAFFE
    return None


def read(stream: BinaryIO, path: str, size: int, budget: Budget) -> Optional[Content]:
    """The arrays of a file that another program wrote; None if it is `.npy` or `.npz`.

    Args:
        stream: the file at ``path``, open and at its beginning. It has to stay open while arrays are read.

    Raises:
        Unfit: the format is none of those that are read, or the file is damaged. OverBudget, unpickler.Refused, or one
        of ``plain_arrays.DAMAGED``.
    """
    head = stream.read(HEAD)
    stream.seek(0)
    kind = format_of(head, size)
    if kind == ARCHIVE:
        names = plain_arrays.archive_directory(stream, budget).namelist()
        stream.seek(0)
        if torch_file.is_archive_of_torch(names):
            return torch_file.read_archive(stream, budget)
        if "model.weights.h5" in names:
            raise Unfit("it is a .keras file; unzip it and give its model.weights.h5")
        return None
    if kind == NPY:
        return None
    if kind == HDF5:
        return keras.read(stream, size, budget)
    if kind == OLD_TORCH:
        return torch_file.read_sequence(stream, size, budget)
    if kind == SAFETENSORS:
        return safetensors.read(stream, size, budget)
    if kind == CHECKPOINT:
        data = stream.read()
        if data.endswith(tensorflow_checkpoint.MAGIC):
            return tensorflow_checkpoint.read(memoryview(data), path, budget)
    elif kind == CAFFE and _PART_OF_A_CHECKPOINT.match(path) is None:
        return caffe.read(memoryview(stream.read()), budget)
    raise Unfit(_unknown(path, head))


def _unknown(path: str, head: bytes) -> str:
    part = _PART_OF_A_CHECKPOINT.match(path)
    if part is not None:
        return f"it is a part of a TensorFlow checkpoint; give its index, {part.group(1)}.index"
    if not head:
        return "it is empty"
    if head.startswith(b"\x80") and path.endswith(".npy"):
        return "it is a plain pickle, not a file that numpy.save has written; save it again with NumPy"
    if head.startswith(b"\x80"):
        return "it is a pickle, but not one of PyTorch's; save the state dict with torch.save, or the arrays with NumPy"
    return "it has none of the formats that are read, or is cut short"
