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
from job.modelarts.service import JobService
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
    """The log as ModelArts gives it: by line numbers.

    The line that was returned last is asked for again each time: so a line that has grown since, and a log that began
    again, are noticed. The last line of a reply is returned once another line follows it, or once the next look finds
    it unchanged.
    """

    def __init__(self, service: JobService, job_id: str, task: str) -> None:
        self._service = service
        self._job_id = job_id
        self._task = task
        self._begin()

    def _begin(self) -> None:
        self._first = ""  # text of line 1
        self._told: Optional[Line] = None  # the last one, whole
        self._held: Optional[Line] = None  # follows it, and may still grow

    @property
    def told(self) -> int:
        """How many lines were returned since the log began."""
        return self._told.number if self._told else 0

    def read(self, final: bool = False) -> List[Line]:
        found: List[Line] = []
        held = self._held
        while True:
            try:
                new = self._ask(found, final)
            except (ModelArtsError, NoSuchJob):
                if found:  # they count as returned; the next call fails again, or does not
                    return found
                raise
            if not new:
                return found
            *whole, last = new
            if final or (last == held and not last.text.endswith(CUT)):
                whole.append(last)
                last = None
            found += whole
            self._told, self._held = whole[-1] if whole else self._told, last
            if not whole:
                return found

    def _ask(self, found: List[Line], final: bool) -> List[Line]:
        """The lines after the one that was told last. If that one has grown, the new part is appended to ``found``."""
        told = self._told
        part = self._service.lines(self._job_id, self._task, told.number if told else 1)
        lines = [Line(part.first + index, text) for index, text in enumerate(part.lines)]
        if told is None:
            _warn_of_gap(0, lines)
            self._first = lines[0].text if lines else ""
            return lines
        if not lines:
            if not self._begins_otherwise():
                return []
        elif lines[0].number != told.number or lines[0].text == told.text:
            rest = [line for line in lines if line.number > told.number]
            _warn_of_gap(told.number, rest)
            return rest
        elif lines[0].text.startswith(told.text):
            if len(lines) == 1 and lines[0].text.endswith(CUT) and not final:
                return []
            found.append(Line(told.number, lines[0].text[len(told.text):]))
            self._told = lines[0]
            return lines[1:]
        elif len(lines) == 1 and _is_begun(lines[0].text, told.text):
            return []  # an older view
        log.info("the log of %s begins again", self._task)
        self._begin()
        return self._ask(found, final)

    def _begins_otherwise(self) -> bool:
        """Whether line 1 is another one than before. A log that is shorter than before may just be an older view."""
        part = self._service.lines(self._job_id, self._task, 1, 1)
        if not part.lines or part.first != 1:
            return False
        return not (part.lines[0].startswith(self._first) or _is_begun(part.lines[0], self._first))


def _is_begun(text: str, whole: str) -> bool:
    """Whether ``text`` is the beginning of ``whole``, perhaps cut in the middle of a character."""
    return whole.startswith(text[:-1] if text.endswith(CUT) else text)


def _warn_of_gap(before: int, lines: List[Line]) -> None:
    if lines and lines[0].number > before + 1:
        log.warning("lines %d to %d of the log are missing: ModelArts does not keep them any more", before + 1,
                    lines[0].number - 1)


class ObjectLog(LogSource):
    """The log object in OBS, which the platform overwrites every few seconds with a longer one.

    Args:
        store, key: of the object, which need not exist yet. skip: lines that were told from elsewhere.
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
