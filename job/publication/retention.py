"""Which published checkpoints stay, and which of them ``checkpoints/best.json`` names.

A job may end between a checkpoint's marker and the pointer to it. So the marker itself says that its checkpoint was the
best one when it was published, which protects it from then on, and the next attempt writes the pointer that is missing.
The marker also says that ``keep_every`` keeps its checkpoint. An attempt without that setting keeps it as well.
"""
from __future__ import annotations

import logging
from typing import Any, Dict, Optional, Sequence, Set

from job.console import amount
from job.publication.lineage import published_checkpoints
from job.publication.time_limit import within
from masf_core.records import selection
from masf_core.words import plural
from obs_sync import AccessDenied, IntegrityError, Marker, Store, read_pointer, retain, write_pointer

log = logging.getLogger(__name__)

BEST = "best"  # name of the pointer beside the markers


class Retention:
    """Retention after each delivery. A checkpoint that cannot be deleted is reported, and is no failure of the run.

    Args:
        store: the run's ``obs_sync.Store``. keep: number of newest checkpoints to keep.
    """

    def __init__(self, store: Store, keep: int) -> None:
        self._store, self._keep = store, keep
        self._refused = self._failing = False
        self.due: Optional[str] = None  # lineage of a checkpoint that was delivered since

    def apply(self, seconds: float) -> None:
        """``apply_retention`` if it is due, within so many seconds.

        A refusal is reported once; an outage is reported once until it is over.
        """
        lineage = self.due
        if lineage is None:
            return
        try:
            within(seconds, "retention", lambda: apply_retention(self._store, lineage, self._keep))
            self._failing = False
        except AccessDenied as error:
            log.log(logging.DEBUG if self._refused else logging.WARNING,
                    "old checkpoints are not deleted: this key has no permission to delete objects (%s). New "
                    "checkpoints are published as usual. Grant the permission, or delete old checkpoints by hand",
                    error.what)
            self._refused = True
        except Exception as error:
            log.log(logging.DEBUG if self._failing else logging.WARNING,
                    "old checkpoints could not be deleted, retrying after the next checkpoint: %s", error)
            self._failing = True
        self.due = None


def apply_retention(store: Store, lineage: str, keep: int) -> None:
    """Remove the checkpoints of ``lineage``, which alone are ours to delete. The ``keep`` newest, the best, and those
    that are kept for good stay.

    The best is what the pointer names, and also the newest whose marker says so. A checkpoint whose marker is damaged
    stays too.
    """
    markers, damaged = published_checkpoints(store, lineage)
    names = {marker.name for marker in markers[-keep:]} | {marker.name for marker, _ in damaged}
    names.update(marker.name for marker in markers if is_kept(marker))
    names.update([marker.name for marker in markers if marker.metadata.get("best")][-1:])
    best = read_pointer(store, BEST)
    retain(store, names | ({best} if best else set()), lineage=lineage)


def is_kept(marker: Marker) -> bool:
    """Whether a checkpoint is kept for good, because ``keep_every`` names its iteration."""
    return marker.metadata.get("kept") is True


def is_kept_iteration(every: int, iteration: int) -> bool:
    """Whether ``keep_every``, which is 0 to keep none, names an iteration."""
    return every > 0 and iteration % every == 0


def kept_count(every: int, total: int) -> int:
    """The number of checkpoints that ``keep_every`` keeps in a run of ``total`` iterations."""
    return total // every if every else 0


def kept_told(every: int, total: int, size: int) -> str:
    """A sentence about the checkpoints that ``keep_every`` keeps, and what they take.

    Args:
        every: the setting, above 0. total: iterations of the run. size: bytes of a checkpoint.
    """
    count = kept_count(every, total)
    if not count:
        return f"keep_every={every} keeps no checkpoint, because train_iterations is {total}"
    return (f"keep_every={every} keeps {plural(count, 'checkpoint')} of about {amount(size, 'B')} for good, besides "
            f"the newest ones and the best: {amount(count * size, 'B')} at the end of the run")


def name_best(store: Store, lineage: str, policy: str, history: Sequence[Dict[str, Any]]) -> None:
    """Let the pointer name the best checkpoint of ``lineage`` that was published, where it does not.

    Args:
        policy, history: the selection policy and the records up to the restored checkpoint. Of a newer one, which could
            not be restored from, the run knows nothing.

    Raises:
        StoreError: the store cannot be read or written.
    """
    ever_best = _ever_best(policy, history)
    best = [marker for marker in published_checkpoints(store, lineage).usable
            if marker.metadata["iteration"] in ever_best][-1:]
    if not best:
        return
    try:
        named = read_pointer(store, BEST)
    except IntegrityError as error:
        log.warning("%s", error)
        named = None
    if named != best[0].name:
        write_pointer(store, BEST, best[0].name, metadata=best[0].metadata)
        log.info("%s.json named %s; now it names %s, the best checkpoint so far", BEST, named or "nothing",
                 best[0].name)


def _ever_best(policy: str, history: Sequence[Dict[str, Any]]) -> Set[int]:
    """The iterations whose record was the best one when it was made."""
    iterations, best = set(), None
    for record in history:
        best = selection.best(policy, [record] if best is None else [best, record])
        iterations.add(best["iteration"])
    return iterations
