"""Reading fields of protobuf messages (the "wire format") that are not trusted.

A message is a sequence of fields. Each begins with a number that holds the field's own number and how its value is
written. https://protobuf.dev/programming-guides/encoding/ describes it.
"""
from __future__ import annotations

import struct
from typing import Any, Iterator, List, Tuple

from masf_core.network.budget import Budget
from masf_core.network.plain_arrays import Unfit

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
_LONGEST_VARINT = 10  # bytes


def fields(message: memoryview, budget: Budget) -> Iterator[Tuple[int, int, Any]]:
    """(field number, way of writing, value) of each field.

    The value is an int for ``VARINT``, ``FIXED32`` and ``FIXED64``, and a part of ``message`` for ``BYTES``.
    Raises Unfit, OverBudget.
    """
    at = 0
    while at < len(message):
        budget.operations()
        tag, at = varint(message, at)
        number, way = tag >> 3, tag & 7
        if way == VARINT:
            value, at = varint(message, at)
        elif way in (FIXED64, FIXED32):
            size = 8 if way == FIXED64 else 4
            (value,) = struct.unpack("<Q" if way == FIXED64 else "<I", part(message, at, size))
            at += size
        elif way == BYTES:
            size, at = varint(message, at)
            value = part(message, at, size)
            at += size
        else:
            raise Unfit(f"a field is written in way {way} of protobuf, which no weights need")
        yield number, way, value


def varint(data: memoryview, at: int) -> Tuple[int, int]:
    """(number, place behind it) of the number of variable length at ``at``. Raises Unfit."""
    value = 0
    for count in range(_LONGEST_VARINT):
        if at + count >= len(data):
            raise Unfit("it ends in the middle of a number, it may be cut short")
        byte = data[at + count]
        value |= (byte & 0x7F) << (7 * count)
        if byte < 0x80:
            return value, at + count + 1
    raise Unfit(f"a number has more than {_LONGEST_VARINT} bytes")


def varints(data: memoryview, budget: Budget) -> List[int]:
    """The numbers of a packed field. Raises Unfit, OverBudget."""
    found, at = [], 0
    while at < len(data):
        budget.operations()
        value, at = varint(data, at)
        found.append(value)
    return found


def part(data: memoryview, at: int, size: int) -> memoryview:
    """``size`` bytes from ``at``. Raises Unfit where there are fewer."""
    if size > len(data) - at:
        raise Unfit(f"a part of {size:,} bytes has only {max(0, len(data) - at):,}, it may be cut short")
    return data[at:at + size]


def text(data: Any) -> str:
    """Text of a field; characters that are damaged become question marks. Raises Unfit where it is a number."""
    if not isinstance(data, memoryview):
        raise Unfit("it has a number where a text is expected")
    return bytes(data[:1000]).decode("utf-8", "replace")
