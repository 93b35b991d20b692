"""One mocked ModelArts: its server, its jobs, its OBS, and the settings that point clients at it."""
from __future__ import annotations

import os
import secrets
import shutil
import tempfile
import time
from typing import Dict, Iterable, List, Mapping, Optional

from job.modelarts.mocked import activation
from job.modelarts.mocked.calls import Context
from job.modelarts.mocked.catalogue import Catalogue
from job.modelarts.mocked.control import Control
from job.modelarts.mocked.jobs.clock import Clock
from job.modelarts.mocked.jobs.job import FINAL, Job
from job.modelarts.mocked.jobs.places import Places
from job.modelarts.mocked.jobs.platform import Platform
from job.modelarts.mocked.jobs.progress import ContainerFactory, Delays
from job.modelarts.mocked.service import Service
from obs_sync.mock.http.server import Server
from obs_sync.mock.journal import Journal, RequestRecord
from obs_sync.mock.mock_server import MockServer
from obs_sync.mock.mocked import MockObs
from obs_sync.mock.protocol.signature import Credentials

DEFAULT_PROJECT = "0123456789abcdef0123456789abcdef"
DEFAULT_REGION = "cn-north-4"
EVERYTHING = Catalogue()
USUAL_DELAYS = Delays()
_NO_HOST = "modelarts.invalid"   # requests have no bucket in the host name


class UnknownCalls(AssertionError):
    """A strict mocked ModelArts received calls that it does not know."""

    def __init__(self, records: List[RequestRecord]):
        super().__init__(f"the mocked ModelArts does not know {len(records)} calls, such as " + "; ".join(
            f"{record.method} /{record.key}" for record in records[:3]))
        self.records = records


class MockModelArts(MockServer):
    """A mocked ModelArts as a context manager or a decorator; `start` and `stop` do the same by hand.

    As a decorator it makes a new instance for each call of the function, which finds it with `current_modelarts()`.
    While it runs, os.environ has its `variables()`, which point the SDK and the OBS client at it.

    Args:
        root: directory of the buckets (`obs/`) and of the jobs (`modelarts/`). None: objects are kept in memory, and
            the jobs in a temporary directory.
        buckets: of its OBS, created at the start unless they exist.
        obs: a running mocked OBS to use; None starts one.
        credentials: the only identity that is accepted; by default that of the mocked OBS.
        project_id, region: of the account.
        port: 0 for any free one.
        obs_port: of the mocked OBS that it starts.
        catalogue: flavors, engines and pools.
        delays: how long the steps of a job take.
        frozen: whether the platform's time stands still, except for `advance`.
        containers: makes the containers; None for real ones.
        unique_names: whether a second job of the same name is refused.
        strict: whether the end of the `with` block, or of the decorated function, raises UnknownCalls if there were
            any.
    """

    decorator = "mock_modelarts"
    unknown = UnknownCalls

    def __init__(self, root: Optional[str] = None, buckets: Iterable[str] = (), obs: Optional[MockObs] = None,
                 credentials: Optional[Credentials] = None, project_id: str = DEFAULT_PROJECT,
                 region: str = DEFAULT_REGION, port: int = 0, obs_port: int = 0, catalogue: Catalogue = EVERYTHING,
                 delays: Delays = USUAL_DELAYS, frozen: bool = False, containers: Optional[ContainerFactory] = None,
                 unique_names: bool = False, strict: bool = True):
        options = dict(root=root, buckets=tuple(buckets), obs=obs, credentials=credentials, project_id=project_id,
                       region=region, port=port, obs_port=obs_port, catalogue=catalogue, delays=delays, frozen=frozen,
                       containers=containers, unique_names=unique_names, strict=strict)
        super().__init__(options, Journal(100000))
        self.project_id = project_id
        self.region = region
        self.token = secrets.token_hex(16)
        self.clock = Clock(frozen)
        self._own_obs = obs is None
        self.obs = obs if obs is not None else MockObs(
            None if root is None else os.path.join(root, "obs"), buckets, credentials, port=obs_port)
        self._credentials = credentials or self.obs.credentials
        self._service = Service(self._credentials, self._journal)
        self._platform: Optional[Platform] = None
        self._folder = ""

    # --- life

    def start(self) -> "MockModelArts":
        """Starts the server, and the mocked OBS unless one was given.

        Raises:
            OSError: a port is in use, or the root cannot be used.
            RootInUse: another mock serves the root.
            RuntimeError: this one runs already.
        """
        if self._server is not None:
            raise RuntimeError("this mocked ModelArts is running already; create another one")
        root = self._options["root"]
        if self._own_obs:
            self.obs.start()
        try:
            self._server = Server(self._service, _NO_HOST, self._options["port"])
        except BaseException:
            if self._own_obs:
                self.obs.stop()
            raise
        self._folder = tempfile.mkdtemp(prefix="mock-modelarts-") if root is None else os.path.join(root, "modelarts")
        self._platform = Platform(
            os.path.join(self._folder, "jobs"), self.obs, lambda: self.obs.variables({}),
            self._options["containers"], self.project_id, self._options["delays"], self.clock,
            self._service.strike, self._service.note)
        self._service.context = Context(
            self._platform, Places(self.obs), self._options["catalogue"], self.project_id, self.region,
            self._options["unique_names"], lambda: self.endpoint, lambda: self.credentials)
        self._service.control = Control(self).answer
        self._platform.start(self._options["catalogue"])
        self._server.start()
        activation.activate(self)
        return self

    def stop(self) -> None:
        """Ends all containers and stops the servers. Does nothing if it is not running."""
        if self._server is None:
            return
        activation.deactivate(self)
        self._server.stop()
        self._server = None
        self.platform.stop()
        if self._own_obs:
            self.obs.stop()
            activation.refresh(self)
        if self._options["root"] is None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def __repr__(self) -> str:
        return f"<MockModelArts {self.endpoint if self._server else '(not running)'} obs={self.obs!r}>"

    # --- settings of clients

    @property
    def endpoint(self) -> str:
        """URL of ModelArts, of IAM, and of the control interface."""
        if self._server is None:
            raise RuntimeError("this mocked ModelArts is not running")
        return f"http://127.0.0.1:{self._server.port}"

    @property
    def credentials(self) -> Credentials:
        """The only identity that is accepted. It may be replaced at any time; the mocked OBS keeps its own."""
        return self._credentials

    @credentials.setter
    def credentials(self, credentials: Credentials) -> None:
        self._credentials = self._service.signature.credentials = credentials
        if self._server is not None:
            activation.refresh(self)

    def variables(self, environ: Optional[Mapping[str, str]] = None) -> Dict[str, str]:
        """The environment variables that point a process at this mock, for its SDK and for its OBS client.

        Args:
            environ: its PYTHONPATH and NO_PROXY are kept and extended; by default os.environ.
        """
        known = dict(os.environ if environ is None else environ)
        variables = self.obs.variables(known)
        variables.update(activation.variables_of(self, dict(known, NO_PROXY=variables["NO_PROXY"])))
        return variables

    def environment(self, environ: Optional[Mapping[str, str]] = None) -> Dict[str, str]:
        """The whole environment of a child process: `environ`, by default os.environ, with `variables()` set."""
        base = dict(os.environ if environ is None else environ)
        variables = self.variables(base)
        whole = self.obs.environment(base)
        for name in activation.NAMES:
            whole.pop(name, None)
        whole.update(variables)
        return whole

    # --- jobs

    @property
    def platform(self) -> Platform:
        if self._platform is None:
            raise RuntimeError("this mocked ModelArts was not started")
        return self._platform

    @property
    def jobs(self) -> List[Job]:
        """All jobs, the oldest first."""
        with self.platform.lock:
            return list(self.platform.jobs.values())

    def advance(self, seconds: float) -> None:
        """Moves the platform's time ahead, and makes the jobs go on."""
        self.platform.advance(seconds)

    def wait(self, job_id: str, *phases: str, seconds: float = 30.0) -> str:
        """Waits until a job is in one of these phases, by default in a final one; returns the phase.

        Raises:
            TimeoutError: it is in another phase after these seconds.
        """
        deadline = time.monotonic() + seconds
        while True:
            if self.clock.frozen:
                self.platform.tick()
            phase = self.platform.find(job_id).phase
            if phase in (phases or FINAL):
                return phase
            if time.monotonic() > deadline:
                raise TimeoutError(f"the job {job_id} is {phase} after {seconds:g} s, "
                                   f"not {' or '.join(phases or FINAL)}")
            time.sleep(0.01)

    # --- requests; the journal also has the steps of jobs that had faults

    @property
    def unknown_requests(self) -> List[RequestRecord]:
        """Requests for calls that the mock does not know."""
        return [record for record in self.requests if record.operation == "Unknown"]

    @property
    def _running_service(self) -> Service:
        return self._service
