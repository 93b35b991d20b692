"""From a request to its reply: route, verify, run, record."""
from __future__ import annotations

import itertools
import logging
import time
from typing import Optional

from obs_sync.mock import routes, xml
from obs_sync.mock.errors import ObsError
from obs_sync.mock.faults import FaultPlan
from obs_sync.mock.journal import Journal, RequestRecord
from obs_sync.mock.messages import Request, Response
from obs_sync.mock.objects import ObjectStore
from obs_sync.mock.signature import Credentials, SignatureCheck

log = logging.getLogger(__name__)


class Service:
    """Answers requests. Safe to call from many threads at once.

    Attributes:
        faults: the plan asked before each request is handled and before each reply; may be replaced any time.
    """

    def __init__(self, store: ObjectStore, credentials: Credentials, journal: Journal):
        self.store = store
        self.journal = journal
        self.faults = FaultPlan()
        self._signature = SignatureCheck(credentials)
        self._numbers = itertools.count(1)
        self._run = int(time.time() * 1000)

    def answer(self, request: Request) -> Response:
        """The reply to a request; whatever goes wrong becomes an error reply."""
        started = time.perf_counter()
        request_id = f"{self._run:016X}{next(self._numbers):016X}"
        operation = routes.find_operation(request)
        request.operation = operation.name if operation is not None else "Unknown"
        response = self.faults.before_handling(request)
        if response is None:
            response = self._handle(request, operation, request_id)
        response = self.faults.before_reply(request, response)
        response.headers[request.dialect.prefix + "request-id"] = request_id
        response.headers[request.dialect.prefix + "id-2"] = "mock" + request_id
        bytes_out = 0 if request.method == "HEAD" else response.length
        self.journal.add(RequestRecord(
            request.operation, request.method, request.bucket, request.key, request.query, response.status,
            response.code, request.body.received, bytes_out, time.perf_counter() - started))
        return response

    def _handle(self, request: Request, operation: Optional[routes.Operation], request_id: str) -> Response:
        try:
            if operation is None or operation.signed:
                self._signature.verify(request)
            routes.check_known(request, operation)
            request.check_key()
            return operation.run(self.store, request)
        except ObsError as error:
            if error.status >= 500:
                log.warning("%s %s: %s", request.method, request.resource, error)
            return error_response(request, error, request_id)
        except Exception as failure:
            log.exception("%s %s", request.method, request.resource)
            text = f"The mocked OBS failed: {type(failure).__name__}: {failure}"
            return error_response(request, ObsError("InternalError", text), request_id)


def error_response(request: Request, error: ObsError, request_id: str = "") -> Response:
    """The reply that an error is."""
    body = b""
    headers = dict(error.headers)
    if request.method != "HEAD" and error.status != 304:
        headers["Content-Type"] = "application/xml"
        body = xml.document("Error", [
            ("Code", error.code), ("Message", error.message), ("RequestId", request_id),
            ("HostId", "mock" + request_id), ("Resource", request.resource)] + list(error.details))
    return Response(error.status, headers, body, code=error.code)
