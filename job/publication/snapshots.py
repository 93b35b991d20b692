"""Checkpoints on their way: what one is, and which of those that wait are worth an upload."""
from __future__ import annotations

import os
from typing import Any, Dict, NamedTuple, Optional

from masf_core.records import checkpoints


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
        return self.name if self.attempt == 1 else f"{self.name}-{self.attempt}"


def without_superseded(pending, under_way):
    """Of the waiting snapshots, oldest first: the newest, the newest best, and the one named ``under_way``.

    Returns:
        (kept, dropped).
    """
    newest = pending[-1:]
    best = [item for item in pending if item.best][-1:]
    kept = [item for item in pending if item.name == under_way or any(item is other for other in newest + best)]
    return kept, [item for item in pending if all(item is not other for other in kept)]


def size_of(directory):
    """Bytes of the files in ``directory``."""
    return sum(entry.stat().st_size for entry in os.scandir(directory))
