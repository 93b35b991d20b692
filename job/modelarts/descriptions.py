"""Jobs, flavors and engines as lines for people and as JSON documents."""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Sequence

from job.console import duration
from job.exits import meaning_of
from job.modelarts.follow import recovery
from job.modelarts.service import Engine, Event, Flavor, Job, Task
from job.modelarts.submitted_run import Accuracy, SubmittedRun
from job.printable import printable
from job.sync.output import moment
from masf_core.words import plural

NOTHING = "-"


def columns(rows: Sequence[Sequence[str]]) -> List[str]:
    """Lines in which the cells of a column stand below each other. rows: the titles are the first."""
    cells = [[printable(cell) or NOTHING for cell in row] for row in rows]
    widths = [max(len(row[index]) for row in cells) for index in range(len(cells[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in cells]


def job_row(job: Job, run: Optional[SubmittedRun], accuracy: Optional[Accuracy]) -> List[str]:
    """The cells of a job below ``JOB_TITLES``."""
    return [job.name, job.phase, duration(job.duration) if job.duration else "", moment(job.created or None).strip(),
            run.name if run else "", run.target if run else "", accuracy_text(accuracy) if accuracy else ""]


JOB_TITLES = ["NAME", "PHASE", "DURATION", "CREATED (UTC)", "RUN", "TARGET", "ACCURACY"]


def accuracy_text(accuracy: Accuracy) -> str:
    """``45.20 % at 300``, or why there is none; ``(of the run)`` if no attempt says that this job trained it."""
    if accuracy.target_accuracy is None:
        return accuracy.problem
    return f"{accuracy.target_accuracy:.2f} % at {accuracy.iteration}" + ("" if accuracy.of_job else " (of the run)")


def job_document(job: Job, run: Optional[SubmittedRun], accuracy: Optional[Accuracy]) -> Dict[str, Any]:
    """A job for programs. Times are seconds since 1970, durations are seconds."""
    told: Dict[str, Any] = {
        "id": job.id, "name": job.name, "phase": job.phase, "created": job.created, "duration": job.duration,
        "flavor": job.flavor, "nodes": job.nodes, "run": None}
    if run is not None:
        told["run"] = dict(run._asdict(), accuracy=None if accuracy is None else accuracy.target_accuracy,
                           iteration=accuracy and accuracy.iteration, of_job=accuracy is not None and accuracy.of_job,
                           problem=(accuracy and accuracy.problem) or None)
    return told


def status_document(job: Job, run: Optional[SubmittedRun], accuracy: Optional[Accuracy],
                    events: Optional[Sequence[Event]]) -> Dict[str, Any]:
    """Everything about a job for programs. events: None where they cannot be read."""
    told = job_document(job, run, accuracy)
    told.update(
        code_dir=job.code_dir, log_url=job.log_url, parameters=job.parameters, inputs=job.inputs, outputs=job.outputs,
        annotations=job.annotations, description=job.description,
        tasks=[dict(task._asdict(), meaning=None if task.exit_code is None else meaning_of(task.exit_code))
               for task in job.tasks],
        restarts=[dict(record._asdict(), recovery_meaning=recovery(record) or None) for record in job.records],
        events=None if events is None else [event._asdict() for event in events])
    return told


def status_lines(job: Job, run: Optional[SubmittedRun], accuracy: Optional[Accuracy],
                 events: Optional[Sequence[Event]]) -> List[str]:
    """The same for people."""
    facts = [
        ("id", job.id), ("created", f"{moment(job.created or None).strip()} UTC" if job.created else ""),
        ("duration", duration(job.duration) if job.duration else ""),
        ("run", f"{run.name}, target {run.target}, at {run.url}" if run else ""),
        ("accuracy", accuracy_text(accuracy) if accuracy else ""),
        ("flavor", f"{job.flavor}, {plural(job.nodes, 'node')}"), ("code", job.code_dir),
        ("log", job.log_url)]
    lines = [f"{printable(job.name)}: {printable(job.phase)}"]
    lines += [f"  {name:<9} {printable(value)}" for name, value in facts if value]
    if job.tasks:
        lines += ["tasks:"] + [f"  {printable(task.name)}: {_task_text(task)}" for task in job.tasks]
    if job.records:
        lines.append("restarts:" if any(record.recovery for record in job.records) else "ran:")
    for record in job.records:
        since = f"from {moment(record.start).strip()}" if record.start else "start not known"
        until = f"until {moment(record.end).strip()}" if record.end else "still running" if not job.is_final else ""
        told = [since, until, printable(record.reason), recovery(record)]
        lines.append("  " + ", ".join(part for part in told if part))
    if events is None:
        lines.append("events: the access key may not read them")
    elif events:
        lines.append("events:")
        lines += [f"  {printable(each.time)}  {printable(each.level)}  {printable(each.message)}" for each in events]
    return lines


def _task_text(task: Task) -> str:
    if task.exit_code is None:
        return "has not ended" + (f": {printable(task.message)}" if task.message else "")
    return (f"exit code {task.exit_code} ({meaning_of(task.exit_code)})"
            + (f": {printable(task.message)}" if task.message else ""))


def flavor_rows(flavors: Sequence[Flavor]) -> List[List[str]]:
    """Titles, and a row for each flavor."""
    rows = [["FLAVOR", "KIND", "CARDS", "PRODUCT", "MEMORY", "MOST NODES", "BILLED AS"]]
    for each in flavors:
        billed = each.billing_code + (f" × {each.billing_units}" if each.billing_units not in (None, 1) else "")
        rows.append([each.id, each.kind, str(each.cards or ""), each.product, each.memory, str(each.most_nodes),
                     billed])
    return rows


def engine_rows(engines: Sequence[Engine]) -> List[List[str]]:
    """Titles, and a row for each engine."""
    return [["ENGINE", "NAME", "VERSION", "IMAGE"]] + [[each.id, each.name, each.version, each.image]
                                                       for each in engines]
