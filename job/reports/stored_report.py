"""The report of a run that lies in a store, for example on a machine that has matplotlib.

Mistakes and features come from the report.json that the run has written: neither images nor a network are needed.
"""
from __future__ import annotations

from typing import Any, Dict, List, Mapping

from job.publication.history import check_details
from job.publication.late_writes import read_records
from job.publication.run_record import selection_policy
from job.reports.image_part import NAME, NO_IMAGES, WHAT, ImagePart, stored_part
from job.reports.report import Report, make_report
from masf_core.records import selection
from obs_sync import Store
from obs_sync.json_document import list_of, mapping_of, members, number, optional, whole

RUNNING = f"{WHAT}: the run stores them in {NAME} when it is done."
_NUMBER = optional(number(finite=False))
_DETAILS = members({}, may={
    "validation": mapping_of(members({"accuracy": number(0, 100)})),
    "target_per_class": mapping_of(optional(number(0, 100))),
    "target_confusion": list_of(list_of(whole())),
    "source_loss": _NUMBER, "target_loss": _NUMBER, "global_loss": _NUMBER, "metric_loss": _NUMBER,
    "images_per_second": _NUMBER, "evaluation_seconds": _NUMBER,
})
"""What the report shows of a record, besides that which every record has."""


def stored_report(store: Store) -> Report:
    """The report of the run in ``store``.

    Raises:
        ObjectNotFound: there is no run. IntegrityError: its run.json or metrics.jsonl is damaged.
    """
    run, history = read_records(store)
    selection_policy(store, run)
    check_details(store, history, _DETAILS)
    run = dict({"run_name": store.url.rstrip("/").rpartition("/")[2]}, **run)
    return make_report(run, history, _classes(run, history), _image_part(store, run, history))


def _image_part(store: Store, run: Mapping[str, Any], history: List[Dict[str, Any]]) -> ImagePart:
    if not history:
        return NO_IMAGES
    found = stored_part(store, run, selection.best(selection_policy(store, run), history)["iteration"])
    return ImagePart(notes=[RUNNING]) if not found.iteration and run["state"] == "running" else found


def _classes(run: Mapping[str, Any], history: List[Dict[str, Any]]) -> List[str]:
    """The names of the classes in label order, as far as they are known."""
    known = (run.get("data") or {}).get("classes")
    return list(known) if known is not None else list(history[-1].get("target_per_class", {})) if history else []
