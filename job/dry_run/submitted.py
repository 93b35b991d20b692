"""From settings to a job of the mocked platform, and until that job has ended."""
from __future__ import annotations

import contextlib
import signal
import textwrap
import time
from typing import List, Mapping, Sequence

from job.config.settings import Config
from job.config.submit_options import SubmitOptions
from job.console import Console
from job.dry_run.bucket import say
from job.dry_run.hints import quoted
from job.exits import INTERRUPTED, STOPPED
from job.modelarts import submission
from job.modelarts.code import collect_code
from job.modelarts.errors import RequestRefused
from job.modelarts.follow import follow
from job.modelarts.request import JobRequest, platform_place
from job.modelarts.service import Job, JobService
from job.printable import printable
from job.reports.events import Event, print_events
from job.stopping import Stopped, StopRequest
from masf_core.words import plural

FLAVOR = "modelarts.vm.cpu.8u"
ENGINE = "TensorFlow:tensorflow_2.1.0-cuda_10.1-py_3.7-ubuntu_18.04-x86_64"  # in its place, this interpreter starts
PAUSE, QUIET = 0.25, 0.5  # seconds from one look to the next, and without a new line after the end of a job
LATE = 4.0  # the latter where the platform may show the log late
GRACE = 25.0  # seconds from a request to stop until the dry run ends without the job: more than the platform waits
# Beginnings of variables of this shell that a job gets too: they choose cores and cards, and what TensorFlow logs.
PASSED_ON = ("CUDA_", "OMP_", "TF_CPP_", "TF_CUDNN_", "TF_DETERMINISTIC_", "TF_ENABLE_", "TF_FORCE_", "TF_GPU_",
             "TF_NUM_", "TF_XLA_")
WIDTH = 100  # columns of the request


def submit(config: Config, service: JobService, environ: Mapping[str, str], retries: int, console: Console) -> Job:
    """Print the request of a job, and submit it as `python -m job submit` does.

    Args:
        environ: variables that reach OBS; those that begin as ``PASSED_ON`` says go to the job. retries: how often the
            platform restarts the job.

    Raises:
        ModelArtsError, StoreError.
    """
    options = SubmitOptions(flavor=FLAVOR, engine=ENGINE, retries=retries)
    plan = submission.make_plan(config, options, collect_code(), service)
    plan = plan._replace(request=plan.request._replace(
        environment=tuple((name, value) for name, value in sorted(environ.items()) if name.startswith(PASSED_ON))))
    say("submitting the job to the mocked ModelArts:\n" + "\n".join(described(plan.request, len(plan.code.files))))
    return submission.submit(plan, service, environ, console)


def described(request: JobRequest, files: int) -> List[str]:
    """The request for people: what `python -m job submit --dry-run` prints as JSON."""
    lines = [("name", request.name), ("code", f"{platform_place(request.code_dir)} ({files} files)"),
             ("boot file", request.boot_file), ("flavor", f"{request.flavor}, {plural(request.nodes, 'node')}")]
    if request.retries:
        lines.append(("restarts", f"up to {request.retries}"))
    for what, pairs in (("environment", request.environment), ("parameters", request.parameters)):
        text = "  ".join(quoted(f"{name}={value}") for name, value in pairs)
        lines += [(what if number == 0 else "", line) for number, line in enumerate(textwrap.wrap(
            text, WIDTH, break_long_words=False, break_on_hyphens=False))]
    lines.append(("log", platform_place(request.log_url)))
    return [f"  {what:<12}  {printable(value)}" for what, value in lines]


def attend(service: JobService, job: Job, patient: bool) -> int:
    """Print the phases and the log of the job until it has ended. SIGTERM and Ctrl-C stop the job first.

    Args:
        patient: whether the platform may show the log late.

    Returns:
        The exit code of the job; ``INTERRUPTED`` where Ctrl-C has stopped it.

    Raises:
        ModelArtsError: the mocked platform refuses what it should not.
    """
    with StopRequest(grace=GRACE) as stop:
        stopping = Stopping(service, job, stop)
        code = follow(service, job.id, tell=tell, pause=PAUSE, settle=LATE if patient else QUIET, sleep=stopping.sleep)
        return INTERRUPTED if stopping.by_keyboard and code == STOPPED else code


class Stopping:
    """Stops the job once, when this process is asked to stop.

    Attributes:
        by_keyboard: whether the request was Ctrl-C.
    """

    def __init__(self, service: JobService, job: Job, stop: StopRequest) -> None:
        self._service, self._job, self._stop = service, job, stop
        self._asked = False
        self.by_keyboard = False

    def sleep(self, seconds: float) -> None:
        """Wait, and look meanwhile whether to stop."""
        end = time.monotonic() + seconds
        while True:
            time.sleep(max(0.0, min(PAUSE, end - time.monotonic())))
            self._stop_if_asked()
            if time.monotonic() >= end:
                return

    def _stop_if_asked(self) -> None:
        if self._asked:
            return
        try:
            self._stop.check()
        except Stopped as stopped:
            self._asked, self.by_keyboard = True, stopped.signum == signal.SIGINT
            say("stopping the job; it has 15 s to save what it can")
            with contextlib.suppress(RequestRefused):  # it has just ended
                self._service.stop(self._job.id)


def tell(events: Sequence[Event]) -> None:
    """Print what is new of the job: its log as it is, and everything else as a step of the dry run."""
    for event in events:
        if not event.aside:
            print_events([event])
        elif event.kind != "end":  # which the dry run tells with the time
            say("\n".join(event.lines))
