"""metrics.jsonl: what is known at the end of each interval of a run, as whoever shows or compares runs reads it."""
from __future__ import annotations

from typing import Any, Dict, List

from obs_sync import IntegrityError, ObjectNotFound, Store
from obs_sync.json_document import DocumentError, members, number, optional, read_json_lines, text, whole
from obs_sync.store import read_at_most

NAME = "metrics.jsonl"
LARGEST = 256 << 20  # bytes; a record of an interval has 2 kB for 7 classes, and 400 kB for 345

RECORD = members({
    "iteration": whole(1),
    "target_domain": text(),
    "target_accuracy": number(0, 100),
    "validation_accuracy": number(0, 100),
    "seconds_per_iteration": optional(number(0)),
})
"""What every line has. The other members are in `masf_core.records.progress`."""


def read_history(store: Store, folder: str = "") -> List[Dict[str, Any]]:
    """The records of a published metrics.jsonl, oldest first; none where there is no such file.

    Args:
        store: of the run. folder: of the run below the store's URL, "" or ending in "/".

    Raises:
        IntegrityError: the file is damaged, or another program's.
    """
    try:
        return read_json_lines(read_at_most(store, folder + NAME, LARGEST), RECORD, LARGEST)
    except ObjectNotFound:
        return []
    except DocumentError as error:
        raise IntegrityError(f"{NAME} is damaged ({error})", store.locate(folder + NAME),
                             "Repair or remove that line; a running job writes the whole file again at its next "
                             "interval") from None
