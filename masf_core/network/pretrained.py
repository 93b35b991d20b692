"""Reading pretrained weights. The file may come from a bucket and is not trusted.

Three layouts: a `.npy` with a pickled dict {layer: [weights, biases]}, as `bvlc_alexnet.npy` is (of Python 2);
a `.npz` of plain arrays `<layer>_W` and `<layer>_b`, where `__` stands for the "/" of a layer's name; and the
`network.npz` of a checkpoint, of plain arrays `<layer>/weights` and `<layer>/biases`.
"""

from __future__ import annotations

import os
import zipfile
import zlib
from typing import Any, BinaryIO, Dict, Iterable, List, Tuple

import numpy as np

from masf_core.errors import WeightsError
from masf_core.network import restricted_pickle

# Weights hardly compress. An archive that claims to unpack to more than both of these is not unpacked.
MOST_EXPANSION = 100  # times the file's size
MOST_UNASKED = 100 * 1000 * 1000  # bytes

# What readers of archives and arrays raise on damaged files; RuntimeError covers encrypted and unknown compressions.
_DAMAGED = (OSError, ValueError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error)

_EXPECTED = ("Expected the weights of a network: a .npy with a pickled dict {layer: [weights, biases]} as "
             "bvlc_alexnet.npy, a .npz with <layer>_W and <layer>_b, or the network.npz of a checkpoint.")
# How the two arrays of a layer are called in a .npz: in converted files, and in checkpoints.
_CONVERTED, _CHECKPOINT = ("_W", "_b"), ("/weights", "/biases")


def read_pretrained(path: str) -> Dict[str, List[np.ndarray]]:
    """{layer: [weights, biases]}, float32, in the shapes of the file.

    The content decides which of the two layouts it is, not the name.
    Raises WeightsError: no such file, damaged, of another layout, with values that are not finite, or with anything
    in it but arrays.
    """
    try:
        with open(path, "rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            head = stream.read(6)
            stream.seek(0)
            if head == b"\x93NUMPY":
                layers = _read_npy(stream, size)
            elif head[:4] == b"PK\x03\x04":
                layers = _read_npz(stream, size)
            else:
                raise _Unfit("it is neither .npy nor .npz")
        return {name: [_checked(name, value) for value in values] for name, values in layers.items()}
    except (_Unfit, restricted_pickle.Refused) as problem:
        raise WeightsError(f"weights file {path}: {problem}. {_EXPECTED}") from problem
    except _DAMAGED as problem:
        raise WeightsError(f"weights file {path} cannot be read, it may be cut short: {problem}. "
                           f"{_EXPECTED}") from problem


class _Unfit(Exception):
    """Why this is no file of weights."""


def _read_npy(stream: BinaryIO, size: int) -> Dict[str, List[np.ndarray]]:
    shape, dtype = _read_header(stream)
    if dtype != np.dtype(object) or shape != ():
        raise _Unfit(f"it holds one array of shape {shape} and type {dtype}")
    content = restricted_pickle.load(stream, size - stream.tell())
    if not isinstance(content, dict):
        raise _Unfit(f"it holds a {type(content).__name__}, no dict")
    return {_layer_name(name): _pair(_layer_name(name), value) for name, value in content.items()}


def _pair(name: str, value: Any) -> List[Any]:
    """[weights, biases] from such a list or tuple, or from {"weights": …, "biases": …} as some converters write."""
    if isinstance(value, dict):
        named = {_layer_name(key): item for key, item in value.items()}
        value = [named.get("weights"), named.get("biases")]
    if (not isinstance(value, (list, tuple)) or len(value) != 2
            or not all(isinstance(item, np.ndarray) for item in value)):
        raise _Unfit(f"layer {name} is no pair of arrays")
    return list(value)


def _layer_name(key: Any) -> str:
    """Names are bytes where Python 2 wrote them."""
    if isinstance(key, bytes):
        key = key.decode("latin-1")
    if not isinstance(key, str):
        raise _Unfit(f"a layer's name is {key!r}, no text")
    return key


def _read_npz(stream: BinaryIO, size: int) -> Dict[str, List[np.ndarray]]:
    with zipfile.ZipFile(stream) as archive:
        members = [info for info in archive.infolist() if info.filename.endswith(".npy")]
        total = sum(info.file_size for info in members)
        if total > max(MOST_UNASKED, MOST_EXPANSION * size):
            raise _Unfit(f"it has {size} bytes but unpacks to {total}")
        arrays = {info.filename[:-len(".npy")]: _read_member(archive, info) for info in members}
    if not arrays:
        raise _Unfit("it holds no arrays")
    ours = _of_a_checkpoint(arrays)
    suffixes = _CHECKPOINT if ours else _CONVERTED
    layers = sorted({name[:-len(suffix)] for name in arrays for suffix in suffixes if name.endswith(suffix)})
    odd = [name for name in arrays if not name.endswith(suffixes)]
    alone = [layer + suffix for layer in layers for suffix in suffixes if layer + suffix not in arrays]
    if odd or alone:
        raise _Unfit("; ".join(f"{what} arrays: {_few(names)}" for what, names in (
            ("unexpected", odd), ("missing", alone)) if names))
    return {layer if ours else layer.replace("__", "/"): [arrays[layer + suffix] for suffix in suffixes]
            for layer in layers}


def is_network_file(path: str) -> bool:
    """Whether a file that ``read_pretrained`` has read is the network of a checkpoint, whose classifier is of use."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return _of_a_checkpoint(name[:-len(".npy")] for name in archive.namelist() if name.endswith(".npy"))


def _of_a_checkpoint(names: Iterable[str]) -> bool:
    return any(name.endswith(_CHECKPOINT) for name in names)


def _few(names: List[str]) -> str:
    return ", ".join(names[:5]) + (", …" if len(names) > 5 else "")


def _read_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> np.ndarray:
    with archive.open(info) as stream:
        shape, dtype = _read_header(stream)
        if dtype.hasobject:
            raise _Unfit(f"{info.filename} holds objects; only numbers are read")
        # The header's shape is only believed if the archive says the same.
        count = 1
        for length in shape:
            count *= length
        if count * dtype.itemsize > info.file_size:
            raise _Unfit(f"{info.filename} says it has shape {shape}, but only {info.file_size} bytes")
    with archive.open(info) as stream:
        return np.lib.format.read_array(stream, allow_pickle=False)


def _read_header(stream) -> Tuple[Tuple[int, ...], np.dtype]:
    version = np.lib.format.read_magic(stream)
    readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    if version not in readers:
        raise _Unfit("it has version {}.{} of the .npy format".format(*version))
    shape, _, dtype = readers[version](stream)
    return shape, dtype


def _checked(name: str, value: np.ndarray) -> np.ndarray:
    """`value` as float32, C-contiguous. Raises _Unfit for other types than real numbers and for values not finite."""
    if value.dtype.kind != "f":
        raise _Unfit(f"layer {name} has an array of type {value.dtype}, expected floating-point numbers")
    with np.errstate(over="ignore"):  # becomes infinite, which is told below
        value = np.ascontiguousarray(value, np.float32)
    if not np.all(np.isfinite(value)):
        raise _Unfit(f"layer {name} has values that are not finite")
    return value
