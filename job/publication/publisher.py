"""Publication in the background: checkpoints and logs go to the store while training goes on.

One worker thread. At most two checkpoints wait for it, the newest and the best so far; an older one that is neither is
dropped, and the log says so. Before anything is uploaded all that wait are written to the spool, where they stay until
they have been delivered; the newest goes first. A failed delivery is tried again, with growing pauses, as long as
training goes on: an outage of the storage costs nothing but the wait at the end, and what is still undelivered then is
found in the spool by the next attempt. An upload of which no byte moves for ten minutes has failed. When the job has to
leave soon, logs and run.json go first, and no checkpoint is begun that cannot arrive in time.
"""
from __future__ import annotations

import logging
import os
import shutil
import threading
import time

from job.publication.log_upload import upload_logs
from job.publication.priority import give_way
from job.publication.retention import BEST, Retention
from job.publication.snapshots import size_of, without_superseded
from job.publication.time_limit import within
from masf_core.errors import CheckpointError
from masf_core.records import checkpoints
from obs_sync import (
    AccessDenied, BucketNotFound, LeaseLost, LocalStorageError, StoreError, publish_checkpoint, write_pointer,
)

log = logging.getLogger(__name__)

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0  # seconds between attempts at a delivery that failed
DRAIN_ATTEMPTS = 3  # failures in a row after which a drain that has no deadline gives up
# Seconds in which some byte must move. Longer than a store tries again, and than moxing, which counts nothing before
# the end, takes for one file.
STALL = 600.0
SMALL_OPERATION = 300.0  # seconds for logs, a pointer, or retention
FINAL = (AccessDenied, BucketNotFound, LeaseLost, LocalStorageError)  # what another attempt cannot mend


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
        self._store, self._spool, self._logs, self._record = store, spool, logs, record
        self._clock = clock
        self._changed = threading.Condition()
        self._pending = []
        self._logs_due = False
        self._working = False
        self._under_way = None  # name of the snapshot that is being uploaded
        self._spooling = threading.Lock()
        self._closing = False
        self._deadline = None
        self._drains = 0  # how many have begun
        self._final = False  # whether the last failure is one of FINAL
        self._failures_in_a_row = 0
        self._last_failure = None
        self._published = []
        self._transferred = (0, 0)
        self._moved = 0.0  # when that changed last
        self._rate = None  # bytes a second of the last delivery
        self._budgeted = False
        self._logs_first = False  # the worker begins nothing before they have gone
        self._not_begun = {}  # name of a checkpoint that would not arrive in time → why
        self._uploading_logs = threading.Lock()
        self._lost = None  # the LeaseLost after which nothing more is delivered
        self._retention = Retention(store, keep)
        self._thread = threading.Thread(target=self._work, name="publisher", daemon=True)
        self._thread.start()

    def submit(self, snapshot):
        """Queue a snapshot; waiting ones that it supersedes are dropped.

        Raises:
            LeaseLost: another process writes under the run's name by now.
        """
        with self._changed:
            if self._lost is not None:
                raise self._lost
            self._pending = self._drop_superseded(self._pending + [snapshot])
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
            seconds: try again for so long; None waits as long as attempts succeed, or ``DRAIN_ATTEMPTS`` in a row fail.
            on_progress: called with (bytes sent, bytes) of the upload under way, also while nothing moves; what it
                raises ends the wait.

        Raises:
            NotDelivered: all that was in vain, or what failed is one of ``FINAL``; the spool keeps the files.
            LeaseLost: see ``submit``.
        """
        shown = (0, 0)
        with self._changed:
            self._drains += 1
            self._failures_in_a_row, self._final = 0, False
            self._deadline = None if seconds is None else self._clock() + seconds
            self._changed.notify_all()
            while self._pending or self._logs_due or self._working or self._retention.due:
                if self._final or self._patience_is_over():
                    break
                self._changed.wait(0.1)
                shown = self._transferred if self._transferred[1] else shown
                if on_progress:
                    on_progress(*shown)
            if self._lost is not None:
                raise self._lost
            undone = list(self._not_begun) + [snapshot.name for snapshot in self._pending]
            undone = undone or (["the log files"] if self._logs_due or self._working else [])
            reason = "; ".join(self._not_begun.values()) or (self._last_failure or "the time was up").rstrip(".")
        if undone:
            kept = self._spool_all()
            raise NotDelivered("not published: {} ({}). {} Logs are in {}. The same command delivers them.".format(
                ", ".join(undone), reason, kept, self._logs))

    def _patience_is_over(self):
        if self._deadline is None:
            return self._failures_in_a_row >= DRAIN_ATTEMPTS
        return self._clock() >= self._deadline

    def drain_within(self, seconds, snapshot=None):
        """Deliver what ``seconds`` allow, the smallest and most valuable first: logs and run.json, then checkpoints.

        An upload that is under way goes on beside. A checkpoint is not begun if at the rate of the last one it would
        not arrive in time. snapshot: one more to queue; not by ``submit``, which would begin with it.

        Raises:
            NotDelivered, LeaseLost: see ``drain``.
        """
        deadline = self._clock() + seconds
        with self._changed:
            self._deadline, self._budgeted, self._logs_first = deadline, True, True
            if snapshot is not None:
                self.submit(snapshot)
        try:
            within(seconds, "the upload of the log files", self._upload_logs)
            with self._changed:
                self._logs_due = bool(self._pending)  # once more after them: run.json tells what has been delivered
        except Exception as error:  # the worker tries again, as long as there is time
            log.warning("the log files could not be published at once: %s", error)
        self._spool_all()
        with self._changed:
            self._logs_first = False
        self.drain(deadline - self._clock())

    def close(self):
        """End the worker; what has not been delivered stays in the spool."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join(timeout=5)

    def _spool_all(self):
        """Write every waiting snapshot that is only in memory. Returns a sentence on what the spool holds."""
        with self._spooling:
            try:
                while True:
                    with self._changed:
                        item = next((item for item in self._pending if item.arrays is not None), None)
                    if item is None:
                        break
                    directory = os.path.join(self._spool, item.name)
                    digests = checkpoints.save(directory, item.arrays, item.progress)
                    with self._changed:
                        self._pending = [other._replace(arrays=None, digests=digests) if other.name == item.name
                                         else other for other in self._pending]
                        if all(other.name != item.name for other in self._pending):  # dropped meanwhile
                            shutil.rmtree(directory, ignore_errors=True)
            except CheckpointError as error:
                return f"Not all could be kept either: {error}"
        return f"Checkpoints are kept in {self._spool}."

    # The worker. Everything below runs in its thread.

    def _work(self):
        give_way()
        while True:
            snapshot = self._next()
            if snapshot is _CLOSED:
                return
            try:
                if snapshot is not None:
                    self._deliver(self._persisted(snapshot))
                    snapshot = None  # what fails from here on is not its delivery
                within(SMALL_OPERATION, "the upload of the log files", self._upload_logs)
                failure = None
            except Exception as error:  # whatever it was, training goes on; the end of the run reports it
                failure = error
            self._settle(snapshot, failure)
            self._retention.apply(SMALL_OPERATION)  # after all deliveries: what it cannot do is no failure of theirs

    def _next(self):
        """Wait for work; returns a snapshot, None for the logs alone, or _CLOSED."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._closing or not self._logs_first and (self._pending or self._logs_due))
            if self._closing:
                return _CLOSED
            if self._budgeted:
                self._pending = [item for item in self._pending if self._arrives_in_time(item)]
            self._working = True
            self._logs_due = False
            self._transferred, self._moved = (0, 0), self._clock()
            newest = self._pending[-1] if self._pending else None
            self._under_way = newest and newest.name
            # Without its arrays: this thread would hold 1.2 GB of AlexNet's until the next snapshot comes.
            return newest and newest._replace(arrays=None)

    def _settle(self, snapshot, failure):
        """Note the outcome; after a failure, wait before the next attempt."""
        with self._changed:
            self._working, self._under_way = False, None
            if failure is None:
                self._failures_in_a_row, self._last_failure, self._final = 0, None, False
            else:
                self._failures_in_a_row += 1
                self._final = isinstance(failure, FINAL)
                if not (isinstance(failure, _OutOfTime) and self._last_failure):  # what has used the time up
                    self._last_failure = str(failure)
                if isinstance(failure, LeaseLost):
                    self._lost = failure
                # One that was under way when better ones came has had its chance: delivered after them, it would take
                # the pointer to the best away from its successor.
                self._pending = self._drop_superseded([
                    item._replace(attempt=item.attempt + 1) if snapshot and item.name == snapshot.name else item
                    for item in self._pending])
                self._logs_due = True
            self._changed.notify_all()
            if failure is None:
                return
            # Once for an outage: at every interval the observer says that it lasts. In a drain nobody else does.
            log.log(logging.WARNING if self._drains or self._failures_in_a_row in (1, DRAIN_ATTEMPTS)
                    else logging.DEBUG, "%s could not be published: %s",
                    snapshot.name if snapshot else "the log files", failure)
            self._pause()

    def _pause(self):
        """Wait before the next attempt: a short time where few are left to make; a drain that begins ends it."""
        drains = self._drains
        patient = not drains or self._deadline is not None and not self._budgeted
        if self._changed.wait_for(lambda: self._closing or self._drains != drains,
                                  timeout=pause_after(self._failures_in_a_row if patient else 1)):
            self._changed.wait_for(lambda: self._closing, timeout=FIRST_PAUSE)

    def _persisted(self, snapshot):
        """Write what waits to the spool, where it outlives this process; returns ``snapshot`` as it is then."""
        sentence = self._spool_all()
        with self._changed:
            snapshot = next(item for item in self._pending if item.name == snapshot.name)
        if snapshot.arrays is not None:
            raise LocalStorageError(sentence.rstrip("."))
        return snapshot

    def _deliver(self, snapshot):
        directory = os.path.join(self._spool, snapshot.name)
        started = self._clock()
        metadata = dict(snapshot.metadata, best=snapshot.best)  # outlives a death before the pointer is written
        publish_checkpoint(self._store, directory, snapshot.published_name, metadata, on_progress=self._watch,
                           digests=snapshot.digests)
        seconds = max(self._clock() - started, 1e-3)
        if snapshot.best:
            within(SMALL_OPERATION, "the pointer to the best checkpoint",
                   lambda: write_pointer(self._store, BEST, snapshot.published_name, metadata=metadata))
        with self._changed:
            self._rate = self._transferred[1] / seconds
            self._published.append(snapshot.published_name)
            self._pending = [item for item in self._pending if item.name != snapshot.name]
            self._retention.due = snapshot.metadata["lineage"]
        log.info("published %s%s: %.1f MB in %.1f s", snapshot.name, " (best so far)" if snapshot.best else "",
                 self._transferred[1] / 1e6, seconds)
        shutil.rmtree(directory, ignore_errors=True)

    def _arrives_in_time(self, snapshot):
        """Whether to begin with it under the budget; says why not."""
        try:
            size = size_of(os.path.join(self._spool, snapshot.name))
        except OSError:  # could not be written to the spool: its delivery will say so
            return True
        left = self._deadline - self._clock()
        if self._rate is None or size / self._rate <= left:
            return True
        why = (f"{size / 1e6:.1f} MB take {size / self._rate:.0f} s at {self._rate / 1e6:.1f} MB/s, and "
               f"{max(0.0, left):.0f} s are left")
        self._not_begun[snapshot.name] = why
        log.warning("the upload of checkpoint %s is not begun: %s; it stays in %s", snapshot.name, why, self._spool)
        return False

    def _upload_logs(self):
        with self._uploading_logs:
            upload_logs(self._store, self._logs, self._spool, self._record)

    def _watch(self, done, total):
        now = self._clock()
        if self._transferred != (done, total):
            self._transferred, self._moved = (done, total), now
        if self._deadline is not None and now > self._deadline:
            raise _OutOfTime(f"the time was up after {done} of {total} bytes")
        if now - self._moved > STALL:
            raise NotDelivered(f"no byte moved for {now - self._moved:.0f} s, after {done} of {total}")

    def _drop_superseded(self, pending):
        kept, dropped = without_superseded(pending, self._under_way)
        for item in dropped:
            log.warning("%s: checkpoint %s is dropped for %s",
                        "the storage does not answer" if self._last_failure else "uploads are slower than intervals",
                        item.name, pending[-1].name)
            shutil.rmtree(os.path.join(self._spool, item.name), ignore_errors=True)
        return kept


def pause_after(failures):
    """Seconds to the next attempt after so many failures in a row."""
    return min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(failures - 1, 10))


_CLOSED = object()
