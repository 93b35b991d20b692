"""The base class of effects. `plan.py` says how to use them."""
from __future__ import annotations

import abc
import math
from dataclasses import dataclass
from typing import ClassVar, Dict, Optional, Union

from obs_sync.mock.wire.messages import Request, Response

FAULT_MESSAGE = "This fault was injected."
Amount = Union[int, float]  # int: a number of bytes or keys; float, 0.0 to 1.0: a share of them


class FaultError(ValueError):
    """A fault is malformed. The message says what is wrong, and what was expected."""


class Effect(abc.ABC):
    """What happens to a request that a rule picks. Derive your own effects from it."""

    @property
    @abc.abstractmethod
    def kind(self) -> str:
        """Its name in the journal and in the counts."""

    def before_handling(self, request: Request) -> Optional[Response]:
        """Like `FaultPlan.before_handling`. An effect that does something calls `request.note_fault(self.kind)`."""
        return None

    def before_reply(self, request: Request, response: Response) -> Response:
        """Like `FaultPlan.before_reply`. An effect that does something calls `request.note_fault(self.kind)`."""
        return response


@dataclass(frozen=True)
class Refusal(Effect):
    """The reply is an error, and the request is not handled. Each mocked service has its own document."""

    lowest: ClassVar[int] = 400

    status: int = 500
    code: Optional[str] = None            # of the document; None: the one that the service sends with this status
    retry_after: Optional[float] = None   # seconds, in a Retry-After header

    def __post_init__(self) -> None:
        if not self.lowest <= self.status <= 599:
            raise FaultError(f"status={self.status} is not an error: expected {self.lowest} to 599, such as 503")
        if self.retry_after is not None:
            check_seconds("retry-after", self.retry_after)

    @property
    def kind(self) -> str:
        return f"status={self.status}"

    def before_handling(self, request: Request) -> Optional[Response]:
        request.note_fault(self.kind)
        headers = {} if self.retry_after is None else {"Retry-After": f"{math.ceil(self.retry_after)}"}
        return self.reply(request, headers)

    @abc.abstractmethod
    def reply(self, request: Request, headers: Dict[str, str]) -> Response:
        """The error reply, with these headers."""


def share_of(amount: Amount, whole: int) -> int:
    """The number of bytes or keys that an amount of `whole` means."""
    return int(amount * whole) if isinstance(amount, float) else amount


def check_amount(name: str, amount: Amount) -> None:
    """Raises FaultError unless the amount is a whole number, or a share from 0.0 to 1.0."""
    if not (0.0 <= amount <= 1.0 if isinstance(amount, float) else amount >= 0):
        raise FaultError(f"{name}={amount}: expected a whole number, or a share with a decimal point, 0.0 to 1.0")


def check_seconds(name: str, seconds: float) -> None:
    """Raises FaultError unless the number is finite and not negative."""
    if not 0 <= seconds < float("inf"):
        raise FaultError(f"{name}={seconds}: expected seconds, 0 or more")
