"""A checkpoint on its way to the store."""
from __future__ import annotations

from typing import Any, Dict, NamedTuple, Optional

from masf_core.records import checkpoints


class Snapshot(NamedTuple):
    """One checkpoint to be written to the spool and published."""

    name: str
    attempt: int  # at publishing it, from 1. A failed one may have left keys, and a key is never written twice.
    arrays: Optional[Dict[str, Any]]  # None once they are in the spool
    progress: checkpoints.Progress
    best: bool
    metadata: Dict[str, Any]  # of the marker: iteration, lineage, scores
    digests: Optional[Dict[str, str]] = None  # SHA-256 by file name, known if this process wrote it to the spool
    kept: bool = False  # for good: neither a newer checkpoint nor retention removes it

    @property
    def published_name(self) -> str:
        """Its name in the store."""
        return self.name if self.attempt == 1 else f"{self.name}-{self.attempt}"
