"""What every effect of a fault is. `plan.py` says how to use them."""
from __future__ import annotations

import abc
from typing import Optional, Union

from obs_sync.mock.wire.messages import Request, Response

Amount = Union[int, float]  # int: so many bytes or keys; float, 0.0 to 1.0: a share of them


class FaultError(ValueError):
    """A fault that cannot be: what is wrong, and what was expected."""


class Effect(abc.ABC):
    """What happens to a request that a rule picked. Derive from it for effects of your own."""

    @property
    @abc.abstractmethod
    def kind(self) -> str:
        """What the journal and the counts call it."""

    def before_handling(self, request: Request) -> Optional[Response]:
        """As `FaultPlan.before_handling`; calls `request.note_fault(self.kind)` when it does something."""
        return None

    def before_reply(self, request: Request, response: Response) -> Response:
        """As `FaultPlan.before_reply`; calls `request.note_fault(self.kind)` when it does something."""
        return response


def share_of(amount: Amount, whole: int) -> int:
    """The bytes or keys that an amount is of so many."""
    return int(amount * whole) if isinstance(amount, float) else amount


def check_amount(name: str, amount: Amount) -> None:
    if not (0.0 <= amount <= 1.0 if isinstance(amount, float) else amount >= 0):
        raise FaultError(f"{name}={amount}: expected a whole number, or a share with a point, 0.0 to 1.0")


def check_seconds(name: str, seconds: float) -> None:
    if not 0 <= seconds < float("inf"):
        raise FaultError(f"{name}={seconds}: expected seconds, 0 or more")
