"""How files are laid out in shards: the same files give the same bytes, and a changed file changes its own shard.

A shard is a POSIX tar that any `tar xf` reads: members in the order of their keys, mode 644, owner and time 0, no
entries of directories. Where a shard ends is drawn from the name of the member before the cut, not counted from the
first: a file that is added, removed or grows moves the cuts near it and leaves the others.
"""
from __future__ import annotations

import hashlib
import tarfile
from typing import List, NamedTuple, Sequence

BLOCK = 512         # bytes, of tar
END = bytes(2 * BLOCK)


class Entry(NamedTuple):
    """A file to be packed."""

    key: str
    size: int  # bytes


def header(entry: Entry) -> bytes:
    """What stands in a shard before the data: whole blocks, with a pax record where the name needs one."""
    about = tarfile.TarInfo(entry.key)
    about.size = entry.size
    return about.tobuf(tarfile.PAX_FORMAT, "utf-8", "strict")


def padding(size: int) -> bytes:
    """What stands after the data."""
    return bytes(-size % BLOCK)


def offsets(entries: Sequence[Entry]) -> List[int]:
    """Where in a shard the data of each begins, in bytes; then where the end mark does."""
    found, position = [], 0
    for entry in entries:
        start = position + len(header(entry))
        found.append(start)
        position = start + entry.size + len(padding(entry.size))
    return found + [position]


def cut(entries: Sequence[Entry], most: int) -> List[List[Entry]]:
    """Split `entries`, which are in the order of their keys, into shards of at most `most` bytes.

    A file that is larger has a shard of its own. Most shards are between a quarter of `most` and `most`, the half in
    the mean: from a quarter on, one ends after a member with the probability of its share of a quarter.
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
    """A number in [0, 1) that belongs to the key."""
    return int.from_bytes(hashlib.sha256(key.encode("utf-8")).digest()[:6], "big") / 2.0 ** 48
