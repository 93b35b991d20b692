"""A ModelArts in memory: jobs are values, and a test moves them on by hand."""

from __future__ import annotations

from typing import Dict, List

from job.modelarts.errors import ModelArtsUnavailable, NoSuchJob
from job.modelarts.service import (
    COMPLETED,
    NO_LINES,
    PENDING,
    TERMINATING,
    Engine,
    Event,
    Flavor,
    Job,
    JobService,
    LogPart,
    Task,
)

FLAVOR = Flavor(id="modelarts.p3.large.public", name="Ascend: 1*ascend-910", kind="Ascend", cards=1,
                product="ascend-910", memory="32GB", most_nodes=2, billing_code="modelarts.vm.p3", billing_units=1)
ENGINE = Engine("ascend-tf", "Ascend-Powered-Engine", "tensorflow_1.15-cann_5.1.0-py_3.7-euler_2.8.3-aarch64",
                "swr/atelier/tf")
OTHER_ENGINES = [Engine(version, name, version, "swr/" + version) for name, version in (
    ("Ascend-Powered-Engine", "mindspore_1.7.0-cann_5.1.0"), ("PyTorch", "pytorch_1.8.0-cuda_10.2-py_3.7"),
    ("TensorFlow", "tensorflow_2.1.0-cuda_10.1"))]


class MemoryJobService(JobService):
    """Keeps every request in ``requests``, and every job in ``table``: id → Job, in the order of creation.

    before: what the next calls of ``create`` raise instead of creating (an exception), one a call; None creates.
    after: what they raise although they have created. outages: how often any other call fails from now on.
    """

    region, project = "cn-north-4", "project"

    def __init__(self) -> None:
        self.requests: List = []
        self.table: Dict[str, Job] = {}
        self.logs: Dict[str, List[str]] = {}
        self.recorded_events: Dict[str, List[Event]] = {}
        self.before: List = []
        self.after: List = []
        self.outages = 0

    def create(self, request):
        self.requests.append(request)
        trouble = self.before.pop(0) if self.before else None
        if trouble is not None:
            raise trouble
        number = len(self.table) + 1
        job = Job(id=f"id-{number}", name=request.name, phase=PENDING, created=1700000000.0 + number, duration=0.0,
                  tasks=tuple(Task(f"worker-{index}", None, "") for index in range(request.nodes)), records=(),
                  annotations=dict(request.annotations), parameters=dict(request.parameters),
                  inputs=dict(request.inputs), outputs=dict(request.outputs), code_dir=request.code_dir,
                  log_url=request.log_url, flavor=request.flavor, nodes=request.nodes,
                  description=request.description)
        self.table[job.id] = job
        self.logs[job.id] = []
        trouble = self.after.pop(0) if self.after else None
        if trouble is not None:
            raise trouble
        return job

    def move(self, job_id, phase, **changes):
        """Let the job be in another phase, with other ``changes`` of its fields."""
        self.table[job_id] = self.table[job_id]._replace(phase=phase, **changes)

    def end(self, job_id, code=0, phase=COMPLETED):
        """Let every task of the job end with ``code``."""
        tasks = tuple(task._replace(exit_code=code) for task in self.table[job_id].tasks)
        self.move(job_id, phase, tasks=tasks)

    def get(self, job_id):
        self._maybe_fail()
        if job_id not in self.table:
            raise NoSuchJob(f"no job {job_id!r}")
        return self.table[job_id]

    def jobs(self, name=""):
        self._maybe_fail()
        return iter([job for job in reversed(list(self.table.values())) if name in job.name])

    def stop(self, job_id):
        job = self.get(job_id)
        if not job.is_final:
            self.move(job_id, TERMINATING)
        return self.table[job_id]

    def lines(self, job_id, task, first, most=500):
        self.get(job_id)
        first = max(1, first)
        found = tuple(self.logs[job_id][first - 1:first - 1 + most])
        return LogPart(first, found, first + len(found) - 1) if found else NO_LINES

    def flavors(self, kind=""):
        self._maybe_fail()
        return [FLAVOR] if kind in ("", FLAVOR.kind) else []

    def engines(self):
        self._maybe_fail()
        return [ENGINE] + OTHER_ENGINES

    def events(self, job_id):
        self.get(job_id)
        return self.recorded_events.get(job_id, [])

    def is_name_free(self, name):
        self._maybe_fail()
        return all(job.name != name for job in self.table.values())

    def _maybe_fail(self):
        if self.outages:
            self.outages -= 1
            raise ModelArtsUnavailable("ModelArts cannot be reached", "memory")
