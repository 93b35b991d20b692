"""The checkpoints and log files that wait for their upload.

A ``Queue`` is immutable: each change returns another one. It knows neither a thread nor a clock nor the store.
"""
from __future__ import annotations

from typing import Callable, Dict, List, NamedTuple, Optional, Tuple

from job.publication.snapshots import Snapshot

LOGS = "the log files"


class Queue(NamedTuple):
    """What waits, and what is being uploaded."""

    waiting: Tuple[Snapshot, ...] = ()  # the oldest first; the one that is being uploaded stays until it is delivered
    logs_due: bool = False
    under_way: Optional[str] = None  # name of the checkpoint that is being uploaded, or LOGS; None: nothing is
    not_begun: Tuple[Tuple[str, str], ...] = ()  # (name, why) of checkpoints that would not arrive in time
    failed_uploads: Tuple[str, ...] = ()  # names in the store below which a failed upload may have left files

    @property
    def empty(self) -> bool:
        """Whether nothing waits and nothing is being uploaded."""
        return not (self.waiting or self.logs_due or self.under_way)

    def names(self) -> List[str]:
        """The waiting checkpoints, the oldest first."""
        return [item.name for item in self.waiting]

    def find(self, name: str) -> Optional[Snapshot]:
        """The waiting checkpoint of this name."""
        return next((item for item in self.waiting if item.name == name), None)

    def in_memory(self) -> Optional[Snapshot]:
        """The oldest waiting checkpoint that has not been written to the spool."""
        return next((item for item in self.waiting if item.arrays is not None), None)

    def holds_kept_in_memory(self) -> bool:
        """Whether a waiting checkpoint that is kept for good has not been written to the spool."""
        return any(item.kept and item.arrays is not None for item in self.waiting)

    def undelivered(self) -> List[str]:
        """What a wait that ends now leaves undelivered, for a message."""
        names = [name for name, _ in self.not_begun] + self.names()
        return names or ([LOGS] if self.logs_due or self.under_way else [])

    def add(self, snapshot: Snapshot) -> Tuple[Queue, List[Snapshot]]:
        """Append a checkpoint. Returns the queue and the checkpoints that it supersedes."""
        return self._replace(waiting=self.waiting + (snapshot,), logs_due=True)._without_superseded()

    def add_logs(self) -> Queue:
        """The log files wait for an upload."""
        return self._replace(logs_due=True)

    def begin(self) -> Tuple[Queue, Optional[Snapshot]]:
        """Begin with the newest checkpoint, or with the log files alone where none waits (None)."""
        newest = self.waiting[-1] if self.waiting else None
        # Without its arrays: otherwise the upload would keep 1.2 GB of AlexNet's arrays until the next checkpoint.
        return (self._replace(logs_due=False, under_way=LOGS if newest is None else newest.name),
                newest and newest._replace(arrays=None))

    def spooled(self, name: str, digests: Dict[str, str]) -> Queue:
        """The checkpoint was written to the spool: its arrays need not be kept."""
        return self._replace(waiting=tuple(
            item._replace(arrays=None, digests=digests) if item.name == name else item for item in self.waiting))

    def delivered(self, name: str) -> Queue:
        """The checkpoint was published; the log files follow it."""
        return self._replace(waiting=tuple(item for item in self.waiting if item.name != name), under_way=LOGS)

    def succeeded(self) -> Queue:
        """Everything that was begun has been uploaded."""
        return self._replace(under_way=None)

    def failed(self, snapshot: Optional[Snapshot]) -> Tuple[Queue, List[Snapshot]]:
        """The upload of ``snapshot`` failed, or that of the log files (None).

        Returns:
            The queue, in which everything waits for a retry, and the checkpoints that a newer one supersedes. A
            checkpoint was kept only while it was being uploaded: delivered after a better one, it would take the
            pointer to the best checkpoint away from it.
        """
        queue = self._replace(under_way=None, logs_due=True)
        if snapshot is not None:
            queue = queue._replace(
                waiting=tuple(item._replace(attempt=item.attempt + 1) if item.name == snapshot.name else item
                              for item in self.waiting),
                failed_uploads=self.failed_uploads + (snapshot.published_name,))
        return queue._without_superseded()

    def without_late(self, why_late: Callable[[Snapshot], Optional[str]]) -> Queue:
        """Take out the checkpoints that would not arrive in time; ``why_late`` returns None for the others."""
        late = [(item.name, why_late(item)) for item in self.waiting]
        reasons = tuple((name, why) for name, why in late if why is not None)
        names = {name for name, _ in reasons}
        return self._replace(waiting=tuple(item for item in self.waiting if item.name not in names),
                             not_begun=self.not_begun + reasons)

    def _without_superseded(self) -> Tuple[Queue, List[Snapshot]]:
        """Keep the newest checkpoint, the newest best one, the one that is being uploaded, and those in the spool that
        are kept for good.

        One that is kept for good is delivered as no longer the best where a better one waits: delivered after that, it
        would take the pointer to the best checkpoint away from it.
        """
        newest, best = self.waiting[-1:], tuple(item for item in self.waiting if item.best)[-1:]
        stays = [item.name == self.under_way or any(item is other for other in newest + best)
                 or item.kept and item.arrays is None for item in self.waiting]
        dropped = [item for item, stay in zip(self.waiting, stays) if not stay]
        return self._replace(waiting=tuple(
            item._replace(best=False) if item.kept and item.best and item is not best[0] else item
            for item, stay in zip(self.waiting, stays) if stay)), dropped
