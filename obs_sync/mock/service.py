"""From a request to its reply: find the operation, verify the signature, run the operation, record the request."""
from __future__ import annotations

import itertools
import logging
import time
from typing import Optional

from obs_sync.mock.errors import ObsError
from obs_sync.mock.faults.plan import FaultPlan
from obs_sync.mock.journal import Journal, RequestRecord
from obs_sync.mock.protocol import routes
from obs_sync.mock.protocol.operations import error_response
from obs_sync.mock.protocol.signature import Credentials, SignatureCheck
from obs_sync.mock.shelf.objects import ObjectStore
from obs_sync.mock.wire.messages import Request, Response

log = logging.getLogger(__name__)


class Service:
    """Answers requests. Many threads may call it at once.

    Attributes:
        signature: verifies requests; its credentials may be replaced at any time.
        faults: the plan that is called before each request is handled and before each reply is sent; may be replaced
            at any time.
    """

    def __init__(self, store: ObjectStore, credentials: Credentials, journal: Journal):
        self.store = store
        self.journal = journal
        self.faults = FaultPlan()
        self.signature = SignatureCheck(credentials)
        self._numbers = itertools.count(1)
        self._run = int(time.time() * 1000)

    def answer(self, request: Request) -> Response:
        """The reply to a request. Every exception becomes an error reply."""
        started = time.perf_counter()
        request.id = f"{self._run:016X}{next(self._numbers):016X}"
        operation = routes.find_operation(request)
        request.operation = operation.name if operation is not None else "Unknown"
        response = self.faults.before_handling(request)
        if response is None:
            response = self._handle(request, operation)
        response = self.faults.before_reply(request, response)
        response.headers[request.dialect.prefix + "request-id"] = request.id
        response.headers[request.dialect.prefix + "id-2"] = "mock" + request.id
        bytes_out = 0 if request.method == "HEAD" else response.length
        self.journal.add(RequestRecord(
            request.operation, request.method, request.bucket, request.key, request.query, response.status,
            response.code, request.body.received, bytes_out, time.perf_counter() - started,
            request.faults))
        return response

    def _handle(self, request: Request, operation: Optional[routes.Operation]) -> Response:
        try:
            if operation is None or operation.signed:
                self.signature.verify(request)
            request.check_names()
            routes.check_known(request, operation)
            return operation.run(self.store, request)
        except ObsError as error:
            if error.status >= 500:
                log.warning("%s %s: %s", request.method, request.resource, error)
            return error_response(request, error)
        except Exception as failure:
            log.exception("%s %s", request.method, request.resource)
            text = f"The mocked OBS failed: {type(failure).__name__}: {failure}"
            return error_response(request, ObsError("InternalError", text))
