"""The log of one task: collected from its containers, read by lines and by bytes.

Like the platform's own agent, `collect` copies what a container has written since the last time. What a lost node wrote
after that is lost.
"""
from __future__ import annotations

import bisect
import os
from typing import Dict, List, NamedTuple, Optional, Tuple

PREVIEW_BYTES = 5 * 1024 * 1024
_PIECE = 1024 * 1024


class Page(NamedTuple):
    """Lines of a log, each with its end."""

    start: int         # number of the oldest line in it
    end: int           # one more than the number of the newest line in it
    lines: List[bytes]


class TaskLog:
    """The log of one task over all its containers. Only one thread may use it at a time.

    Args:
        path: file that keeps the log; it is created.
        first_line: number of the first line.
        kept: whether the file exists, from an earlier start of the mock, and is the beginning of the log.
    """

    def __init__(self, path: str, first_line: int, kept: bool = False):
        self.path = path
        self.first_line = first_line
        self.size = 0
        self._source: Optional[str] = None
        self._read = 0                              # bytes of the source that are collected
        self._ends: List[int] = []                  # offset behind the end of each line
        self._history: List[Tuple[float, int]] = []  # (moment, size) after each growth
        self._finished = False
        self._sought: Dict[Tuple[str, float], int] = {}  # (text, since) to the offset up to which it was not found
        if kept:
            with open(path, "rb") as stream:
                self._index(stream.read(), 0.0)
        else:
            open(path, "wb").close()

    def follow(self, source: str) -> None:
        """Collects from this file from now on. A line that the last container did not end is ended."""
        if source == self._source:
            return
        if self._ends[-1:] != [self.size] and self.size:
            self._append(b"\n", self._history[-1][0])
        self._source, self._read = source, 0

    def collect(self, now: float) -> None:
        """Copies what the container has written since the last time. now: the platform's time."""
        if self._source is None or not os.path.exists(self._source):
            return
        with open(self._source, "rb") as stream:
            stream.seek(self._read)
            while True:
                piece = stream.read(_PIECE)
                if not piece:
                    return
                self._read += len(piece)
                self._append(piece, now)

    def finish(self) -> None:
        """The task has ended: a last line without an end is a line now."""
        self._finished = True

    def content(self, size: int, most: Optional[int] = None) -> bytes:
        """The first `size` bytes, of which only the last `most`."""
        start = 0 if most is None else max(0, size - most)
        with open(self.path, "rb") as stream:
            stream.seek(start)
            return stream.read(size - start)

    def visible(self, now: float, behind: float) -> int:
        """The number of bytes that there were `behind` seconds ago."""
        if behind <= 0:
            return self.size
        place = bisect.bisect_right(self._history, (now - behind, self.size))
        return self._history[place - 1][1] if place else 0

    def first_seen(self, text: str, since: float) -> Optional[float]:
        """When this text was first collected, at `since` or later; None if it was not."""
        sought = text.encode("utf-8")
        start = self._sought.get((text, since))
        if start is None:
            start = self._history[bisect.bisect_left(self._history, (since, 0)) - 1][1] if self._history else 0
            start = start if self._history and self._history[0][0] < since else 0
        place = self.content(self.size, self.size - start).find(sought) if self.size > start else -1
        if place < 0:
            self._sought[(text, since)] = max(start, self.size - len(sought) + 1)
            return None
        end = start + place + len(sought)
        return next(moment for moment, size in self._history if size >= end)

    def page(self, size: int, base: Optional[int], most: int, forward: bool) -> Page:
        """Lines of the first `size` bytes, oldest first.

        Args:
            base: number of a line: the page begins with it (forward) or ends before it (backward). None: the newest.
            most: number of lines.
        """
        ends = self._ends[:bisect.bisect_right(self._ends, size)]
        if self._finished and size == self.size and size and ends[-1:] != [size]:
            ends.append(size)
        if base is None:
            start, end = max(0, len(ends) - most), len(ends)
        elif forward:
            start = min(max(0, base - self.first_line), len(ends))
            end = min(start + most, len(ends))
        else:
            end = min(max(0, base - self.first_line), len(ends))
            start = max(0, end - most)
        offsets = [ends[start - 1] if start else 0] + ends[start:end]
        content = self.content(offsets[-1], offsets[-1] - offsets[0])
        lines = [content[begin - offsets[0]:stop - offsets[0]] for begin, stop in zip(offsets, offsets[1:])]
        return Page(self.first_line + start, self.first_line + end, lines)

    def _append(self, data: bytes, now: float) -> None:
        with open(self.path, "ab") as stream:
            stream.write(data)
        self._index(data, now)

    def _index(self, data: bytes, now: float) -> None:
        """Notes where the lines of data that were added to the file end."""
        place = data.find(b"\n")
        while place >= 0:
            self._ends.append(self.size + place + 1)
            place = data.find(b"\n", place + 1)
        self.size += len(data)
        self._history.append((now, self.size))


def cut_in_a_character(data: bytes) -> bytes:
    """The data up to the middle of its last character that has several bytes; all of it if it has none."""
    for place in range(len(data) - 1, -1, -1):
        if data[place] >= 0xC0:  # the first byte of such a character
            return data[:place + 1]
    return data
