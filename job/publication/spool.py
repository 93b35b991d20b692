"""The local directory in which checkpoints lie until they have been delivered."""
from __future__ import annotations

import os
import shutil
from typing import Dict, Optional

from job.publication.snapshots import Snapshot
from masf_core.records import checkpoints


class Spool:
    """Checkpoints by name below a directory."""

    def __init__(self, directory: str) -> None:
        self.directory = directory

    def path(self, name: str) -> str:
        """The directory of the checkpoint ``name``."""
        return os.path.join(self.directory, name)

    def write(self, snapshot: Snapshot) -> Dict[str, str]:
        """Write a checkpoint from its arrays. Returns SHA-256 by file name. Raises CheckpointError."""
        return checkpoints.save(self.path(snapshot.name), snapshot.arrays, snapshot.progress)

    def remove(self, name: str) -> None:
        """Delete a checkpoint; one that is not there is no error."""
        shutil.rmtree(self.path(name), ignore_errors=True)

    def size(self, name: str) -> Optional[int]:
        """Bytes of a checkpoint's files; None where it could not be written, which its delivery will report."""
        try:
            return sum(entry.stat().st_size for entry in os.scandir(self.path(name)))
        except OSError:
            return None
