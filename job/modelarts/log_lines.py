"""The lines of a job's log, each once: from ModelArts, or from the object in OBS that the platform writes.

Neither is a stream. A look may show less than the one before, because another server answered. It may show a part of a
line, or of a character. The log may also begin again: after a restart in a new container. So each look compares what is
there with what was told last.
"""

from __future__ import annotations

import abc
import codecs
import logging
from typing import Any, List, NamedTuple, Optional

from job.errors import ModelArtsError
from job.modelarts.errors import NoSuchJob
from job.modelarts.service import JobService, LogPart
from obs_sync.errors import ObjectChanged, ObjectNotFound, StoreError
from obs_sync.store import Store

log = logging.getLogger(__name__)

CUT = "\ufffd"  # what half a character was decoded to
CHUNK = 4 << 20  # bytes of a log object that are read at a time
HEAD, TAIL = 1024, 256  # bytes of a log object by which it is known again
LOOKS = 5  # at an object that is overwritten while it is read


class Line(NamedTuple):
    """A line of a log. number: from 1; it begins again at 1 where the log does. text: without the line end."""

    number: int
    text: str


class LogSource(abc.ABC):
    """Where the lines of one task's log come from."""

    @abc.abstractmethod
    def read(self, final: bool = False) -> List[Line]:
        """The lines that no earlier call returned.

        A line that may still grow is returned by a later call. final: nothing will be added, so return it now.
        """

    def close(self) -> None:  # noqa: B027  (most sources have nothing to close)
        """Close connections."""


class ServiceLog(LogSource):
    """The log as ModelArts gives it: by positions.

    Each request begins with the last line of the reply before. So a line that has grown since, and a log that began
    again, are noticed. The last line of a reply is returned once another line follows it, or once the next look finds
    it unchanged.
    """

    def __init__(self, service: JobService, job_id: str, task: str) -> None:
        self._service = service
        self._job_id = job_id
        self._task = task
        self._begin()

    def _begin(self) -> None:
        self.told = 0  # lines that were returned since the log began
        self._first: Optional[LogPart] = None  # the reply that held the first line
        self._cursor = 0  # position of the last line that is known
        self._text = ""  # of this line
        self._is_told = True  # whether this line was returned

    def read(self, final: bool = False) -> List[Line]:
        found: List[Line] = []
        held = None if self._is_told else self._text
        while True:
            try:
                new = self._ask(found, final)
            except (ModelArtsError, NoSuchJob):
                if found:  # they count as returned; the next call fails again, or does not
                    return found
                raise
            if not new:
                return found
            for text in new[:-1]:
                self._tell(found, text)
            self._text = new[-1]
            unchanged = len(new) == 1 and self._text == held and not self._text.endswith(CUT)
            self._is_told = final or unchanged
            if self._is_told:
                self._tell(found, self._text)
            if len(new) == 1:
                return found
            held = None

    def _tell(self, found: List[Line], text: str) -> None:
        self.told += 1
        found.append(Line(self.told, text))

    def _ask(self, found: List[Line], final: bool) -> List[str]:
        """The lines that were not returned yet. If the last one that was has grown, ``found`` gets the new part."""
        part = self._service.lines(self._job_id, self._task, self._cursor)
        lines = list(part.lines)
        if self._first is None:
            self._first = part if lines else None
            self._cursor = part.last
            return lines
        again = False
        if not lines:
            again = self._begins_otherwise(self._first)
        elif part.first > self._cursor:
            log.warning("lines of the log may be missing here: ModelArts does not keep them any more")
            lines = lines if self._is_told else [self._text] + lines
        elif lines[0] == self._text:
            lines = lines[1:] if self._is_told else lines
        elif len(lines) == 1 and _is_begun(lines[0], self._text):
            return []  # an older view
        elif not _is_begun(self._text, lines[0]):
            again = True
        elif self._is_told:
            if len(lines) == 1 and lines[0].endswith(CUT) and not final:
                return []
            found.append(Line(self.told, lines[0][len(self._text):]))
            self._text = lines[0]
            lines = lines[1:]
        if again:
            log.info("the log of %s begins again", self._task)
            if not self._is_told:
                self._tell(found, self._text)
            self._begin()
            return self._ask(found, final)
        self._cursor = max(self._cursor, part.last)
        return lines

    def _begins_otherwise(self, first: LogPart) -> bool:
        """Whether the first line is another one than before. A log that is shorter may just be an older view."""
        part = self._service.lines(self._job_id, self._task, 0, 1)
        if not part.lines or part.first > first.first:
            return False
        return not (_is_begun(part.lines[0], first.lines[0]) or _is_begun(first.lines[0], part.lines[0]))


def _is_begun(text: str, whole: str) -> bool:
    """Whether ``text`` is the beginning of ``whole``, perhaps cut in the middle of a character."""
    return whole.startswith(text[:-1] if text.endswith(CUT) else text)


class ObjectLog(LogSource):
    """The log object in OBS, which the platform overwrites every few seconds with a longer one.

    Args:
        store, key: of the object, which need not exist yet. skip: number of its first lines that ModelArts gave before.
    """

    def __init__(self, store: Store, key: str, skip: int = 0) -> None:
        self._store = store
        self._key = key
        self._skip = skip
        self._version: Any = None
        self._begin()

    def _begin(self) -> None:
        self._offset = 0  # bytes that were read
        self._head = self._tail = b""
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._unfinished = ""  # a line whose end was not there yet
        self._number = 0  # of the last line

    def read(self, final: bool = False) -> List[Line]:
        found: List[Line] = []
        changes = 0
        while changes < LOOKS:
            try:
                if not self._read_chunk(found):
                    break
            except ObjectChanged:
                changes += 1
            except ObjectNotFound:
                break
            except StoreError:
                if found:
                    return found
                raise
        if final:
            rest = self._unfinished + self._decoder.decode(b"", final=True)
            self._unfinished = ""
            if rest:
                self._add(found, rest)
        return found

    def _read_chunk(self, found: List[Line]) -> bool:
        """Read the next bytes of the object as it is now; whether there may be more."""
        info = self._store.head(self._key)
        version = (info.etag, info.modified, info.size)
        if version == self._version and info.size == self._offset:
            return False
        start = self._offset - len(self._tail)
        if info.size < self._offset or not self._goes_on(info, start):
            if self._head and self._is_older_view(info):
                return False
            if self._head:
                log.info("the log in OBS begins again")
                self._skip = 0
            self._begin()
        count = min(CHUNK, info.size - self._offset)
        data = bytes(self._store.read_range(info, self._offset, count)) if count else b""
        self._offset += count
        self._head = (self._head + data)[:HEAD]
        self._tail = (self._tail + data)[-TAIL:]
        self._version = version
        self._split(found, data)
        return self._offset < info.size

    def _goes_on(self, info: Any, start: int) -> bool:
        """Whether the object still holds the bytes that were read last, at their place."""
        return not self._tail or bytes(self._store.read_range(info, start, len(self._tail))) == self._tail

    def _is_older_view(self, info: Any) -> bool:
        """Whether a shorter object is an earlier version of the same log."""
        count = min(len(self._head), info.size)
        return info.size < self._offset and bytes(self._store.read_range(info, 0, count)) == self._head[:count]

    def _split(self, found: List[Line], data: bytes) -> None:
        *lines, self._unfinished = (self._unfinished + self._decoder.decode(data)).split("\n")
        for text in lines:
            self._add(found, text)

    def _add(self, found: List[Line], text: str) -> None:
        self._number += 1
        if self._number > self._skip:
            found.append(Line(self._number, text.rstrip("\r")))
