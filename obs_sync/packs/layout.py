"""How files are laid out in shards: the same files give the same bytes, and a changed file changes its own shard.

A shard is a POSIX tar that any `tar xf` reads: members in the order of their keys, mode 644, owner and time 0, no
entries for directories. Where a shard ends depends on a hash of the last member's key, not on the number of members
before it. So a file that is added, deleted or grows moves only the cuts near it.
"""
from __future__ import annotations

import hashlib
from typing import List, NamedTuple, Sequence

BLOCK = 512         # bytes, of tar
END = bytes(2 * BLOCK)
_LONGEST_NAME = 100           # bytes, in ustar
_LARGEST_SIZE = 8 ** 11 - 1   # bytes, in ustar


class Entry(NamedTuple):
    """A file to be packed."""

    key: str
    size: int  # bytes


def header(entry: Entry) -> bytes:
    """What precedes the data in a shard: whole blocks, with a pax record for what does not fit into ustar.

    Python's tarfile is not used, because its headers differ between versions of Python.
    """
    name = entry.key.encode("utf-8")
    records = b""
    if len(name) > _LONGEST_NAME or not all(byte < 128 for byte in name):
        records += _pax_record("path", name)
        name = bytes(byte for byte in name if byte < 128)[-_LONGEST_NAME:]
    if entry.size > _LARGEST_SIZE:
        records += _pax_record("size", b"%d" % entry.size)
    extended = _block(b"././@PaxHeader", len(records), b"x") + records + padding(len(records)) if records else b""
    return extended + _block(name, entry.size if entry.size <= _LARGEST_SIZE else 0, b"0")


def padding(size: int) -> bytes:
    """What follows the data: zeros up to a whole block."""
    return bytes(-size % BLOCK)


def offsets(entries: Sequence[Entry]) -> List[int]:
    """Where in a shard the data of each entry begins, in bytes; at last, where the end mark begins."""
    found, position = [], 0
    for entry in entries:
        start = position + len(header(entry))
        found.append(start)
        position = start + entry.size + len(padding(entry.size))
    return found + [position]


def cut(entries: Sequence[Entry], most: int) -> List[List[Entry]]:
    """Split `entries`, which are in the order of their keys, into shards of at most `most` bytes.

    A larger file has a shard of its own. Most shards have between a quarter of `most` and `most`, half of it on
    average: from a quarter on, a shard ends after a member with a probability of the member's size by a quarter.
    """
    quarter = most / 4
    shards: List[List[Entry]] = []
    current: List[Entry] = []
    used = 0
    for entry in entries:
        room = len(header(entry)) + entry.size + len(padding(entry.size))
        if current and used + room + len(END) > most:
            shards.append(current)
            current, used = [], 0
        current.append(entry)
        used += room
        if used >= quarter and _draw(entry.key) * quarter < room:
            shards.append(current)
            current, used = [], 0
    return shards + [current] if current else shards


def _draw(key: str) -> float:
    """A number in [0, 1) that depends on the key alone."""
    return int.from_bytes(hashlib.sha256(key.encode("utf-8")).digest()[:6], "big") / 2.0 ** 48


def _pax_record(keyword: str, value: bytes) -> bytes:
    """Length, keyword and value; the length counts its own digits."""
    rest = b" %s=%s\n" % (keyword.encode("ascii"), value)
    length = len(rest) + 1
    while len(b"%d" % length) + len(rest) != length:
        length = len(b"%d" % length) + len(rest)
    return b"%d%s" % (length, rest)


def _block(name: bytes, size: int, kind: bytes) -> bytes:
    """A ustar header of a file: mode 644; owner, group and time 0."""
    zero = b"0000000\0"
    start = name.ljust(100, b"\0") + b"0000644\0" + zero + zero + b"%011o\0" % size + b"%011o\0" % 0
    end = kind + bytes(100) + b"ustar\0" + b"00" + bytes(64) + zero + zero + bytes(155 + 12)
    checksum = b"%06o\0 " % sum(start + b" " * 8 + end)
    return start + checksum + end
