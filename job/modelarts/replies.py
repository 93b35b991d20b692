"""From the documents of ModelArts to our values. A field that is absent, or of another type, counts as empty."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional, Tuple

from job.modelarts.service import NO_LINES, Engine, Event, Flavor, Job, LogPart, RunningRecord, Task


def job_of(document: Mapping[str, Any]) -> Job:
    """A job, from the reply to creating, showing or listing it."""
    metadata, status = _part(document, "metadata"), _part(document, "status")
    algorithm, spec = _part(document, "algorithm"), _part(document, "spec")
    resource = _part(spec, "resource")
    return Job(
        id=_text(metadata, "id"), name=_text(metadata, "name"), phase=_text(status, "phase"),
        created=_number(metadata, "create_time") / 1000, duration=_number(status, "duration") / 1000,
        tasks=_tasks(status), records=tuple(_record(each) for each in _list(status, "running_records")),
        annotations=_texts(_part(metadata, "annotations")),
        parameters={_text(each, "name"): _text(each, "value") for each in _list(algorithm, "parameters")},
        inputs=_channels(algorithm, "inputs"), outputs=_channels(algorithm, "outputs"),
        code_dir=_place(_text(algorithm, "code_dir")),
        log_url=_place(_text(_part(spec, "log_export_path"), "obs_url")),
        flavor=_text(resource, "flavor_id"), nodes=int(_number(resource, "node_count") or 1),
        description=_text(metadata, "description"))


def _tasks(status: Mapping[str, Any]) -> Tuple[Task, ...]:
    """The nodes, in their order; ModelArts lists those that have ended a second time."""
    ended = {_text(each, "task"): each for each in _list(status, "task_statuses")}
    names = [name for name in status.get("tasks") or [] if isinstance(name, str)]
    names += [name for name in ended if name not in names]
    return tuple(Task(name, _optional(ended.get(name, {}), "exit_code"), _text(ended.get(name, {}), "message"))
                 for name in names)


def _record(document: Mapping[str, Any]) -> RunningRecord:
    start, end = (_optional(document, name) or None for name in ("start_at", "end_at"))
    return RunningRecord(start, end, _text(document, "end_reason"), _text(document, "end_recover"))


def flavor_of(document: Mapping[str, Any]) -> Flavor:
    """A kind of node."""
    information, billing = _part(document, "flavor_info"), _part(document, "billing")
    kind = _text(document, "flavor_type")
    cards = _part(information, "npu") or _part(information, "gpu")
    memory = _text(cards, "memory")
    return Flavor(
        id=_text(document, "flavor_id"), name=_text(document, "flavor_name"), kind=kind,
        cards=int(_number(cards, "unit_num")), product=_text(cards, "product_name"), memory=memory,
        most_nodes=int(_number(document, "max_num") or _number(information, "max_num") or 1),
        billing_code=_text(billing, "code"), billing_units=_optional(billing, "unit_num"))


def engine_of(document: Mapping[str, Any]) -> Engine:
    """An image that ModelArts provides."""
    image = _part(document, "image_info")
    return Engine(_text(document, "engine_id"), _text(document, "engine_name"), _text(document, "engine_version"),
                  _text(image, "gpu_image_url") or _text(image, "cpu_image_url"))


def event_of(document: Mapping[str, Any]) -> Event:
    """Something that happened to a job."""
    return Event(_text(document, "time"), _text(document, "level"), _text(document, "message"))


def log_part(document: Mapping[str, Any], first: int) -> LogPart:
    """Lines of a log from the position ``first`` on. If the reply begins earlier, its first lines are left out.

    The documentation of ModelArts does not say whether positions are consecutive, nor whether end_line is the position
    of the last line or of the next one. The number of lines decides both. The content may have fewer lines than this
    number, if ModelArts cut it off.
    """
    content = _text(document, "content")
    begins, ends = _optional(document, "start_line"), _optional(document, "end_line")
    if not content or begins is None:
        return NO_LINES
    lines = [line.rstrip("\r") for line in content.split("\n")]
    if content.endswith("\n"):
        lines.pop()
    count = _number(document, "lines") or len(lines)
    if ends is None or ends - begins in (count - 1, count):
        before = max(0, first - begins)
        last = begins + len(lines) - 1
    else:
        before = 1 if begins == first - 1 else 0
        if len(lines) < count:  # the position of the last line that came is not known
            lines = lines[:before + 1]
            ends = begins if not before else first
        last = ends
    lines = lines[before:]
    return LogPart(max(begins, first), tuple(lines), last) if lines else NO_LINES


def _channels(algorithm: Mapping[str, Any], name: str) -> Dict[str, str]:
    return {_text(each, "name"): _place(_text(_part(_part(each, "remote"), "obs"), "obs_url"))
            for each in _list(algorithm, name)}


def _place(text: str) -> str:
    return "obs:/" + text if text.startswith("/") else text


def _part(document: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = document.get(name)
    return value if isinstance(value, Mapping) else {}


def _list(document: Mapping[str, Any], name: str) -> List[Mapping[str, Any]]:
    value = document.get(name)
    return [each for each in value if isinstance(each, Mapping)] if isinstance(value, list) else []


def _texts(document: Mapping[str, Any]) -> Dict[str, str]:
    return {str(name): str(value) for name, value in document.items()}


def _text(document: Mapping[str, Any], name: str) -> str:
    value = document.get(name)
    return "" if value is None else str(value)


def _optional(document: Mapping[str, Any], name: str) -> Optional[int]:
    """A whole number, which ModelArts sometimes writes as a text."""
    try:
        return int(document[name])
    except (KeyError, TypeError, ValueError):
        return None


def _number(document: Mapping[str, Any], name: str) -> int:
    return _optional(document, name) or 0
