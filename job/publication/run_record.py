"""run.json: what a run is, where it stands, and every attempt that was made at it.

It also names the run's current *lineage*. A fresh start under an existing run name (``--resume=never``) begins a new
one, and only checkpoints of the current lineage are resumed from; older ones stay until they are deleted by hand.
"""
from __future__ import annotations

import collections
import json
import platform
import socket
import threading
import time
import uuid
from typing import Any, Dict, Optional, Tuple

from job.publication.time_limit import within
from masf_core.records import selection
from masf_core.records.files import replace_text
from obs_sync import IntegrityError, ObjectNotFound, Store
from obs_sync.json_document import (
    DocumentError, anything, list_of, mapping_of, members, number, one_of, optional, parse_json, text, whole,
)
from obs_sync.store import read_at_most

NAME = "run.json"
FORMAT = 1
LAST_WRITE = 60.0  # seconds that an upload of it may take
LARGEST = 32 << 20  # bytes of a run.json that is read

_PER_CENT = number(0, 100)
DATA = members({}, may={
    "fingerprint": text(), "classes": list_of(text()), "images": mapping_of(whole()), "split": text(),
    "lists": list_of(text()), "left_out": list_of(text()), "use": mapping_of(whole())})
CONFIG = mapping_of(mapping_of(anything(2)))  # group → setting → value
SHAPE = members({
    "format": one_of(FORMAT),
    "state": text(),
    "lineage": text(),
    "config": CONFIG,
    "attempts": list_of(members({"started": text()}, may={
        "id": text(), "outcome": optional(text()), "from_iteration": whole(), "to_iteration": whole()})),
}, may={
    "run_name": text(),
    "iteration": whole(),
    "best": optional(members(
        {"iteration": whole(), "target_accuracy": _PER_CENT, "validation_accuracy": _PER_CENT})),
    "data": optional(DATA),
    "initial_weights": optional(mapping_of(anything(2))),
})
"""What a run.json holds. Code that got one from `read_published` need not check anything again."""


def now() -> str:
    """The present time as ISO 8601 in UTC, seconds."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def read_published(store: Store, folder: str = "") -> Optional[Dict[str, Any]]:
    """The content of the published run.json, which has the ``SHAPE`` of one, or None where there is none.

    Args:
        folder: of the run below the store's URL, "" or ending in "/".

    Raises:
        IntegrityError: the file is damaged, or another program's. Taking the run for new would orphan its checkpoints.
    """
    where = store.locate(folder + NAME)
    try:
        content = parse_json(read_at_most(store, folder + NAME, LARGEST), LARGEST)
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            raise IntegrityError("this run.json was not written by this version of the job", where,
                                 "Choose another --run_name, or delete this file")
        SHAPE(content, "")
    except ObjectNotFound:
        return None
    except DocumentError as error:
        raise IntegrityError(f"this run.json is damaged ({error})", where,
                             "Repair it, choose another --run_name, or delete it: then the run starts again from "
                             "iteration 0, and its checkpoints stay") from None
    return content


def read_run(store: Store) -> Dict[str, Any]:
    """The content of the run.json in ``store``, for those who only read the run; its shape is ``SHAPE``.

    Raises:
        ObjectNotFound: there is no run. IntegrityError: its run.json is damaged.
    """
    try:
        run = read_published(store)
    except IntegrityError as error:
        raise IntegrityError(error.what, error.where, "Repair this file or restore it from a copy; `python -m job sync "
                             "verify` says which checkpoints of the run are whole") from None
    if run is None:
        raise ObjectNotFound("there is no run here (no run.json)", store.url,
                             "Give the folder train_url/run_name of a run")
    return run


def selection_policy(store: Store, run: Dict[str, Any]) -> str:
    """The policy that chose the best interval of the run in ``store``, one of ``selection.POLICIES``.

    Raises:
        IntegrityError: its run.json, ``run``, names none.
    """
    policy = run["config"].get("interval", {}).get("selection")
    if policy not in selection.POLICIES:
        raise IntegrityError(f"this run.json names no selection policy (config.interval.selection is {policy!r})",
                             store.locate(NAME), "Expected one of " + ", ".join(selection.POLICIES))
    return policy


def written_at(content: Dict[str, Any]) -> Tuple[int, int]:
    """(attempt, sequence) of a run.json: number of the attempt that wrote it, and how often it had written one.

    A later run.json has a larger pair.
    """
    written = content.get("written")
    sequence = written.get("sequence") if isinstance(written, dict) else None
    return len(content.get("attempts", [])), sequence if isinstance(sequence, int) else 0


def publish_record(record: RunRecord, path: str, store: Store) -> None:
    """Write run.json, locally to ``path`` and in the run's store.

    Raises:
        StoreError: it could not be stored, or not within a minute.
    """
    record.write(path)
    within(LAST_WRITE, "the upload of run.json", lambda: store.write(NAME, record.text().encode("utf-8")))


class RunRecord:
    """The run.json of this attempt, continuing the published one.

    Args:
        config: the resolved configuration as a dict. previous: the published content or None.
        fresh: begin a new lineage.
    """

    def __init__(self, run_name: str, config: Dict[str, Any], previous: Optional[Dict[str, Any]], fresh: bool) -> None:
        self._lock = threading.Lock()  # the publisher writes while the trainer goes on
        self._names = collections.Counter()
        continued = previous is not None and not fresh
        self.content = {
            "format": FORMAT,
            "run_name": run_name,
            "state": "running",
            "lineage": previous["lineage"] if continued else uuid.uuid4().hex[:12],
            "config": config,
            "attempts": list(previous.get("attempts", [])) if previous else [],
        }
        # An attempt that was killed could not say so; the next one can.
        for attempt in self.content["attempts"]:
            if attempt.get("outcome") is None:
                attempt["outcome"] = "ended without a record"
        self.attempt = {
            "id": uuid.uuid4().hex[:8], "started": now(), "outcome": None, "host": socket.gethostname(),
            "python": platform.python_version(), "machine": platform.machine(),
        }
        self.content["attempts"].append(self.attempt)
        self._sequence = 0

    @property
    def lineage(self) -> str:
        """Only checkpoints of this lineage are resumed from."""
        return self.content["lineage"]

    @property
    def written(self) -> Dict[str, int]:
        """How often this attempt, from 1 its number at the run, has written run.json; for the markers of checkpoints.
        """
        return {"attempt_number": len(self.content["attempts"]), "sequence": self._sequence}

    def checkpoint_name(self, iteration: int) -> str:
        """A name that was never given before, by this or another attempt: a key is never written twice.

        An iteration has a second checkpoint where the first was saved before its evaluation.
        """
        self._names[iteration] += 1
        again = f"x{self._names[iteration]}" if self._names[iteration] > 1 else ""
        return f"ckpt-{iteration:06d}-{self.attempt['id']}{again}"

    def update(self, **fields: Any) -> None:
        """Set top-level fields."""
        with self._lock:
            self.content.update(fields)

    def update_attempt(self, **fields: Any) -> None:
        """Set fields of this attempt."""
        with self._lock:
            self.attempt.update(fields)

    def end(self, state: str, exit_code: int, **fields: Any) -> None:
        """Close this attempt."""
        with self._lock:
            self.attempt.update(ended=now(), outcome=state, exit_code=exit_code, **fields)
            self.content["state"] = state

    def text(self) -> str:
        """What is published."""
        with self._lock:
            self._sequence += 1
            self.content["written"] = {"attempt": len(self.content["attempts"]), "sequence": self._sequence}
            return json.dumps(self.content, indent=2, sort_keys=True) + "\n"

    def write(self, path: str) -> None:
        """Save locally, whole or not at all."""
        replace_text(path, self.text())
