"""A job to create, and the body of the request that creates it.

A dry run prints the very body that is sent. ModelArts writes places in OBS as /bucket/folder/; everything else here
writes obs://bucket/folder/.
"""

from __future__ import annotations

from typing import Any, Dict, Mapping, NamedTuple, Optional, Tuple

# Annotations of a job that `submit` creates.
RUN, TARGET, CODE = "masf/run", "masf/target", "masf/code"  # name of the run, its target domain, folder of its code
SUBMISSION = "masf/submission"  # a fresh id of each submission; a job whose creation had no reply is found by it
RETRIES = "fault-tolerance/job-retry-num"  # ModelArts' own: how often it restarts a failed job
NOTIFIED = ("JobStarted", "JobCompleted", "JobFailed", "JobTerminated", "JobRestarted", "JobHanged", "JobPreempted")


class JobRequest(NamedTuple):
    """A job to create.

    code_dir: folder in OBS with the code; boot_file: name of the file in it that ModelArts starts. engine: id, or
    ``name:version``, of an image that ModelArts provides. image: address of an image in SWR; engine is then the name of
    the engine whose way to start a boot file it has.
    parameters: name → value, what the boot file gets as --name=value. inputs: name → folder that the platform downloads
    before the start; outputs: name → folder that it synchronises; the boot file gets their local copies as parameters
    of these names. pool: of dedicated nodes, "" for the public pool. max_hours: after these ModelArts stops the job,
    None for never. retries: how often ModelArts restarts a job that failed. notify: URN of an SMN topic, or "".
    """

    name: str
    code_dir: str
    boot_file: str
    flavor: str
    engine: str = ""
    image: str = ""
    parameters: Tuple[Tuple[str, str], ...] = ()
    inputs: Tuple[Tuple[str, str], ...] = ()
    outputs: Tuple[Tuple[str, str], ...] = ()
    environment: Tuple[Tuple[str, str], ...] = ()
    annotations: Tuple[Tuple[str, str], ...] = ()
    description: str = ""
    nodes: int = 1
    pool: str = ""
    log_url: str = ""
    max_hours: Optional[int] = None
    retries: int = 0
    notify: str = ""

    def body(self) -> Dict[str, Any]:
        """The JSON object that POST /v2/{project_id}/training-jobs takes."""
        code_dir = platform_place(self.code_dir)
        annotations = dict(self.annotations)
        if self.retries:
            annotations[RETRIES] = str(self.retries)
        algorithm: Dict[str, Any] = {
            "code_dir": code_dir,
            "boot_file": code_dir + self.boot_file,
            "engine": self._engine(),
            "parameters": [{"name": name, "value": value} for name, value in self.parameters],
        }
        if self.inputs:
            algorithm["inputs"] = [_channel(name, place) for name, place in self.inputs]
        if self.outputs:
            algorithm["outputs"] = [_channel(name, place) for name, place in self.outputs]
        if self.environment:
            algorithm["environments"] = dict(self.environment)
        resource: Dict[str, Any] = {"flavor_id": self.flavor, "node_count": self.nodes}
        if self.pool:
            resource["pool_id"] = self.pool
        spec: Dict[str, Any] = {"resource": resource}
        if self.log_url:
            spec["log_export_path"] = {"obs_url": platform_place(self.log_url)}
        if self.max_hours is not None:
            spec["auto_stop"] = {"time_unit": "HOURS", "duration": self.max_hours}
        if self.notify:
            spec["notification"] = {"topic_urn": self.notify, "events": list(NOTIFIED)}
        return {"kind": "job",
                "metadata": {"name": self.name, "description": self.description, "annotations": annotations},
                "algorithm": algorithm, "spec": spec}

    def _engine(self) -> Mapping[str, str]:
        if self.image:
            return {"image_url": self.image, "engine_name": self.engine}
        name, colon, version = self.engine.partition(":")
        return {"engine_name": name, "engine_version": version} if colon else {"engine_id": self.engine}


def _channel(name: str, place: str) -> Dict[str, Any]:
    return {"name": name, "remote": {"obs": {"obs_url": platform_place(place)}}}


def platform_place(place: str) -> str:
    """``obs://bucket/folder/`` as ModelArts writes it: ``/bucket/folder/``."""
    return "/" + place.partition("://")[2]
