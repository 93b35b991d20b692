"""metrics.jsonl: the records of the intervals of a run, as `show`, `compare` and the pages read them."""
from __future__ import annotations

import logging
from typing import Any, Callable, Dict, List, Mapping, Sequence

from obs_sync import IntegrityError, ObjectNotFound, Store
from obs_sync.json_document import DocumentError, members, number, optional, read_json, text, whole
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

log = logging.getLogger(__name__)


def read_history(store: Store, folder: str = "") -> List[Dict[str, Any]]:
    """The records of a published metrics.jsonl, oldest first; none where there is no such file.

    A line that is no record, or whose iteration does not come after that of the line before, is skipped; a warning
    says how many were skipped, and what is wrong with the first of them.

    Args:
        store: of the run. folder: of the run below the store's URL, "" or ending in "/".

    Raises:
        IntegrityError: the file is larger than ``LARGEST``.
    """
    try:
        lines = read_at_most(store, folder + NAME, LARGEST).split(b"\n")
    except ObjectNotFound:
        return []
    except DocumentError as error:
        raise IntegrityError(f"this {NAME} was not written by a run ({error})", store.locate(folder + NAME),
                             "Delete it; a running job writes it again at its next interval") from None
    found: List[Dict[str, Any]] = []
    wrong = []
    for number_of_line, line in enumerate(lines, 1):
        if line.strip():
            try:
                record = read_json(line, RECORD)
                before = found[-1]["iteration"] if found else 0
                if record["iteration"] <= before:
                    raise DocumentError(f"iteration: expected more than {before}, found {record['iteration']}")
                found.append(record)
            except DocumentError as error:
                wrong.append(f"line {number_of_line}, {error}")
    if wrong:
        log.warning("%s: skipped %d of %d lines, which are no records of an interval. The first of them: %s",
                    store.locate(folder + NAME), len(wrong), len(wrong) + len(found), wrong[0])
    return found


def check_details(store: Store, history: Sequence[Mapping[str, Any]], shape: Callable[[Any, str], Any]) -> None:
    """Check the members of records that ``RECORD`` does not describe.

    Args:
        store: of the run. shape: of a record, made by ``obs_sync.json_document.members``.

    Raises:
        IntegrityError: a record has another shape.
    """
    for record in history:
        try:
            shape(record, "")
        except DocumentError as error:
            raise IntegrityError(f"iteration {record['iteration']} of this {NAME} is damaged ({error})",
                                 store.locate(NAME), "Restore it from a copy, or start the run again: it writes this "
                                 "file from its newest checkpoint") from None
