"""What a run has left behind: the tree of its objects, its accuracy interval by interval."""
from __future__ import annotations

import json
import posixpath

from job.publication.late_writes import newest_records
from job.publication.run_record import read_published
from obs_sync import ObjectNotFound

BAR = 30  # characters of a full bar


def describe_run(store):
    """Text about the run in ``store``.

    Raises:
        ObjectNotFound: there is no run.
    """
    run = read_published(store)
    if run is None:
        raise ObjectNotFound("there is no run here (no run.json)", store.url, "Give the URL of train_url/run_name")
    run, history = newest_records(store, run, read_history(store))
    lines = ["{}  {}".format(store.url, run["state"]), ""]
    lines += object_tree(store)
    lines += [""] + accuracy_lines(history)
    best = run.get("best")
    if best:
        lines.append("best: {:.2f} % on the target at iteration {} (validation {:.2f} %)".format(
            best["target_accuracy"], best["iteration"], best["validation_accuracy"]))
    lines.append("attempts: " + "; ".join("{} from iteration {}: {}".format(
        attempt["started"], attempt.get("from_iteration", "?"), attempt.get("outcome") or "running")
        for attempt in run["attempts"]))
    return "\n".join(lines)


def read_history(store):
    """Records of metrics.jsonl; empty where there is none."""
    try:
        text = store.read("metrics.jsonl").decode("utf-8")
    except ObjectNotFound:
        return []
    return [json.loads(line) for line in text.splitlines() if line.strip()]


def object_tree(store):
    """The store's objects as an indented tree with sizes."""
    lines, shown = [], set()
    for info in store.list():
        folder, name = posixpath.split(info.key)
        parts = folder.split("/") if folder else []
        for depth in range(len(parts)):
            parent = "/".join(parts[:depth + 1])
            if parent not in shown:
                shown.add(parent)
                lines.append("  " * (depth + 1) + parts[depth] + "/")
        lines.append("{:<52} {:>10}".format("  " * (len(parts) + 1) + name, size(info.size)))
    return lines


def accuracy_lines(history):
    """A line an interval with a bar: the curve as text."""
    if not history:
        return ["no interval has been completed"]
    lines = ["{:>9}  {:>10}  {:>10}".format("iteration", "validation", history[0]["target_domain"])]
    for record in history:
        filled = int(round(BAR * record["target_accuracy"] / 100.0))
        lines.append("{:>9}  {:>8.2f} %  {:>8.2f} %  {}".format(
            record["iteration"], record["validation_accuracy"], record["target_accuracy"],
            "#" * filled + "." * (BAR - filled)))
    return lines


def size(count):
    """``1234567`` → ``1.2 MB``."""
    value = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000 or unit == "GB":
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000.0
