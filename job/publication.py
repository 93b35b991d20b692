"""Publication in the background: checkpoints and logs go to the store while training goes on.

One worker thread. At most two checkpoints wait for it, the newest and the best so far; an older one that is neither is
dropped, and the log says so. Before anything is uploaded all that wait are written to the spool, where they stay until
they have been delivered; the newest goes first. A failed delivery is tried again, with growing pauses, as long as
training goes on: an outage of the storage costs nothing but the wait at the end, and what is still undelivered then is
found in the spool by the next attempt.
"""
from __future__ import annotations

import contextlib
import logging
import os
import shutil
import sys
import threading
import time
from typing import Any, Dict, NamedTuple, Optional

from masf_core import checkpoints
from masf_core.errors import CheckpointError
from obs_sync import AccessDenied, StoreError, list_markers, publish_checkpoint, read_pointer, retain, write_pointer

log = logging.getLogger(__name__)

BEST = "best"  # name of the pointer beside the markers
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0  # seconds between attempts at a delivery that failed
DRAIN_ATTEMPTS = 3  # failures in a row after which a drain gives up
NICENESS = 10  # of the worker


class Snapshot(NamedTuple):
    """One checkpoint to be written and published."""

    name: str
    attempt: int  # of publishing it, from 1; a failed one may have left keys behind, and a key is never written twice
    arrays: Optional[Dict[str, Any]]  # None once they are in the spool
    progress: checkpoints.Progress
    best: bool
    metadata: Dict[str, Any]  # of the marker: iteration, lineage, scores
    digests: Optional[Dict[str, str]] = None  # SHA-256 by file name, known once this process wrote it to the spool

    @property
    def published_name(self):
        """The name it gets in the store."""
        return self.name if self.attempt == 1 else "{}-{}".format(self.name, self.attempt)


class NotDelivered(StoreError):
    """Something could not be published; the message says what, and where it lies."""


class _OutOfTime(Exception):
    """The drain's deadline has passed in the middle of an upload."""


class Publisher:
    """Delivers snapshots and log files.

    Args:
        store: the run's ``obs_sync.Store``. spool: local directory for checkpoints on their way.
        logs: local directory whose files are published beside the checkpoints.
        keep: number of newest checkpoints that retention keeps (the best is always kept).
        record: callable returning the text of run.json. clock: monotonic seconds.
    """

    def __init__(self, store, spool, logs, keep, record, clock=time.monotonic):
        self._store, self._spool, self._logs, self._keep, self._record = store, spool, logs, keep, record
        self._clock = clock
        self._changed = threading.Condition()
        self._pending = []
        self._logs_due = False
        self._working = False
        self._under_way = None  # name of the snapshot that is being uploaded
        self._spooling = threading.Lock()
        self._closing = False
        self._deadline = None
        self._draining = False
        self._failures_in_a_row = 0
        self._last_failure = None
        self._published = []
        self._transferred = (0, 0)
        self._thread = threading.Thread(target=self._work, name="publisher", daemon=True)
        self._thread.start()

    def submit(self, snapshot):
        """Queue a snapshot; waiting ones that it supersedes are dropped."""
        with self._changed:
            self._pending = self._without_superseded(self._pending + [snapshot])
            self._logs_due = True
            self._changed.notify_all()

    def publish_logs(self):
        """Queue an upload of the log files alone."""
        with self._changed:
            self._logs_due = True
            self._changed.notify_all()

    def state(self):
        """What has been delivered and what not: dict with ``published`` (last name), ``waiting``, ``last_failure``."""
        with self._changed:
            return {"published": self._published[-1] if self._published else None,
                    "waiting": [snapshot.name for snapshot in self._pending],
                    "last_failure": self._last_failure}

    def drain(self, seconds=None, on_progress=None):
        """Wait until everything queued is delivered.

        Args:
            seconds: give up after so long; None waits as long as attempts succeed.
            on_progress: called with (bytes sent, bytes) of the upload under way; what it raises ends the wait.

        Raises:
            NotDelivered: time was up, or ``DRAIN_ATTEMPTS`` attempts in a row failed; the spool keeps the files.
        """
        with self._changed:
            self._draining = True
            self._failures_in_a_row = 0
            self._deadline = None if seconds is None else self._clock() + seconds
            self._changed.notify_all()
            while self._pending or self._logs_due or self._working:
                if self._deadline is not None and self._clock() >= self._deadline:
                    break
                if self._failures_in_a_row >= DRAIN_ATTEMPTS:
                    break
                self._changed.wait(0.1)
                if on_progress and self._transferred[1]:
                    on_progress(*self._transferred)
            undone = [snapshot.name for snapshot in self._pending] or (["the log files"] if self._logs_due else [])
            reason = (self._last_failure or "the time was up").rstrip(".")
        if undone:
            kept = self._spool_all()
            raise NotDelivered("not published: {} ({}). {} Logs are in {}. The same command delivers them.".format(
                ", ".join(undone), reason, kept, self._logs))

    def close(self):
        """End the worker; what has not been delivered stays in the spool."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join(timeout=5)

    def _spool_all(self):
        """Write every waiting snapshot that is only in memory. Returns a sentence on what the spool holds."""
        with self._spooling:
            with self._changed:
                in_memory = [item for item in self._pending if item.arrays is not None]
            try:
                for item in in_memory:
                    digests = checkpoints.save(os.path.join(self._spool, item.name), item.arrays, item.progress)
                    with self._changed:
                        self._pending = [other._replace(arrays=None, digests=digests) if other.name == item.name
                                         else other for other in self._pending]
            except CheckpointError as error:
                return "Not all could be kept either: {}".format(error)
        return "Checkpoints are kept in {}.".format(self._spool)

    # The worker. Everything below runs in its thread.

    def _work(self):
        _give_way()
        while True:
            snapshot = self._next()
            if snapshot is _CLOSED:
                return
            try:
                if snapshot is not None:
                    self._deliver(self._persisted(snapshot))
                self._upload_logs()
                failure = None
            except Exception as error:  # whatever it was, training goes on; the end of the run reports it
                failure = error
            self._settle(snapshot, failure)

    def _next(self):
        """Wait for work; returns a snapshot, None for the logs alone, or _CLOSED."""
        with self._changed:
            while not (self._pending or self._logs_due or self._closing):
                self._changed.wait()
            if self._closing:
                return _CLOSED
            self._working = True
            self._logs_due = False
            self._transferred = (0, 0)
            newest = self._pending[-1] if self._pending else None
            self._under_way = newest and newest.name
            # Without its arrays: this thread would hold 1.2 GB of AlexNet's until the next snapshot comes.
            return newest and newest._replace(arrays=None)

    def _settle(self, snapshot, failure):
        """Note the outcome; after a failure, wait before the next attempt."""
        with self._changed:
            self._working, self._under_way = False, None
            if failure is None:
                self._failures_in_a_row, self._last_failure = 0, None
            else:
                self._failures_in_a_row += DRAIN_ATTEMPTS if isinstance(failure, AccessDenied) else 1
                self._last_failure = str(failure)
                # One that was under way when better ones came has had its chance: delivered after them, it would take
                # the pointer to the best away from its successor.
                self._pending = self._without_superseded([
                    item._replace(attempt=item.attempt + 1) if snapshot and item.name == snapshot.name else item
                    for item in self._pending])
                self._logs_due = True
            self._changed.notify_all()
            if failure is None:
                return
            # Once for an outage: at every interval the observer says that it lasts.
            log.log(logging.WARNING if self._failures_in_a_row in (1, DRAIN_ATTEMPTS) else logging.DEBUG,
                    "%s could not be published: %s", snapshot.name if snapshot else "the log files", failure)
            pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(self._failures_in_a_row - 1, 10))
            self._changed.wait_for(lambda: self._closing or self._draining, timeout=pause)
            if self._draining and not self._closing:
                self._changed.wait_for(lambda: self._closing, timeout=FIRST_PAUSE)

    def _persisted(self, snapshot):
        """Write what waits to the spool, where it outlives this process; returns ``snapshot`` as it is then."""
        sentence = self._spool_all()
        with self._changed:
            if any(item.arrays is not None for item in self._pending):
                raise NotDelivered(sentence)
            return next(item for item in self._pending if item.name == snapshot.name)

    def _deliver(self, snapshot):
        directory = os.path.join(self._spool, snapshot.name)
        started = self._clock()
        publish_checkpoint(self._store, directory, snapshot.published_name, snapshot.metadata, on_progress=self._watch,
                           digests=snapshot.digests)
        if snapshot.best:
            write_pointer(self._store, BEST, snapshot.published_name, metadata=snapshot.metadata)
        with self._changed:
            self._published.append(snapshot.published_name)
            self._pending = [item for item in self._pending if item.name != snapshot.name]
        log.info("published %s%s: %.1f MB in %.1f s", snapshot.name, " (best so far)" if snapshot.best else "",
                 self._transferred[1] / 1e6, self._clock() - started)
        shutil.rmtree(directory, ignore_errors=True)
        self._apply_retention(snapshot.metadata["lineage"])

    def _apply_retention(self, lineage):
        """Keep the newest and the best of this lineage; other lineages are not ours to delete."""
        markers = [marker for marker in list_markers(self._store) if marker.metadata.get("lineage") == lineage]
        markers.sort(key=lambda marker: (marker.metadata["iteration"], marker.created))
        keep = {marker.name for marker in markers[-self._keep:]}
        best = read_pointer(self._store, BEST)
        retain(self._store, keep | ({best} if best else set()), lineage=lineage)

    def _upload_logs(self):
        for name in sorted(os.listdir(self._logs)):
            path = os.path.join(self._logs, name)
            if not os.path.isfile(path) or name.endswith(".partial") or name.startswith("."):
                continue
            # A copy, because training may append to the original (TensorBoard's events) during the upload.
            copy = os.path.join(self._spool, name + ".upload")
            shutil.copyfile(path, copy)
            try:
                self._store.upload(copy, name)
            finally:
                os.remove(copy)
        self._store.write("run.json", self._record().encode("utf-8"))

    def _watch(self, done, total):
        self._transferred = (done, total)
        if self._deadline is not None and self._clock() > self._deadline:
            raise _OutOfTime("the time was up after {} of {} bytes".format(done, total))

    def _without_superseded(self, pending):
        """Keep the newest, the best, and the one that is under way."""
        if not pending:
            return []
        newest, best = pending[-1], next((item for item in reversed(pending) if item.best), None)
        kept = [item for item in pending if item is newest or item is best or item.name == self._under_way]
        for item in pending:
            if all(item is not other for other in kept):
                log.warning("%s: checkpoint %s is dropped for %s",
                            "the storage does not answer" if self._last_failure
                            else "uploads are slower than intervals", item.name, newest.name)
                shutil.rmtree(os.path.join(self._spool, item.name), ignore_errors=True)
        return kept


def _give_way():
    """Let this thread, and those that it will start, have what processor time is left over: training comes first.

    Where training leaves nothing over they have a tenth of each core: enough for a checkpoint to arrive, which
    with the least priority that there is could take longer than an interval. On Linux, where a thread has a niceness
    of its own, and 0 means the calling thread.
    """
    if sys.platform.startswith("linux"):
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, 0, NICENESS)


_CLOSED = object()
