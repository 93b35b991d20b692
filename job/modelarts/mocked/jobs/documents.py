"""Jobs and events as replies show them."""
from __future__ import annotations

import time
from typing import Any, Dict, List

from job.modelarts.mocked.jobs.job import CREATING, PENDING, Event, Job, Record

USER = "mock-user"
_SECONDARY = {CREATING: "Creating", PENDING: "Queuing"}


def job_document(job: Job, now: float) -> Dict[str, Any]:
    """The reply to a call about one job. now: the platform's time."""
    request, flavor = job.request, job.request.flavor
    detail = flavor.document()
    spec: Dict[str, Any] = {"resource": {
        "policy": "regular", "flavor_id": flavor.id, "flavor_name": flavor.name, "node_count": request.nodes,
        "flavor_detail": {name: detail[name] for name in ("flavor_type", "billing", "flavor_info")}}}
    if request.pool is not None:
        spec["resource"]["pool_id"] = request.pool
    if request.log_url is not None:
        spec["log_export_path"] = {"obs_url": request.log_url}
    return {
        "kind": "job",
        "metadata": {"id": job.id, "name": request.name, "workspace_id": "0", "description": request.description,
                     "create_time": int(job.created * 1000), "user_name": USER,
                     "annotations": dict(request.annotations)},
        "status": status_document(job, now),
        "algorithm": {
            "code_dir": request.code_dir, "boot_file": request.boot_file, "engine": request.engine,
            "parameters": [{"name": name, "value": value} for name, value in request.parameters],
            "inputs": [_channel(name, url, "inputs") for name, url in request.inputs],
            "outputs": [_channel(name, url, "outputs") for name, url in request.outputs],
            "environments": [{name: value} for name, value in sorted(request.environments.items())]},
        "spec": spec,
    }


def status_document(job: Job, now: float) -> Dict[str, Any]:
    """Phase, tasks, exit codes and restarts of a job."""
    status: Dict[str, Any] = {
        "phase": job.phase, "secondary_phase": _SECONDARY.get(job.phase, job.phase),
        "duration": int(job.duration(now) * 1000), "tasks": [task.name for task in job.tasks],
        "task_statuses": [{"task": task.name, "exit_code": task.exit_code, "message": task.message}
                          for task in job.tasks if task.exit_code is not None],
        "running_records": [_record(record) for record in job.records]}
    if job.records:
        status["start_time"] = int(job.records[0].start * 1000)
    return status


def event_documents(events: List[Event]) -> List[Dict[str, Any]]:
    return [{"message": event.message, "level": event.level, "time": event_time(event.moment), "source": "Job"}
            for event in events]


def event_time(moment: float) -> str:
    """ISO 8601, UTC."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(moment))


def _channel(name: str, url: str, kind: str) -> Dict[str, Any]:
    return {"name": name, "local_dir": f"/home/ma-user/modelarts/{kind}/{name}_0", "access_method": "parameter",
            "remote": {"obs": {"obs_url": url}}}


def _record(record: Record) -> Dict[str, Any]:
    document: Dict[str, Any] = {"start_at": int(record.start), "start_type": record.start_type}
    if record.end is not None:
        document.update(end_at=int(record.end), end_reason=record.reason)
        if record.task is not None:
            document["end_related_task"] = record.task
        if record.recover is not None:
            document["end_recover"] = record.recover
    return document
