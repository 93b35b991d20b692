"""Publication in the background: checkpoints and logs go to the store while training goes on.

One worker thread. At most two checkpoints wait for it in memory, the newest and the best so far; an older one that is
neither is dropped, and the log says so. One that ``keep_every`` keeps waits in the spool instead. Before anything is
uploaded all that wait are written to the spool, where they stay until they have been delivered; the newest goes first.
A failed delivery is retried, with growing pauses, as long as training goes on: an outage of the storage costs nothing
but the wait at the end, and what is still undelivered then is found in the spool by the next attempt. An upload of
which no byte moves for ten minutes has failed. When the job has to leave soon, logs and run.json go first, and no
checkpoint is begun that cannot arrive in time.

``upload_queue`` and ``policy`` decide, ``delivery`` uploads, ``worker`` is the thread between them.
"""
from __future__ import annotations

import logging
import time
from typing import Any, Callable, Dict, List, Optional

from job.publication import policy
from job.publication.delivery import Delivery, NotDelivered
from job.publication.retention import Retention
from job.publication.snapshots import Snapshot
from job.publication.spool import Spool
from job.publication.worker import Worker
from obs_sync import Store

log = logging.getLogger(__name__)


class Publisher:
    """Delivers snapshots and log files.

    Args:
        store: the run's ``obs_sync.Store``. spool: local directory for checkpoints on their way.
        logs: local directory whose files are published beside the checkpoints.
        keep: number of newest checkpoints that retention keeps (the best is always kept).
        record: callable returning the text of run.json. clock: monotonic seconds.
    """

    def __init__(self, store: Store, spool: str, logs: str, keep: int, record: Callable[[], str],
                 clock: Callable[[], float] = time.monotonic) -> None:
        self._logs, self._clock = logs, clock
        local = Spool(spool)
        self._delivery = Delivery(store, local, logs, record, clock)
        self._worker = Worker(self._delivery, local, Retention(store, keep), clock)

    def submit(self, snapshot: Snapshot) -> None:
        """Queue a snapshot; waiting ones that it supersedes are dropped.

        Raises:
            LeaseLost: another process writes under the run's name by now.
        """
        self._spool_kept()
        self._add(snapshot)

    def publish_logs(self) -> None:
        """Queue an upload of the log files alone."""
        self._change(lambda state: state._replace(queue=state.queue.add_logs()))

    def state(self) -> Dict[str, Any]:
        """What has been delivered and what not: dict with ``published`` (last name), ``waiting``, ``last_failure``."""
        state = self._worker.state
        return {"published": state.published, "waiting": state.queue.names(), "last_failure": state.failures.last}

    def drain(self, seconds: Optional[float] = None,
              on_progress: Optional[Callable[[int, int], None]] = None) -> None:
        """Wait until everything queued is delivered.

        Args:
            seconds: retry for so long; None waits as long as attempts succeed, or ``DRAIN_ATTEMPTS`` in a row fail.
            on_progress: called with (bytes sent, bytes) of the upload under way, also while nothing moves; what it
                raises ends the wait.

        Raises:
            NotDelivered: all that was in vain, or what failed is one of ``FINAL``; the spool keeps the files.
            LeaseLost: see ``submit``.
        """
        worker, shown = self._worker, (0, 0)
        with worker.changed:
            deadline = None if seconds is None else self._clock() + seconds
            self._change(lambda state: state.drain_begun(deadline))
            while not policy.drain_is_over(worker.state, worker.retention.due is not None, self._clock()):
                worker.changed.wait(0.1)
                shown = worker.transferred if worker.transferred[1] else shown
                if on_progress:
                    on_progress(*shown)
            self._raise_if_lost()
            undelivered, reason = worker.state.queue.undelivered(), policy.drain_reason(worker.state)
        if undelivered:
            raise NotDelivered(f"not published: {', '.join(undelivered)} ({reason}). {worker.spool_all()} Logs are in "
                               f"{self._logs}. The same command delivers them.")

    def drain_within(self, seconds: float, snapshot: Optional[Snapshot] = None) -> None:
        """Deliver what ``seconds`` allow, the smallest and most valuable first: logs and run.json, then checkpoints.

        An upload that is under way goes on beside. A checkpoint is not begun if at the rate of the last one it would
        not arrive in time. snapshot: one more to queue; not by ``submit``, which would begin with it.

        Raises:
            NotDelivered, LeaseLost: see ``drain``.
        """
        deadline = self._clock() + seconds
        self._spool_kept()
        with self._worker.changed:
            self._change(lambda state: state.budget_begun(deadline))
            if snapshot is not None:
                self._add(snapshot)
        try:
            self._delivery.logs(seconds)
            # Once more after the checkpoints: run.json says what has been delivered.
            self._change(lambda state: state._replace(
                queue=state.queue._replace(logs_due=bool(state.queue.waiting))))
        except Exception as error:  # the worker retries, as long as there is time
            log.warning("the log files could not be uploaded: %s", error)
        self._worker.spool_all()
        self._change(lambda state: state.logs_gone())
        self.drain(deadline - self._clock())

    def failed_uploads(self) -> List[str]:
        """Names in the store below which an upload that failed, or that is still under way, may have left files."""
        queue = self._worker.state.queue
        under_way = queue.find(queue.under_way) if queue.under_way else None
        return list(queue.failed_uploads) + ([under_way.published_name] if under_way else [])

    def close(self) -> None:
        """End the worker; what has not been delivered stays in the spool."""
        self._change(lambda state: state._replace(closing=True))
        self._worker.join(5.0)

    def _spool_kept(self) -> None:
        """Write what waits to the spool if a newer checkpoint would otherwise drop one that is kept for good.

        Not by a caller that holds ``changed``, for which the worker may be waiting while it writes to the spool.
        """
        if self._worker.state.queue.holds_kept_in_memory():
            sentence = self._worker.spool_all()
            if self._worker.state.queue.holds_kept_in_memory():
                log.warning("%s", sentence)

    def _add(self, snapshot: Snapshot) -> None:
        with self._worker.changed:
            self._raise_if_lost()
            self._worker.add(snapshot)

    def _change(self, change: Callable[[policy.State], policy.State]) -> None:
        with self._worker.changed:
            self._worker.state = change(self._worker.state)
            self._worker.changed.notify_all()

    def _raise_if_lost(self) -> None:
        if self._worker.state.failures.lease_lost is not None:
            raise self._worker.state.failures.lease_lost
