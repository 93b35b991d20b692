"""The tables about a run: its data, its attempts and their time, its versions."""
from __future__ import annotations

import calendar
import time
from typing import Any, Iterator, List, Mapping, Optional, Sequence, Tuple

from job.reports.page.document import facts, heading, table


def data_facts(data: Mapping[str, Any]) -> Iterator[str]:
    """What was trained on; nothing if run.json does not say it. data: as in run.json."""
    if "use" not in data:
        return
    use, images = data["use"], sorted(data.get("images", {}).items())
    rows = [("images to train on", f"{use.get('train', 0):,}"),
            ("images for validation", f"{use.get('validation', 0):,}"),
            ("images of the target to test on", f"{use.get('target', 0):,}"),
            ("split", data.get("split", "not recorded")),
            ("lists", ", ".join(data.get("lists", [])) or "none; the folders decide"),
            ("classes", ", ".join(data.get("classes", []))),
            ("images of each domain", ", ".join(f"{name} {count:,}" for name, count in images)),
            ("fingerprint", data.get("fingerprint", "not recorded"))]
    rows += [("also", told) for told in data.get("left_out", [])]
    yield heading("Data")
    yield facts(rows)


def attempt_facts(run: Mapping[str, Any], history: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """What ran where and how long. run: content of run.json."""
    attempts = run.get("attempts", [])
    if not attempts:
        return
    yield heading("Where and how long")
    rows = []
    for number, attempt in enumerate(attempts, 1):
        began, until = attempt.get("from_iteration"), attempt.get("to_iteration")
        iterations = "" if began is None else f"{began} to {'?' if until is None else until}"
        rows.append([str(number), attempt["started"], _length(attempt), _place(attempt), iterations,
                     _seconds(attempt.get("start_seconds"), "total"), _outcome(attempt)])
    yield table(["attempt", "started", "took", "where", "iterations", "until iteration 1", "outcome"], rows, "names")
    yield facts(_times(attempts, history))


def version_facts(run: Mapping[str, Any]) -> Iterator[str]:
    """Versions and what the weights began as. run: content of run.json."""
    versions = run.get("versions")
    rows: List[Tuple[str, object]] = sorted(versions.items()) if isinstance(versions, dict) else []
    weights = run.get("initial_weights") or {}
    rows += [(f"initial weights, {name}", _plain(value)) for name, value in sorted(weights.items())
             if value is not None]
    if not weights:
        rows.append(("initial weights", "random, from the seed"))
    rows += [("lineage", run.get("lineage", "")), ("state", run.get("state", ""))]
    yield heading("Versions")
    yield facts(rows)


def duration_text(seconds: float) -> str:
    """``2 h 05 min``, ``3 min 20 s`` or ``4.2 s``."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(int(round(seconds)), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def _times(attempts: Sequence[Mapping[str, Any]], history: Sequence[Mapping[str, Any]]) -> List[Tuple[str, str]]:
    """Seconds of training and evaluation over all attempts, and of the start of the last one that trained."""
    rows, before, training, evaluating = [], 0, 0.0, 0.0
    for record in history:
        training += (record.get("seconds_per_iteration") or 0.0) * (record["iteration"] - before)
        evaluating += record.get("evaluation_seconds") or 0.0
        before = record["iteration"]
    if history:
        rows = [("training", f"{duration_text(training)} for {before:,} iterations"),
                ("evaluation", f"{duration_text(evaluating)} in {len(history):,} intervals")]
    starts = [each["start_seconds"] for each in attempts if isinstance(each.get("start_seconds"), dict)]
    if starts:
        parts = [f"{name.replace('_', ' ')} {value:.1f} s" for name, value in sorted(
            starts[-1].items(), key=lambda item: -item[1] if _is_number(item[1]) else 0.0)
            if name != "total" and _is_number(value) and value >= 0.05]
        rows.append(("last start", ", ".join(parts)))
    return rows


def _length(attempt: Mapping[str, Any]) -> str:
    began, ended = _moment(attempt.get("started")), _moment(attempt.get("ended"))
    return "" if began is None or ended is None else duration_text(max(0.0, ended - began))


def _moment(text: object) -> Optional[float]:
    """Seconds since 1970 of a time as run.json has it; None of anything else."""
    try:
        return float(calendar.timegm(time.strptime(str(text), "%Y-%m-%dT%H:%M:%SZ")))
    except ValueError:
        return None


def _place(attempt: Mapping[str, Any]) -> str:
    parts = [attempt.get("host"), attempt.get("device"), attempt.get("machine")]
    python = attempt.get("python")
    return ", ".join([str(part) for part in parts if part] + ([f"Python {python}"] if python else []))


def _outcome(attempt: Mapping[str, Any]) -> str:
    code = attempt.get("exit_code")
    told = attempt.get("outcome") or "running"
    return str(told) + (f" (exit code {code})" if code else "")


def _seconds(mapping: Any, name: str) -> str:
    value = mapping.get(name) if isinstance(mapping, dict) else None
    return f"{value:.1f} s" if _is_number(value) else ""


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _plain(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
