"""What uploads that failed, and jobs that were killed, have left in the store without a marker."""
from __future__ import annotations

import logging
from typing import List

from job.publication.time_limit import within
from obs_sync import Store
from obs_sync.checkpoints.collect import Waste, find_waste

log = logging.getLogger(__name__)

SECONDS = 30.0  # that the look may take


def warn_of_leftovers(store: Store, failed: List[str]) -> None:
    """Name what lies below ``checkpoints/`` without a marker, with the command that removes it.

    Args:
        failed: names of checkpoints whose upload failed; told if the store cannot be listed.
    """
    # Younger than an hour it might belong to a job that is at work, for all that `gc` knows.
    command = f"python -m job sync gc {store.url} --older-than 1h --delete"
    try:
        found = within(SECONDS, "the look for files without a marker", lambda: unmarked(store))
    except Exception as error:  # what cannot be listed is no reason to fail at the end
        log.debug("files without a marker could not be listed: %s", error)
        if failed:
            log.warning("failed uploads may have left files without a marker below checkpoints/: %s. No reader takes "
                        "them for checkpoints. In an hour this deletes them: %s", ", ".join(failed), command)
        return
    if found:
        log.warning("failed uploads or killed attempts have left files without a marker: %s. No reader takes them for "
                    "checkpoints. In an hour this deletes them: %s",
                    ", ".join(f"{waste.key} ({waste.bytes / 1e6:.1f} MB)" for waste in found), command)


def unmarked(store: Store) -> List[Waste]:
    """Files and unfinished uploads of checkpoints that have no marker. Raises StoreError."""
    return [waste for waste in find_waste(store, lambda name: name.startswith("ckpt-"))
            if waste.key.startswith("checkpoints/ckpt-")]
