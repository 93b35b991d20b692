"""The thread that uploads: it takes what the policy says is next, delivers it, and notes how that went."""
from __future__ import annotations

import logging
import threading
import time
from typing import Callable, List, Optional

from job.publication import delivery as delivering
from job.publication import policy
from job.publication.delivery import Delivery, Watch
from job.publication.policy import State, Step
from job.publication.priority import give_way
from job.publication.retention import Retention
from job.publication.snapshots import Snapshot
from job.publication.spool import Spool
from masf_core.errors import CheckpointError
from obs_sync import LocalStorageError

log = logging.getLogger(__name__)


class Worker:
    """Delivers what is in the queue of ``state``.

    ``changed`` guards ``state``: who reads both or replaces it holds the condition, and notifies it after a change.

    Args:
        delivery: uploads. spool: where checkpoints lie meanwhile. retention: applied after deliveries. clock: monotonic
            seconds.
    """

    def __init__(self, delivery: Delivery, spool: Spool, retention: Retention,
                 clock: Callable[[], float] = time.monotonic) -> None:
        self.changed = threading.Condition()
        self.state = State()
        self.retention = retention
        self._delivery, self._spool, self._clock = delivery, spool, clock
        self._watch = self._new_watch()
        self._spooling = threading.Lock()
        self._thread = threading.Thread(target=self._work, name="publisher", daemon=True)
        self._thread.start()

    @property
    def transferred(self) -> tuple:
        """(bytes sent, bytes) of the upload under way; (0, 0) where nothing is known of it yet."""
        return self._watch.transferred

    def add(self, snapshot: Snapshot) -> None:
        """Queue a checkpoint; waiting ones that it supersedes are dropped."""
        with self.changed:
            queue, dropped = self.state.queue.add(snapshot)
            self._set_queue(queue)
            self._drop(dropped)

    def join(self, seconds: float) -> None:
        """Wait so long for the end of the thread, which ``State.closing`` asks for."""
        self._thread.join(timeout=seconds)

    def spool_all(self) -> str:
        """Write every waiting checkpoint that is only in memory. Returns a sentence on what the spool holds."""
        with self._spooling:
            try:
                while True:
                    with self.changed:
                        snapshot = self.state.queue.in_memory()
                    if snapshot is None:
                        break
                    digests = self._spool.write(snapshot)
                    with self.changed:
                        self._set_queue(self.state.queue.spooled(snapshot.name, digests))
                        if self.state.queue.find(snapshot.name) is None:  # dropped meanwhile
                            self._spool.remove(snapshot.name)
            except CheckpointError as error:
                return f"Some checkpoints could not be saved locally either: {error}"
        return f"Checkpoints are kept in {self._spool.directory}."

    # Everything below runs in the thread, or in one that holds ``changed``.

    def _work(self) -> None:
        give_way()
        while self._wait_for_work():
            snapshot = self._begin()
            try:
                if snapshot is not None:
                    self._deliver(self._persisted(snapshot))
                    snapshot = None  # what fails from here on is not its delivery
                self._delivery.logs()
                failure = None
            except Exception as error:  # whatever it was, training goes on; the end of the run reports it
                failure = error
            self._settle(snapshot, failure)
            # After all deliveries: what it cannot do is no failure of theirs.
            self.retention.apply(delivering.SMALL_OPERATION)

    def _wait_for_work(self) -> bool:
        """Returns False when the thread is to end."""
        with self.changed:
            self.changed.wait_for(lambda: policy.next_step(self.state) is not Step.WAIT)
            return policy.next_step(self.state) is Step.UPLOAD

    def _begin(self) -> Optional[Snapshot]:
        """The checkpoint to deliver, None for the log files alone."""
        with self.changed:
            if self.state.ending.budgeted:
                self._leave_late_ones()
            queue, snapshot = self.state.queue.begin()
            self._set_queue(queue)
            self._watch = self._new_watch()
            return snapshot

    def _leave_late_ones(self) -> None:
        left = self.state.ending.deadline - self._clock()
        before = len(self.state.queue.not_begun)
        self._set_queue(self.state.queue.without_late(
            lambda snapshot: policy.why_late(self._spool.size(snapshot.name), self.state.rate, left)))
        for name, why in self.state.queue.not_begun[before:]:
            log.warning("checkpoint %s is not uploaded, because the time is too short: %s. It is kept in %s",
                        name, why, self._spool.directory)

    def _persisted(self, snapshot: Snapshot) -> Snapshot:
        """Write what waits to the spool, where it outlives this process; returns ``snapshot`` as it is then."""
        sentence = self.spool_all()
        with self.changed:
            snapshot = self.state.queue.find(snapshot.name)
        if snapshot.arrays is not None:
            raise LocalStorageError(sentence.rstrip("."))
        return snapshot

    def _deliver(self, snapshot: Snapshot) -> None:
        rate = self._delivery.checkpoint(snapshot, self._watch)
        with self.changed:
            self.state = self.state._replace(queue=self.state.queue.delivered(snapshot.name), rate=rate,
                                             published=snapshot.published_name)
            self.retention.due = snapshot.metadata["lineage"]
        self._spool.remove(snapshot.name)

    def _settle(self, snapshot: Optional[Snapshot], failure: Optional[Exception]) -> None:
        """Note the outcome; after a failure, wait before the next attempt."""
        with self.changed:
            self.state = self.state._replace(failures=self.state.failures.after(failure))
            if failure is None:
                self._set_queue(self.state.queue.succeeded())
                return
            queue, dropped = self.state.queue.failed(snapshot)
            self._set_queue(queue)
            self._drop(dropped)
            log.log(logging.WARNING if policy.failure_is_told(self.state) else logging.DEBUG,
                    "%s could not be published: %s", snapshot.name if snapshot else "the log files", failure)
            drains = self.state.ending.drains
            # A drain that begins ends the pause, but for a short one.
            if self.changed.wait_for(lambda: self.state.closing or self.state.ending.drains != drains,
                                     timeout=policy.pause(self.state)):
                self.changed.wait_for(lambda: self.state.closing, timeout=policy.FIRST_PAUSE)

    def _drop(self, superseded: List[Snapshot]) -> None:
        for snapshot in superseded:
            log.warning("%s: checkpoint %s is dropped, because %s is newer",
                        "the storage does not answer" if self.state.failures.last
                        else "uploads take longer than intervals",
                        snapshot.name, self.state.queue.names()[-1])
            self._spool.remove(snapshot.name)

    def _set_queue(self, queue: policy.Queue) -> None:
        self.state = self.state._replace(queue=queue)
        self.changed.notify_all()

    def _new_watch(self) -> Watch:
        return Watch(self._clock, lambda: self.state.ending.deadline)
