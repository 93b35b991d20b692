"""The calls of ModelArts and IAM that the mock knows: what each one does, and where it lives."""
from __future__ import annotations

import hmac
import json
import re
from typing import Any, Callable, Dict, FrozenSet, NamedTuple, Optional, Pattern, Tuple
from urllib.parse import quote, unquote

from job.modelarts.mocked.catalogue import FLAVOR_TYPES, Catalogue
from job.modelarts.mocked.errors import (
    BROKEN_JSON, DENIED, NOT_AUTHENTICATED, WRONG_QUERY, ModelArtsError, json_response, wrong,
)
from job.modelarts.mocked.jobs.documents import event_documents, event_time, job_document
from job.modelarts.mocked.jobs.job import Job, Task
from job.modelarts.mocked.jobs.logs import PREVIEW_BYTES, cut_in_a_character
from job.modelarts.mocked.jobs.places import Places
from job.modelarts.mocked.jobs.platform import Platform
from job.modelarts.mocked.jobs.request import JOB_NAME, read_job
from job.modelarts.mocked.jobs.search import search
from obs_sync.mock.protocol.signature import Credentials, sign_hmac_sha1
from obs_sync.mock.wire.messages import Request, Response

MOST_LINES = 500
_USUAL_LINES = 50
_URL_SECONDS = 300


class Context(NamedTuple):
    """What a call works on."""

    platform: Platform
    places: Places
    catalogue: Catalogue
    project: str
    region: str
    unique_names: bool            # whether a second job of the same name is refused
    endpoint: Callable[[], str]   # of this server
    credentials: Callable[[], Credentials]


class Call(NamedTuple):
    """One call. `run` takes the context, the request, its body, and the parts of the path."""

    name: str
    method: str
    path: Pattern[str]
    run: Callable[..., Response]
    parameters: FrozenSet[str]
    signed: bool = True


def _call(name: str, method: str, path: str, run: Callable[..., Response], parameters: str = "",
          signed: bool = True) -> Call:
    pattern = re.sub(r"{(\w+)}", r"(?P<\1>[^/]+)", path)
    return Call(name, method, re.compile(pattern), run, frozenset(parameters.split()), signed)


def create(context: Context, request: Request, body: bytes) -> Response:
    job_request = read_job(_json(body), context.catalogue, context.places)
    with context.platform.lock:
        if context.unique_names and _is_in_use(context, job_request.name):
            raise wrong(f"a training job with the name {job_request.name} exists")
        job = context.platform.create(job_request)
        return json_response(_document(context, job), 201)


def show(context: Context, request: Request, body: bytes, job_id: str) -> Response:
    with context.platform.lock:
        return json_response(_document(context, context.platform.find(job_id)))


def list_jobs(context: Context, request: Request, body: bytes) -> Response:
    content = _json(body)
    if not isinstance(content, dict):
        raise ModelArtsError(BROKEN_JSON)
    now, behind = context.platform.clock.now(), _behind(request)
    with context.platform.lock:
        jobs = [job for job in context.platform.jobs.values() if not behind or job.created <= now - behind]
        return json_response(search(jobs, content, now))


def stop(context: Context, request: Request, body: bytes, job_id: str) -> Response:
    content = _json(body)
    action = content.get("action_type") if isinstance(content, dict) else None
    if action != "terminate":
        raise wrong("action_type must be one of [terminate]")
    with context.platform.lock:
        job = context.platform.find(job_id)
        context.platform.terminate(job)
        return json_response(_document(context, job), 202)


def flavors(context: Context, request: Request, body: bytes) -> Response:
    kind = request.query.get("flavor_type")
    if kind is not None and kind not in FLAVOR_TYPES:
        raise ModelArtsError(WRONG_QUERY, f"flavor_type must be one of {' '.join(FLAVOR_TYPES)}")
    found = [flavor.document() for flavor in context.catalogue.flavors
             if not flavor.pool and kind in (None, flavor.type)]
    return json_response({"total_count": len(found), "flavors": found})


def engines(context: Context, request: Request, body: bytes) -> Response:
    found = [engine.document() for engine in context.catalogue.engines]
    return json_response({"total": len(found), "items": found})


def log_preview(context: Context, request: Request, body: bytes, job_id: str, task: str) -> Response:
    with context.platform.lock:
        found = _task(context, job_id, task)
        size = _visible(context, request, found)
        content = found.log.content(size, PREVIEW_BYTES)
    if getattr(request, "cut", False):
        content = cut_in_a_character(content)
    return json_response({"content": content.decode("utf-8", "replace"), "current_size": len(content),
                          "full_size": size})


def log_lines(context: Context, request: Request, body: bytes, job_id: str, task: str) -> Response:
    """Lines of the log. `start_line` is the number of the oldest one in the reply, and `end_line` is one more than that
    of the newest: `base_line=end_line&order=asc` asks for what follows, `base_line=start_line&order=desc` for what
    precedes."""
    order = request.query.get("order", "desc")
    if order not in ("asc", "desc"):
        raise ModelArtsError(WRONG_QUERY, "order must be asc or desc")
    most = _number(request, "lines", _USUAL_LINES, 1, MOST_LINES)
    base = _number(request, "base_line", None, 0, 10**18 * 9) if request.query.get("base_line") else None
    with context.platform.lock:
        found = _task(context, job_id, task)
        page = found.log.page(_visible(context, request, found), base, most, order == "asc")
    lines = page.lines if order == "asc" else [_ended(line) for line in reversed(page.lines)]
    content = b"".join(lines)
    if getattr(request, "cut", False):
        content = cut_in_a_character(content)
    return json_response({"start_line": str(page.start), "end_line": str(page.end), "lines": len(page.lines),
                          "content": content.decode("utf-8", "replace")})


def log_url(context: Context, request: Request, body: bytes, job_id: str, task: str) -> Response:
    """A temporary URL of the log, which `log_object` serves."""
    with context.platform.lock:
        found = _task(context, job_id, task)
        name = context.platform.find(job_id).log_object(found)
    path = f"/mock-log/{job_id}/{found.name}/{name}"
    expires = int(context.platform.clock.now()) + _URL_SECONDS
    signature = quote(_sign_url(context, path, str(expires)), safe="")
    return json_response({"obs_url": f"{context.endpoint()}{path}?AccessKeyId={context.credentials().access_key}"
                                     f"&Expires={expires}&Signature={signature}"})


def log_object(context: Context, request: Request, body: bytes, job_id: str, task: str, name: str) -> Response:
    expires = request.query.get("Expires", "")
    right = _sign_url(context, unquote(request.path), expires)
    if not expires.isdecimal() or not hmac.compare_digest(right, request.query.get("Signature", "")):
        raise ModelArtsError(NOT_AUTHENTICATED, "the signature of the URL is wrong", status=403)
    if int(expires) < context.platform.clock.now():
        raise ModelArtsError(NOT_AUTHENTICATED, "the URL has expired", status=403)
    with context.platform.lock:
        found = _task(context, job_id, task)
        content = found.log.content(_visible(context, request, found))
    if getattr(request, "cut", False):
        content = cut_in_a_character(content)
    return Response(200, {"Content-Type": "text/plain"}, content)


def events(context: Context, request: Request, body: bytes, job_id: str) -> Response:
    offset = _number(request, "offset", 0, 0, 10**9)
    limit = _number(request, "limit", 50, 1, 100)
    query = request.query
    order = query.get("order", "asc")
    with context.platform.lock:
        found = list(context.platform.find(job_id).events)
    found = [event for event in found
             if query.get("level") in (None, event.level) and query.get("pattern", "") in event.message
             and query.get("start_time", "") <= event_time(event.moment)
             and ("end_time" not in query or event_time(event.moment) <= query["end_time"])]
    if order == "desc":
        found.reverse()
    page = found[offset * limit:(offset + 1) * limit]
    return json_response({"total": len(found), "limit": limit, "offset": offset, "order": order,
                          "start_time": query.get("start_time", ""), "end_time": query.get("end_time", ""),
                          "events": event_documents(page)})


def validate_name(context: Context, request: Request, body: bytes) -> Response:
    name = request.query.get("job_name", "")
    if JOB_NAME.fullmatch(name) is None:
        raise ModelArtsError(WRONG_QUERY, f"job_name {name!r} must have 1 to 64 letters, digits, underscores, hyphens")
    with context.platform.lock:
        return json_response({"is_duplicate": _is_in_use(context, name)})


def projects(context: Context, request: Request, body: bytes) -> Response:
    """IAM: the project of a region, which has the region's name."""
    found = []
    if request.query.get("name", context.region) == context.region:
        found.append({"id": context.project, "name": context.region, "domain_id": "mockdomain",
                      "parent_id": "mockdomain", "is_domain": False, "enabled": True, "description": ""})
    return json_response({"projects": found, "links": {"self": f"{context.endpoint()}/v3/projects"}})


_JOBS = "/v2/{project}/training-jobs"
CALLS: Tuple[Call, ...] = (
    _call("CreateTrainingJob", "POST", _JOBS, create),
    _call("ShowTrainingJobDetails", "GET", _JOBS + "/{job_id}", show),
    _call("ListTrainingJobs", "POST", "/v2/{project}/training-job-searches", list_jobs),
    _call("StopTrainingJob", "POST", _JOBS + "/{job_id}/actions", stop),
    _call("ShowTrainingJobFlavors", "GET", "/v2/{project}/training-job-flavors", flavors, "flavor_type"),
    _call("ShowTrainingJobEngines", "GET", "/v2/{project}/training-job-engines", engines),
    _call("ShowTrainingJobLogsPreview", "GET", _JOBS + "/{job_id}/tasks/{task}/logs/preview", log_preview),
    _call("ShowTrainingJobLogsFromAom", "GET", _JOBS + "/{job_id}/logs/{task}", log_lines, "base_line lines order"),
    _call("ShowObsUrlOfTrainingJobLogs", "GET", _JOBS + "/{job_id}/tasks/{task}/logs/url", log_url),
    _call("ListTrainingJobEvents", "GET", _JOBS + "/{job_id}/events", events,
          "offset limit order start_time end_time level pattern"),
    _call("ValidateTrainingJobName", "GET", "/v2/{project}/training-job-names", validate_name,
          "job_name workspace_id"),
    _call("KeystoneListProjects", "GET", "/v3/projects", projects, "name"),
    _call("GetLogObject", "GET", "/mock-log/{job_id}/{task}/{name}", log_object, "AccessKeyId Expires Signature",
          signed=False),
)


def find_call(request: Request) -> Tuple[Optional[Call], Dict[str, str]]:
    """The call of a request, and the parts of its path. No call if the mock does not know it."""
    path = unquote(request.path)
    for call in CALLS:
        match = call.path.fullmatch(path[:-1] if path.endswith("/") else path)
        if match is not None and call.method == request.method:
            return call, match.groupdict()
    return None, {}


def run(call: Call, context: Context, request: Request, body: bytes, parts: Dict[str, str]) -> Response:
    """The reply to a call. Raises ModelArtsError."""
    project = parts.pop("project", context.project)
    if project != context.project:
        raise ModelArtsError(DENIED, f"the project {project} is not that of the AK")
    unknown = sorted(set(request.query) - call.parameters)
    if unknown:
        raise ModelArtsError(WRONG_QUERY, f"the mocked ModelArts does not know {', '.join(unknown)} of {call.name}")
    return call.run(context, request, body, **parts)


def _document(context: Context, job: Job) -> Dict[str, Any]:
    return job_document(job, context.platform.clock.now())


def _json(body: bytes) -> object:
    try:
        return json.loads(body.decode("utf-8"))
    except ValueError:
        raise ModelArtsError(BROKEN_JSON) from None


def _is_in_use(context: Context, name: str) -> bool:
    return any(job.request.name == name for job in context.platform.jobs.values())


def _task(context: Context, job_id: str, name: str) -> Task:
    task = context.platform.find(job_id).task(name)
    if task is None:
        raise wrong(f"the training job has no task {name}")
    return task


def _visible(context: Context, request: Request, task: Task) -> int:
    """The number of bytes of the log that this call shall see."""
    return task.log.visible(context.platform.clock.now(), _behind(request))


def _behind(request: Request) -> float:
    """Seconds by which the reply shall be behind the truth."""
    return getattr(request, "behind", 0.0)


def _number(request: Request, name: str, default: Optional[int], low: int, high: int) -> Any:
    text = request.query.get(name)
    if text is None:
        return default
    if not re.fullmatch(r"[0-9]{1,19}", text) or not low <= int(text) <= high:
        raise ModelArtsError(WRONG_QUERY, f"{name} {text!r} must be {low} to {high}")
    return int(text)


def _ended(line: bytes) -> bytes:
    return line if line.endswith(b"\n") else line + b"\n"


def _sign_url(context: Context, path: str, expires: str) -> str:
    return sign_hmac_sha1(context.credentials().secret_key, f"GET\n\n\n{expires}\n{path}")
