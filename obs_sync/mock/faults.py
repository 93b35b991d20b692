"""Where trouble is made on purpose."""
from __future__ import annotations

from typing import Optional

from obs_sync.mock.messages import Request, Response


class FaultPlan:
    """Called for every request. This one makes no trouble; derive from it and set it as `mock.faults`.

    Both methods run in the thread that serves the request, so they may sleep, and many run at once.
    """

    def before_handling(self, request: Request) -> Optional[Response]:
        """After the headers were read, before the signature is checked and anything is done.

        Returns:
            a reply to send instead of handling the request, or None.
        """
        return None

    def before_reply(self, request: Request, response: Response) -> Response:
        """After the request was handled, so that what it stores is stored, before anything is sent.

        Returns:
            the reply to send: `response` itself, changed or not, or another.
        """
        return response
