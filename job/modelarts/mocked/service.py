"""From a request to its reply: find the call, verify the signature, run the call, record the request."""
from __future__ import annotations

import logging
import time
import uuid
from typing import Callable, Dict, Optional

from job.modelarts.mocked.calls import Call, Context, find_call, run
from job.modelarts.mocked.errors import BROKEN_JSON, FAILED, UNKNOWN_CALL, ModelArtsError, error_response
from job.modelarts.mocked.faults.steps import Step
from job.modelarts.mocked.signature import SignatureCheck
from obs_sync.mock.errors import ObsError
from obs_sync.mock.faults.plan import FaultPlan
from obs_sync.mock.journal import Journal, RequestRecord
from obs_sync.mock.protocol.signature import Credentials
from obs_sync.mock.wire.messages import Request, Response

log = logging.getLogger(__name__)

_MOST_BODY = 1024 * 1024  # bytes
CONTROL = "/_mock/"       # what is below is for whoever runs the mock: no fault, no signature, not recorded


class Service:
    """Answers requests. Many threads may call it at once.

    Attributes:
        signature: verifies requests; its credentials may be replaced at any time.
        faults: the plan that is called for each request and for each step of a job; may be replaced at any time.
        control: answers the requests below `/_mock/`.
    """

    def __init__(self, credentials: Credentials, journal: Journal):
        self.journal = journal
        self.faults = FaultPlan()
        self.signature = SignatureCheck(credentials)
        self.context: Optional[Context] = None
        self.control: Optional[Callable[[Request], Response]] = None

    def answer(self, request: Request) -> Response:
        """The reply to a request. Every exception becomes an error reply."""
        request.id = uuid.uuid4().hex
        if request.path.startswith(CONTROL) and self.control is not None:
            return self.control(request)
        started = time.perf_counter()
        call, parts = find_call(request)
        request.operation = "Unknown" if call is None else call.name
        request.bucket = parts.get("project", "")
        request.key = request.path.split("/", 3)[-1] if "project" in parts else request.path[1:]
        response = self.faults.before_handling(request)
        if response is None:
            response = self._handle(request, call, parts)
        response = self.faults.before_reply(request, response)
        response.headers["X-Request-Id"] = request.id
        self.journal.add(RequestRecord(
            request.operation, request.method, request.bucket, request.key, request.query, response.status,
            response.code, request.body.received, response.length, time.perf_counter() - started, request.faults))
        return response

    def strike(self, step: Step) -> None:
        """Lets the faults change a step of a job."""
        self.faults.before_handling(step)  # type: ignore[arg-type]  # a step has what rules look at

    def note(self, step: Step) -> None:
        """Records a step that had faults."""
        self.journal.add(RequestRecord(step.operation, "", step.bucket, step.key, step.query, 0, None, 0, 0, 0.0,
                                       step.faults))

    def _handle(self, request: Request, call: Optional[Call], parts: Dict[str, str]) -> Response:
        assert self.context is not None
        try:
            body = _body_of(request)
            if call is None or call.signed:
                self.signature.verify(request, body, time.time() + self.context.platform.clock.skew)
            if call is None:
                raise ModelArtsError(UNKNOWN_CALL, message="The API does not exist or has not been published in the "
                                     f"environment: the mocked ModelArts does not know {request.method} {request.path}",
                                     status=404)
            return run(call, self.context, request, body, parts)
        except ModelArtsError as error:
            return error_response(error)
        except Exception as failure:
            log.exception("%s %s", request.method, request.path)
            return error_response(ModelArtsError(FAILED, f"{type(failure).__name__}: {failure}"))


def _body_of(request: Request) -> bytes:
    try:
        return request.body.read(_MOST_BODY)
    except ObsError as error:  # it is too long, or ends early
        raise ModelArtsError(BROKEN_JSON, message=f"Invalid JSON request body. {error.message}", status=400) from None
