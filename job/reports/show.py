"""The objects of a run, its accuracy interval by interval, and its attempts."""
from __future__ import annotations

import posixpath
from typing import Any, Dict, List, Mapping, Sequence

from job.printable import printable
from job.publication.late_writes import read_records
from obs_sync import Store

BAR = 30  # characters of a full bar


def describe_run(store: Store) -> str:
    """Text about the run in ``store``, without control characters other than line feeds.

    Raises:
        ObjectNotFound: there is no run. IntegrityError: its run.json is damaged.
    """
    run, history = read_records(store)
    lines = [f"{printable(store.url)}  {printable(run['state'])}", ""]
    lines += object_tree(store)
    lines += [""] + accuracy_lines(history) + best_line(run) + attempt_lines(run["attempts"])
    return "\n".join(lines)


def run_document(store: Store) -> Dict[str, Any]:
    """The same for programs.

    Raises:
        As ``describe_run``.
    """
    run, history = read_records(store)
    return {"url": store.url, "run_name": run.get("run_name"), "state": run["state"],
            "iteration": run.get("iteration", 0), "best": run.get("best"), "attempts": run["attempts"],
            "intervals": history, "config": run["config"],
            "objects": [{"key": info.key, "size": info.size} for info in store.list()]}


def object_tree(store: Store) -> List[str]:
    """The store's objects as an indented tree with sizes, a line for each folder and object."""
    lines: List[str] = []
    seen = set()
    for info in store.list():
        folder, name = posixpath.split(info.key)
        parts = folder.split("/") if folder else []
        for depth in range(len(parts)):
            parent = "/".join(parts[:depth + 1])
            if parent not in seen:
                seen.add(parent)
                lines.append("  " * (depth + 1) + printable(parts[depth]) + "/")
        lines.append(f"{'  ' * (len(parts) + 1) + printable(name):<52} {size(info.size):>10}")
    return lines


def accuracy_lines(history: Sequence[Mapping[str, Any]]) -> List[str]:
    """A line for each interval, with a bar for the accuracy on the target: the curve as text.

    Args:
        history: records of ``job.publication.history``.
    """
    if not history:
        return ["no interval has been completed"]
    return [accuracy_title(history[0])] + [accuracy_line(record) for record in history]


def accuracy_title(record: Mapping[str, Any]) -> str:
    """The titles above the lines of intervals."""
    return f"{'iteration':>9}  {'validation':>10}  {printable(record['target_domain']):>10}"


def accuracy_line(record: Mapping[str, Any]) -> str:
    """The line of an interval."""
    filled = int(round(BAR * record["target_accuracy"] / 100.0))
    return (f"{record['iteration']:>9}  {record['validation_accuracy']:>8.2f} %  "
            f"{record['target_accuracy']:>8.2f} %  {'#' * filled}{'.' * (BAR - filled)}")


def best_line(run: Mapping[str, Any]) -> List[str]:
    """A line about the interval that the selection policy chose; none before the first interval."""
    best = run.get("best")
    return [] if not best else [
        f"best: {best['target_accuracy']:.2f} % on the target at iteration {best['iteration']} "
        f"(validation {best['validation_accuracy']:.2f} %)"]


def attempt_lines(attempts: Sequence[Mapping[str, Any]]) -> List[str]:
    """A line for each attempt: when it started, from which iteration it trained, how it ended."""
    lines = ["attempts:"] if attempts else []
    for attempt in attempts:
        first = attempt.get("from_iteration")
        since = "before training" if first is None else f"from iteration {first}"
        lines.append(f"  {printable(attempt['started'])}  {since}: {printable(attempt.get('outcome') or 'running')}")
    return lines


def size(count: int) -> str:
    """``1234567`` → ``1.2 MB``."""
    value = float(count)
    for unit in ("B", "kB", "MB"):
        if value < 1000:
            return f"{value:.0f} B" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000.0
    return f"{value:.1f} GB"
