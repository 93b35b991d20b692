"""Records that are overwritten in place, and writes of them that arrive late.

The network may hold a write of run.json, metrics.jsonl, eva.txt or best.json until its writer is dead and the next
attempt has finished. It then replaces the newer content by the older one, and no store refuses it. But the keys of a
checkpoint are used once, and its marker says which attempt wrote it and how often that attempt had written run.json. So
every reader of a run compares the records with the newest checkpoint, and replaces older ones by those of the
checkpoint.
"""
from __future__ import annotations

import hashlib
import logging
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

from job.publication.history import read_history
from job.publication.lineage import fault_of
from job.publication.retention import name_best
from job.publication.run_record import read_run, written_at
from masf_core.errors import CheckpointError
from masf_core.records import checkpoints
from masf_core.records.progress import LARGEST, Progress, parse_progress
from masf_core.records.texts import eva_text, metrics_text
from obs_sync import IntegrityError, Marker, ObjectNotFound, Store, list_markers
from obs_sync.json_document import DocumentError
from obs_sync.store import read_at_most

log = logging.getLogger(__name__)

METRICS, EVA = "metrics.jsonl", "eva.txt"
LOST = "its record was lost: a delayed write overwrote run.json"


class Newest(NamedTuple):
    """The newest checkpoint, without its arrays."""

    marker: Marker
    progress: Progress
    metrics: str  # its history as metrics.jsonl
    eva: str  # and as eva.txt


def read_records(store: Store) -> Tuple[Dict[str, Any], List[Dict[str, Any]]]:
    """The run.json and the records of the intervals of the run in ``store``, see ``newest_records``.

    Raises:
        ObjectNotFound: there is no run. IntegrityError: its run.json or metrics.jsonl is damaged. StoreError: the store
        cannot be read.
    """
    return newest_records(store, read_run(store), read_history(store))


def newest_records(store: Store, run: Dict[str, Any], history: List[Dict[str, Any]],
                   ) -> Tuple[Dict[str, Any], List[Dict[str, Any]]]:
    """``run`` and ``history``, or what the newest checkpoint tells instead where they are older than it.

    A warning says so. Nothing is written: this is for those who show runs.

    Args:
        run: the published run.json. history: the records of the published metrics.jsonl.

    Raises:
        StoreError: the store cannot be read.
    """
    newest = newest_checkpoint(store, run)
    if newest is None:
        return run, history
    if is_older(run, newest.marker):
        log.warning("run.json is older than checkpoint %s: it has not been uploaded yet, or a delayed write overwrote "
                    "it. The command that trained the run writes it again", newest.marker.name)
        run = corrected(run, newest)
    if not metrics_text(history).startswith(newest.metrics):
        log.warning("%s is older than checkpoint %s: it has not been uploaded yet, or a delayed write overwrote it. "
                    "The intervals are taken from the checkpoint. The command that trained the run writes it again",
                    METRICS, newest.marker.name)
        history = newest.progress.history
    return run, history


def newest_checkpoint(store: Store, run: Dict[str, Any]) -> Optional[Newest]:
    """The checkpoint that was published last, of the run's lineage or of a later attempt than run.json knows of.

    Returns None where there is none, or where it cannot be read.
    """
    known = written_at(run)[0]
    markers = [marker for marker in list_markers(store) if _is_ours(marker)
               and (marker.metadata.get("lineage") == run["lineage"] or _attempt_number(marker) > known)]
    for marker in sorted(markers, key=_age, reverse=True):
        try:
            progress = read_progress(store, marker)
            return Newest(marker, progress, metrics_text(progress.history), eva_text(progress.history))
        except (CheckpointError, IntegrityError, ObjectNotFound, LookupError, TypeError, ValueError) as error:
            log.debug("checkpoint %s cannot be compared with run.json and the logs: %s", marker.name, error)
    return None


def is_older(run: Dict[str, Any], marker: Marker) -> bool:
    """Whether run.json was written before the checkpoint."""
    return written_at(run) < (_attempt_number(marker), marker.metadata.get("sequence", 0))


def newest_record(store: Store, run: Optional[Dict[str, Any]]) -> Optional[Dict[str, Any]]:
    """``run``, the published run.json, unless a later attempt has published a checkpoint: then what that tells.

    A warning says so. The run is not done then, so that its end is told, and all records are written, once more.
    """
    if run is None:
        return None
    newest = newest_checkpoint(store, run)
    if newest is None or _attempt_number(newest.marker) <= written_at(run)[0]:
        return run
    log.warning("run.json is of attempt %d, but checkpoint %s of attempt %d: a delayed write overwrote run.json. It "
                "is written again", written_at(run)[0], newest.marker.name, _attempt_number(newest.marker))
    return corrected(run, newest)


def corrected(run: Dict[str, Any], newest: Newest) -> Dict[str, Any]:
    """An outdated run.json with what the newest checkpoint tells. ``running``: how the attempt ended is not known."""
    marker, details = newest.marker, newest.progress.details
    attempts, config = list(run.get("attempts", [])), details.get("config")
    while len(attempts) < _attempt_number(marker):
        attempts.append({"id": marker.metadata.get("attempt"), "started": marker.created, "outcome": LOST})
    if run["lineage"] != marker.metadata["lineage"]:
        run = {key: value for key, value in run.items() if key not in ("data", "initial_weights", "best")}
    return dict(run, state="running", lineage=marker.metadata["lineage"], attempts=attempts,
                iteration=newest.progress.iteration, config=config if isinstance(config, dict) else run.get("config"))


def restore_records(store: Store, run: Dict[str, Any]) -> None:
    """Write the metrics, eva.txt and the pointer to the best checkpoint again where they are older than the newest
    checkpoint of the finished ``run``.

    Raises:
        StoreError: the store cannot be read or written.
    """
    newest = newest_checkpoint(store, run)
    if newest is None:
        return
    for name, text in ((METRICS, newest.metrics), (EVA, newest.eva)):
        if not _read_text(store, name).startswith(text):
            log.warning("%s is older than checkpoint %s: a delayed write overwrote it. It is written again",
                        name, newest.marker.name)
            store.write(name, text.encode("utf-8"))
    name_best(store, run["lineage"], run["config"]["interval"]["selection"], newest.progress.history)


def _is_ours(marker: Marker) -> bool:
    return fault_of(marker) is None and isinstance(marker.metadata.get("sequence", 0), int)


def _attempt_number(marker: Marker) -> int:
    """Which attempt at the run published it, from 1; 0 where it does not say so."""
    number = marker.metadata.get("attempt_number", 0)
    return number if isinstance(number, int) and number < 10 ** 6 else 0


def _age(marker: Marker) -> tuple:
    return _attempt_number(marker), marker.metadata["iteration"], marker.created


def read_progress(store: Store, marker: Marker) -> Progress:
    """``Progress`` of a published checkpoint: one small file of it."""
    name = checkpoints.PROGRESS_FILE
    expected = next((file for file in marker.files if file.name == name), None)
    if expected is None:
        raise LookupError(f"its marker names no {name}")
    data = read_at_most(store, f"checkpoints/{marker.name}/{name}", LARGEST)
    if hashlib.sha256(data).hexdigest() != expected.sha256:
        raise ValueError(f"{name} is not the one that the marker names")
    return parse_progress(data)


def _read_text(store: Store, name: str) -> str:
    """A published log file; "" where there is none, or one that is larger than any that a run writes."""
    try:
        return read_at_most(store, name, LARGEST).decode("utf-8", errors="replace")
    except (ObjectNotFound, DocumentError):
        return ""
