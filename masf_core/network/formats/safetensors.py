"""Reading a `.safetensors` file: the length of a header, the header in JSON, and the arrays one behind the other.

https://github.com/huggingface/safetensors describes the format.
"""
from __future__ import annotations

import json
import struct
from typing import Any, BinaryIO, Callable, Dict, List, Tuple

import numpy as np

from masf_core.network.budget import Budget
from masf_core.network.formats.content import SAFETENSORS, Content, Stored, elements, from_bfloat16, is_shape
from masf_core.network.plain_arrays import Unfit
from masf_core.words import shown

_LARGEST_HEADER = 1 << 20  # bytes; some 8,000 arrays
_LONGEST_NUMBER = 16  # digits
_TYPES = {"F32": ("float32", "<f4"), "F64": ("float64", "<f8"), "F16": ("float16", "<f2"), "BF16": ("bfloat16", "<u2")}
_METADATA = "__metadata__"


def looks_so(head: bytes, size: int) -> bool:
    """Whether a file of ``size`` bytes that begins with these (at least nine) can be one."""
    return len(head) > 8 and head[8:9] == b"{" and 2 <= struct.unpack("<Q", head[:8])[0] <= size - 8


def read(stream: BinaryIO, size: int, budget: Budget) -> Content:
    """The arrays by their names. ``stream`` has to stay open while they are read. Raises Unfit, OverBudget."""
    (length,) = struct.unpack("<Q", stream.read(8))
    if length > _LARGEST_HEADER:
        raise Unfit(f"its header has {length:,} bytes, that of a network has less than {_LARGEST_HEADER:,}")
    header = _header(stream.read(length))
    begin, arrays = 8 + length, {}
    for name, entry in header.items():
        if name != _METADATA:
            budget.operations()
            arrays[name] = _stored(name, entry, stream, begin, size, budget)
    return Content(SAFETENSORS, arrays)


def _header(text: bytes) -> Dict[str, Any]:
    def object_of(pairs: List[Tuple[str, Any]]) -> Dict[str, Any]:
        made = dict(pairs)
        if len(made) < len(pairs):
            raise Unfit("its header has a name twice")
        return made

    def number(digits: str) -> int:
        if len(digits) > _LONGEST_NUMBER:
            raise Unfit("its header has a number of more than 16 digits")
        return int(digits)

    def refuse(_: str) -> Any:
        raise Unfit("its header has a number that is not whole")

    try:
        header = json.loads(text.decode("utf-8"), object_pairs_hook=object_of, parse_int=number, parse_float=refuse,
                            parse_constant=refuse)
    except (ValueError, RecursionError) as problem:
        raise Unfit(f"its header is no JSON ({shown(problem)})") from problem
    if not isinstance(header, dict):
        raise Unfit("its header is no object of JSON")
    return header


def _stored(name: str, entry: Any, stream: BinaryIO, begin: int, size: int, budget: Budget) -> Stored:
    """The array that an entry of the header describes. begin: where the arrays begin. size: of the file."""
    entry = entry if isinstance(entry, dict) else {}
    kind, shape, places = entry.get("dtype"), entry.get("shape"), entry.get("data_offsets")
    if not isinstance(kind, str) or not _is_list_of_sizes(shape) or not _is_list_of_sizes(places) or len(places) != 2:
        raise Unfit(f"its header does not tell type, shape and place of {shown(name)}")
    first, last = places
    if first > last or begin + last > size:
        raise Unfit(f"{shown(name)} lies outside the file, which may be cut short")
    if kind not in _TYPES:
        return Stored(tuple(shape), kind, None)
    words, code = _TYPES[kind]
    dtype = np.dtype(code)
    if elements(shape) * dtype.itemsize != last - first:
        raise Unfit(f"{shown(name)} has the shape {shown(tuple(shape))} in {last - first:,} bytes of {words}")
    return Stored(tuple(shape), words, _reader(stream, begin + first, tuple(shape), words, dtype, budget))


def _reader(stream: BinaryIO, at: int, shape: Tuple[int, ...], words: str, dtype: np.dtype,
            budget: Budget) -> Callable[[], np.ndarray]:
    def array() -> np.ndarray:
        count = elements(shape) * dtype.itemsize
        budget.memory(count)
        stream.seek(at)
        found = np.frombuffer(stream.read(count), dtype).reshape(shape)
        return from_bfloat16(found) if words == "bfloat16" else found

    return array


def _is_list_of_sizes(value: Any) -> bool:
    return isinstance(value, list) and all(type(number) is int for number in value) and is_shape(value)
