"""What the attacks did, and what was wrong."""
from __future__ import annotations

import collections
from typing import Counter, Dict, List, Optional

from benchmarks.chaos.proxy import ChaosProxy


class Tally:
    """Sums over all runs.

    Attributes:
        runs: runs that were compared at the end.
        processes: processes started.
        kills, stops: processes that died of SIGKILL, and that ended themselves after SIGTERM.
        refusals: processes that gave up by themselves, with the exit code for storage.
        connections, carried: connections, and bytes, that passed the proxies.
        mishaps: kind to number of mishaps.
        compared: bytes that were compared with what they had to be.
        wrong: one sentence for each result that was not what it had to be.
    """

    def __init__(self) -> None:
        self.runs = self.processes = self.kills = self.stops = self.refusals = 0
        self.connections = self.carried = self.compared = 0
        self.mishaps: Counter[str] = collections.Counter()
        self.wrong: List[str] = []

    def add_proxy(self, proxy: ChaosProxy) -> None:
        self.connections += proxy.connections
        self.carried += proxy.carried
        self.mishaps.update(proxy.mishaps)

    def compare(self, what: str, found: Optional[bytes], *allowed: Optional[bytes]) -> None:
        """Counts the bytes, and notes it as wrong if they are none of those allowed; None stands for no file."""
        self.compared += len(found or b"")
        if found not in allowed:
            self.wrong.append(f"{what}: {_size(found)}, where {' or '.join(map(_size, allowed))} was expected")

    def compare_trees(self, what: str, found: Dict[str, bytes], expected: Dict[str, bytes]) -> None:
        """Compares every file of two trees."""
        for name in sorted(set(found) | set(expected)):
            self.compare(f"{what}: {name}", found.get(name), expected.get(name))


def _size(data: Optional[bytes]) -> str:
    return "no file" if data is None else f"a file of {len(data)} bytes with a CRC of {_crc(data)}"


def _crc(data: bytes) -> str:
    import zlib

    return f"{zlib.crc32(data):08x}"
