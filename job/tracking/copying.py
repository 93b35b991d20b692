"""Copy a run into an experiment tracker: what the tracker has already is not copied again.

Copying twice changes nothing. A run that was running is continued: its new intervals are added.
"""
from __future__ import annotations

import calendar
import hashlib
import logging
import math
import os
import re
import tempfile
import time
from typing import Any, Dict, List, Mapping, NamedTuple, Sequence, Set

from job.config.loading import yaml_of
from job.printable import printable
from job.publication.history import check_details
from job.publication.late_writes import read_records
from job.tracking.tracker import Point, Present, Tracker
from masf_core.records import selection
from masf_core.records.scalars import interval_scalars
from obs_sync import ObjectNotFound, Store
from obs_sync.json_document import DocumentError, mapping_of, members, number, optional
from obs_sync.store import read_at_most

log = logging.getLogger(__name__)

LARGEST = 16 << 20  # bytes of a file that is copied
FILES = ("run.json", "metrics.jsonl", "eva.txt", "report.html")
BATCH = 800  # values in one request
PREFIX = "masf."
DIGEST = PREFIX + "sha256."  # tags that say which content of a file has been copied
STATUS = {"running": "RUNNING", "done": "FINISHED", "stopped": "KILLED"}  # any other state is a failure
LONGEST_NAME = 200  # characters of a metric
_TRAINING = ("source_loss", "source_accuracy", "global_loss", "metric_loss", "loss_scale")
_STRANGE = re.compile(r"[^\w. /\-]+")
_RESULT = members({}, may={"accuracy": number(0, 100), "loss": number(finite=False)})
_SHAPE = members({}, may=dict({name: optional(number(finite=False)) for name in _TRAINING + ("target_loss",)}, **{
    "validation": mapping_of(_RESULT), "target_per_class": mapping_of(optional(number(0, 100)))}))


class Copied(NamedTuple):
    """What was copied now. where: the run in the tracker. values: of metrics."""

    where: str
    values: int
    params: int
    tags: int
    files: List[str]

    @property
    def nothing(self) -> bool:
        """Whether the tracker had everything."""
        return not (self.values or self.params or self.tags or self.files)


def copy_run(store: Store, tracker: Tracker) -> Copied:
    """Copy the run in ``store``.

    Raises:
        ObjectNotFound: there is no run. IntegrityError: a file of it is damaged. StoreUnavailable, ConfigError: see
        ``Tracker``.
    """
    run, history = read_records(store)
    check_details(store, history, _SHAPE)
    started = moment_of(run["attempts"][0]["started"]) if run["attempts"] else 0
    name = str(run.get("run_name") or store.url.rstrip("/").rpartition("/")[2])
    identity = identity_of(run, name)
    points = points_of(run, history, started)
    present = tracker.find(identity) or tracker.create(identity, printable(name), started)
    new_params = _new_params(run, present, tracker.longest_param)
    tags = {key: value for key, value in tags_of(run, history, store.url).items() if present.tags.get(key) != value}
    missing = _missing(points, present, tracker)
    for begin in range(0, len(missing), BATCH):
        tracker.write(present.key, missing[begin:begin + BATCH], {}, {})
    if new_params or tags:
        tracker.write(present.key, [], new_params, tags)
    files = _copy_files(store, run, present, tracker)
    status = STATUS.get(run["state"], "FAILED")
    if present.status != status:
        ended = [each["ended"] for each in run["attempts"] if "ended" in each]
        tracker.end(present.key, status, None if status == "RUNNING" or not ended else moment_of(ended[-1]))
    return Copied(tracker.where(present.key), len(missing), len(new_params), len(tags), files)


def identity_of(run: Mapping[str, Any], name: str) -> str:
    """The same for every copy of a run; another one after a fresh start under its name. 32 hexadecimal digits."""
    return hashlib.sha256(f"{run['lineage']}\0{name}".encode("utf-8", "surrogatepass")).hexdigest()[:32]


def points_of(run: Mapping[str, Any], history: Sequence[Mapping[str, Any]], started: int) -> List[Point]:
    """Every value of every metric. Values that are not finite are left out.

    ``selected/…`` is what the selection policy would choose, had the run ended there. The moment of a value is the
    start of the run plus its seconds of training and evaluation so far, so that it is the same whenever the run is
    copied.
    """
    policy = _settings(run).get("selection")
    points, best, seconds, before = [], None, 0.0, 0
    for record in history:
        seconds += (record.get("seconds_per_iteration") or 0.0) * (record["iteration"] - before)
        seconds += _finite(record.get("evaluation_seconds"))
        before = record["iteration"]
        values: Dict[str, Any] = {f"train/{name}": record.get(name) for name in _TRAINING}
        values.update(interval_scalars(record))
        if policy in selection.POLICIES:
            best = selection.best(policy, [record] if best is None else [best, record])
            values[f"selected/{record['target_domain']}"] = best["target_accuracy"]
            values["selected/validation_mean_accuracy"] = best["validation_accuracy"]
        moment = started + int(1000 * seconds)
        points += [Point(metric_name(name), float(value), record["iteration"], moment)
                   for name, value in values.items() if value is not None and math.isfinite(value)]
    return points


def metric_name(name: str) -> str:
    """A name that trackers accept: letters, digits, blanks and ``_-./``. Names that differ stay different."""
    plain = _STRANGE.sub("_", printable(name))
    parts = [part if part.strip(".") else "_" for part in plain.split("/")]
    safe = "/".join(parts)
    if safe == name and len(safe) <= LONGEST_NAME:
        return safe
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{safe[:LONGEST_NAME]}_{digest}"


def tags_of(run: Mapping[str, Any], history: Sequence[Mapping[str, Any]], url: str) -> Dict[str, str]:
    """Tag → text."""
    settings, data = _settings(run), run.get("data") or {}
    tags = {"url": url, "state": run["state"], "lineage": run["lineage"], "attempts": len(run["attempts"]),
            "target_domain": settings.get("target_domain"), "selection": settings.get("selection"),
            "data_fingerprint": data.get("fingerprint"), "split": data.get("split")}
    versions = run.get("versions")
    if isinstance(versions, dict):
        tags.update({f"version.{metric_name(str(name))}": value for name, value in versions.items()})
    if history and settings.get("selection") in selection.POLICIES:
        tags["best_iteration"] = selection.best(settings["selection"], history)["iteration"]
    return {PREFIX + name: printable(str(value))[:4000] for name, value in tags.items() if value is not None}


def moment_of(text: object) -> int:
    """Milliseconds since 1970 of a time as run.json has it; 0 of anything else."""
    try:
        return 1000 * calendar.timegm(time.strptime(str(text), "%Y-%m-%dT%H:%M:%SZ"))
    except ValueError:
        return 0


def _missing(points: Sequence[Point], present: Present, tracker: Tracker) -> List[Point]:
    """The values that the tracker does not have. A request that was cut off may have left some of an interval."""
    there: Dict[str, Set[int]] = {
        name: tracker.steps(present.key, name) for name in {point.name for point in points} & present.metrics}
    return [point for point in points if point.step not in there.get(point.name, ())]


def _new_params(run: Mapping[str, Any], present: Present, longest: int) -> Dict[str, str]:
    given = {metric_name(name): printable(str(value)) for name, value in _settings(run).items()}
    cut = {name: value[:longest] for name, value in given.items()}
    if any(len(value) > longest for value in given.values()):
        log.info("parameters longer than %d characters are cut; config.yaml has them whole", longest)
    changed = sorted(name for name, value in cut.items() if present.params.get(name, value) != value)
    if changed:
        log.warning("parameters of a tracked run cannot change. Their first values stay, and config.yaml has the "
                    "present ones: %s", ", ".join(changed))
    return {name: value for name, value in cut.items() if name not in present.params}


def _copy_files(store: Store, run: Mapping[str, Any], present: Present, tracker: Tracker) -> List[str]:
    """Upload the small files that are new or have changed. Returns their names."""
    figures = sorted(info.key for info in store.list() if info.key.endswith(".svg") and "/" not in info.key)
    contents = {"config.yaml": yaml_of(run["config"]).encode("utf-8", "surrogatepass")}
    for name in FILES + tuple(figures):
        try:
            contents[name] = read_at_most(store, name, LARGEST)
        except ObjectNotFound:
            continue
        except DocumentError:
            log.warning("%s is larger than %d MB and is not copied", printable(name), LARGEST >> 20)
    copied = []
    with tempfile.TemporaryDirectory() as folder:
        for name, content in contents.items():
            tag = DIGEST + metric_name(name)
            digest = hashlib.sha256(content).hexdigest()
            if present.tags.get(tag) == digest:
                continue
            path = os.path.join(folder, name)
            with open(path, "wb") as stream:
                stream.write(content)
            tracker.upload(present.key, path)
            tracker.write(present.key, [], {}, {tag: digest})  # last: an upload that failed is made again
            copied.append(name)
    return copied


def _settings(run: Mapping[str, Any]) -> Dict[str, Any]:
    return {name: value for group in run["config"].values() for name, value in group.items()}


def _finite(value: Any) -> float:
    known = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if known else 0.0
