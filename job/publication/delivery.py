"""One delivery: a checkpoint with the pointer to the best one, or the log files."""
from __future__ import annotations

import logging
import threading
import time
from typing import Callable, Optional

from job.publication.log_upload import upload_logs
from job.publication.policy import OutOfTime
from job.publication.retention import BEST
from job.publication.snapshots import Snapshot
from job.publication.spool import Spool
from job.publication.time_limit import within
from obs_sync import Store, StoreError, publish_checkpoint, write_pointer

log = logging.getLogger(__name__)

# Seconds in which some byte must move. Longer than a store retries, and than moxing, which counts nothing before the
# end, takes for one file.
STALL = 600.0
SMALL_OPERATION = 300.0  # seconds for logs, a pointer, or retention


class NotDelivered(StoreError):
    """Something could not be published; the message says what, and where it lies."""


class Watch:
    """Counts the bytes of one upload, and ends it when none moves or the deadline has passed.

    Args:
        clock: monotonic seconds. deadline: returns the time by which the upload has to be over, None without one.
    """

    def __init__(self, clock: Callable[[], float], deadline: Callable[[], Optional[float]]) -> None:
        self._clock, self._deadline = clock, deadline
        self.transferred = (0, 0)  # bytes sent, bytes
        self._moved = clock()  # when that changed last

    def __call__(self, done: int, total: int) -> None:
        """Note the progress.

        Raises:
            OutOfTime: the deadline has passed.
            NotDelivered: no byte moved for ``STALL`` seconds.
        """
        now, deadline = self._clock(), self._deadline()
        if self.transferred != (done, total):
            self.transferred, self._moved = (done, total), now
        if deadline is not None and now > deadline:
            raise OutOfTime(f"the deadline passed after {done} of {total} bytes")
        if now - self._moved > STALL:
            raise NotDelivered(f"no byte moved for {now - self._moved:.0f} s, after {done} of {total} bytes")


class Delivery:
    """Uploads to one store.

    Args:
        store: the run's ``obs_sync.Store``. spool: holds the checkpoints. logs: directory of the log files.
        record: callable returning the text of run.json. clock: monotonic seconds.
    """

    def __init__(self, store: Store, spool: Spool, logs: str, record: Callable[[], str],
                 clock: Callable[[], float] = time.monotonic) -> None:
        self._store, self._spool, self._logs, self._record, self._clock = store, spool, logs, record, clock
        self._uploading_logs = threading.Lock()

    def checkpoint(self, snapshot: Snapshot, watch: Watch) -> float:
        """Publish a checkpoint of the spool, and name it the best one if it is. Returns bytes a second.

        Raises:
            StoreError, OutOfTime: it was not delivered.
        """
        started = self._clock()
        # In the marker, "best" outlives a death before the pointer is written.
        metadata = dict(snapshot.metadata, best=snapshot.best, kept=snapshot.kept)
        publish_checkpoint(self._store, self._spool.path(snapshot.name), snapshot.published_name, metadata,
                           on_progress=watch, digests=snapshot.digests)
        seconds = max(self._clock() - started, 1e-3)
        if snapshot.best:
            within(SMALL_OPERATION, "the pointer to the best checkpoint",
                   lambda: write_pointer(self._store, BEST, snapshot.published_name, metadata=metadata))
        size = watch.transferred[1]
        log.info("published %s%s: %.1f MB in %.1f s", snapshot.name, " (best so far)" if snapshot.best else "",
                 size / 1e6, seconds)
        return size / seconds

    def logs(self, seconds: Optional[float] = None) -> None:
        """Upload the log files and run.json within so many seconds (``SMALL_OPERATION``). Raises StoreError."""
        within(SMALL_OPERATION if seconds is None else seconds, "the upload of the log files", self._upload_logs)

    def _upload_logs(self) -> None:
        with self._uploading_logs:
            upload_logs(self._store, self._logs, self._spool.directory, self._record)
