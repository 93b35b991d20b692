"""What happens to a call or to a job that a rule picks. `language.py` says how to use them."""
from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Dict, Optional, Tuple

from job.modelarts.mocked.errors import FAILED, OVER_QUOTA, THROTTLED, ModelArtsError, error_response
from job.modelarts.mocked.faults.steps import RUN, SCHEDULE, UPLOAD, Blow
from obs_sync.mock.faults.effect import FAULT_MESSAGE, Effect, FaultError, Refusal, check_seconds
from obs_sync.mock.wire.messages import Request, Response

_CODES = {429: THROTTLED, 502: "APIG.0202", 504: "APIG.0201"}
LOG_CALLS = ("ShowTrainingJobLogsFromAom", "ShowTrainingJobLogsPreview", "ShowObsUrlOfTrainingJobLogs", "GetLogObject")


@dataclass(frozen=True)
class Status(Refusal):
    """The reply is an error, and the call is not handled. Without a `code` it is the one that the gateway sends."""

    def reply(self, request: Request, headers: Dict[str, str]) -> Response:
        error = ModelArtsError(self.code or _CODES.get(self.status, FAILED), message=FAULT_MESSAGE, status=self.status)
        return error_response(error, headers)


@dataclass(frozen=True)
class Quota(Effect):
    """The account may have no more jobs."""

    operations: ClassVar[Tuple[str, ...]] = ("CreateTrainingJob",)

    kind = "quota"

    def before_handling(self, request: Request) -> Optional[Response]:
        request.note_fault(self.kind)
        return error_response(ModelArtsError(OVER_QUOTA, "number of training jobs"))


@dataclass(frozen=True)
class Behind(Effect):
    """A call for the log shows it as it was some seconds ago. A search does not find jobs that are younger."""

    operations: ClassVar[Tuple[str, ...]] = LOG_CALLS + ("ListTrainingJobs",)

    seconds: float = 5.0

    kind = "behind"

    def __post_init__(self) -> None:
        check_seconds(self.kind, self.seconds)

    def before_handling(self, request: Request) -> Optional[Response]:
        request.note_fault(self.kind)
        request.behind = self.seconds  # type: ignore[attr-defined]
        return None


@dataclass(frozen=True)
class CutCharacter(Effect):
    """The log ends in the middle of its last character that has several bytes: in the reply to a call, or in the object
    in OBS."""

    operations: ClassVar[Tuple[str, ...]] = LOG_CALLS + (UPLOAD,)

    kind = "cut-character"

    def before_handling(self, request: Any) -> Optional[Response]:
        request.note_fault(self.kind)
        request.cut = True
        return None


@dataclass(frozen=True)
class Waiting(Effect):
    """The job stays Pending for some seconds longer; inf: for ever."""

    operations: ClassVar[Tuple[str, ...]] = (SCHEDULE,)

    seconds: float

    kind = "pending"

    def __post_init__(self) -> None:
        if not self.seconds >= 0:
            raise FaultError(f"pending={self.seconds}: expected seconds, 0 or more, or inf")

    def before_handling(self, request: Any) -> Optional[Response]:
        request.note_fault(self.kind)
        request.waiting += self.seconds
        return None


@dataclass(frozen=True)
class Struck(Effect):
    """Something happens to the running job, some seconds after its containers started. With `log`: some seconds after
    a line of the log, since then, had this text."""

    operations: ClassVar[Tuple[str, ...]] = (RUN,)

    seconds: float
    log: Optional[str] = None

    def __post_init__(self) -> None:
        check_seconds(self.kind, self.seconds)

    def before_handling(self, request: Any) -> Optional[Response]:
        request.blows += (Blow(self.kind, self.seconds, self.log),)  # noted when it happens
        return None


@dataclass(frozen=True)
class Kill(Struck):
    """The processes of the container are killed. The platform can restart them in the same container."""

    kind = "kill"


@dataclass(frozen=True)
class LoseNode(Struck):
    """The node is lost with its disk. The platform can start a new container."""

    kind = "lose-node"


@dataclass(frozen=True)
class Preempt(Struck):
    """Another job takes the node: SIGTERM, and SIGKILL after the grace. The job waits and gets a new container."""

    kind = "preempt"


@dataclass(frozen=True)
class Lost(Struck):
    """The platform loses the job, which becomes Abnormal."""

    kind = "abnormal"
