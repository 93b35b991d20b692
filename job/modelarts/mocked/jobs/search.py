"""Lists of jobs: filters, order and pages, as a search asks for them."""
from __future__ import annotations

from typing import Any, Callable, Dict, List, Mapping, Sequence, Tuple

from job.modelarts.mocked.errors import ModelArtsError, wrong
from job.modelarts.mocked.jobs.documents import USER, job_document
from job.modelarts.mocked.jobs.job import Job

MOST_JOBS = 50       # of a page
_USUAL_JOBS = 10
_KEYS: Dict[str, Callable[[Job], str]] = {
    "id": lambda job: job.id,
    "name": lambda job: job.request.name,
    "phase": lambda job: job.phase,
    "create_time": lambda job: str(int(job.created * 1000)),
    "kind": lambda job: "job",
    "user_name": lambda job: USER,
}
_ORDERS: Dict[str, Callable[[Job], Any]] = {
    "create_time": lambda job: job.created, "name": lambda job: job.request.name,
    "job_name": lambda job: job.request.name}


Condition = Tuple[str, str, List[str]]   # key, operator, values


def search(jobs: Sequence[Job], body: Mapping[str, Any], now: float) -> Dict[str, Any]:
    """The reply to a search.

    Args:
        jobs: all jobs, the oldest first.
        body: offset (the number of the page, from 0), limit, sort_by, order, filters.
        now: the platform's time.

    Raises:
        ModelArtsError: the service would refuse the search.
    """
    offset, limit = body.get("offset", 0), body.get("limit", _USUAL_JOBS)
    if not _is_whole(offset) or offset < 0:
        raise wrong(f"offset {offset!r} must be 0 or more")
    if not _is_whole(limit) or not 1 <= limit <= MOST_JOBS:
        raise wrong(f"limit {limit!r} must be 1 to {MOST_JOBS}")
    sort_by, order = body.get("sort_by") or "create_time", body.get("order") or "desc"
    if sort_by not in _ORDERS:
        raise ModelArtsError("ModelArts.2790")
    if order not in ("asc", "desc"):
        raise wrong(f"order {order!r} must be asc or desc")
    filters = body.get("filters") or []
    if not isinstance(filters, list):
        raise wrong("filters is not a list")
    conditions = [_read(condition) for condition in filters]
    found = [job for job in jobs if all(_holds(condition, job) for condition in conditions)]
    found.sort(key=_ORDERS[sort_by])
    if order == "desc":
        found.reverse()
    page = found[offset * limit:(offset + 1) * limit]
    return {"total": len(jobs), "count": len(found), "limit": limit, "offset": offset, "sort_by": sort_by,
            "order": order, "group_by": body.get("group_by") or "", "workspace_id": "0",
            "ai_project": "default-ai-project", "items": [job_document(job, now) for job in page]}


def _holds(condition: Condition, job: Job) -> bool:
    key, operator, values = condition
    if not values:
        return True
    actual = _KEYS[key](job)
    if operator == "like":
        return any(value in actual for value in values)
    if operator == "in":
        return actual in values
    if operator == "not":
        return actual not in values
    low, high = values
    if key == "create_time":
        return (not low or int(low) <= int(actual)) and (not high or int(actual) <= int(high))
    return low <= actual <= high


def _read(condition: object) -> Condition:
    if not isinstance(condition, dict):
        raise wrong("a filter is not an object")
    key, operator, values = condition.get("key"), condition.get("operator"), condition.get("value")
    if key not in _KEYS:
        raise ModelArtsError("ModelArts.2807", key)
    if operator not in ("between", "like", "in", "not"):
        raise ModelArtsError("ModelArts.2808", operator)
    if values is None:
        values = []
    if not isinstance(values, list) or any(not isinstance(value, str) for value in values):
        raise ModelArtsError("ModelArts.2809", values)
    if operator == "between" and values:
        if len(values) != 2 or (key == "create_time" and any(value and not value.isdecimal() for value in values)):
            raise ModelArtsError("ModelArts.2809", values)
    return key, operator, values


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
