"""The base class of effects. `plan.py` says how to use them."""
from __future__ import annotations

import abc
from typing import Optional, Union

from obs_sync.mock.wire.messages import Request, Response

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
