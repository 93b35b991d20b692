"""All ranks stop after the same iteration: if one stopped alone, the others would wait for it."""
from __future__ import annotations

import signal

from job.stopping import StopRequest
from masf_core.ranks.one_rank import NeverStop


class AgreedStop(NeverStop):
    """What ``masf_core`` asks and tells; see ``NeverStop``.

    Args:
        request: ``StopRequest`` of this process. It is held until every rank knows that one was asked to stop.
    """

    def __init__(self, request: StopRequest) -> None:
        self._request = request

    def wanted(self) -> bool:
        return self._request.requested

    def note(self, wanted: bool) -> None:
        if wanted:
            if not self._request.requested:
                self._request.note(signal.SIGTERM)
            self._request.release()
