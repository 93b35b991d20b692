"""What every mocked service is: a context manager and a decorator, with a record of its requests and a plan of faults.
"""
from __future__ import annotations

import abc
import functools
import inspect
from typing import Any, Callable, Dict, List, Optional, Type, TypeVar

from obs_sync.mock.faults.plan import FaultPlan
from obs_sync.mock.http.server import Server
from obs_sync.mock.journal import Journal, RequestRecord

Self = TypeVar("Self", bound="MockServer")


class MockServer(abc.ABC):
    """A mocked service on loopback. `start` and `stop` do by hand what a `with` block does.

    As a decorator it makes a new instance for each call of the function.

    Args:
        options: arguments of the constructor. With `strict`, the end of the `with` block, or of the decorated function,
            raises `unknown` if there were unknown requests.
        journal: of its requests.
    """

    decorator = ""  # its name as a decorator, for messages
    unknown: Type[Exception] = AssertionError  # called with the unknown requests

    def __init__(self, options: Dict[str, Any], journal: Journal) -> None:
        self._options = options
        self._journal = journal
        self._server: Optional[Server] = None

    @abc.abstractmethod
    def start(self: Self) -> Self:
        """Starts the server. Raises RuntimeError if it runs already."""

    @abc.abstractmethod
    def stop(self) -> None:
        """Stops the server. Does nothing if it is not running."""

    def __enter__(self: Self) -> Self:
        return self.start()

    def __exit__(self, kind: Optional[type], *_: object) -> None:
        self.stop()
        if self._options["strict"] and kind is None and self.unknown_requests:
            raise self.unknown(self.unknown_requests)

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        if inspect.isclass(function) or inspect.isgeneratorfunction(function) \
                or inspect.iscoroutinefunction(function):
            raise TypeError(f"{self.decorator} decorates plain functions; use a with statement in {function!r}")

        @functools.wraps(function)
        def mocked(*args, **kwargs):
            with type(self)(**self._options):
                return function(*args, **kwargs)

        return mocked

    # --- requests

    @property
    def requests(self) -> List[RequestRecord]:
        """The latest requests, oldest first; and what else the mock records."""
        return self._journal.records()

    @property
    def counts(self) -> Dict[str, int]:
        """Name of a call, e.g. "GetObject", to the number of requests; 0 for a call that was never made."""
        return self._journal.counts()

    def forget_requests(self) -> None:
        """Empties the journal, and keeps everything else."""
        self._journal.clear()

    @property
    @abc.abstractmethod
    def unknown_requests(self) -> List[RequestRecord]:
        """Requests that the mock does not know."""

    @property
    def injected(self) -> Dict[str, int]:
        """Kind of fault, e.g. "cut" or "status=503", to the number of times it was injected; 0 for any other kind."""
        return self._journal.injected()

    @property
    def faults(self) -> FaultPlan:
        """The plan that is called for every request; set another one, such as a `Faults`, to inject faults."""
        return self._running_service.faults

    @faults.setter
    def faults(self, plan: FaultPlan) -> None:
        self._running_service.faults = plan

    @property
    @abc.abstractmethod
    def _running_service(self) -> Any:
        """What answers requests, with the attribute `faults`. Raises RuntimeError if there is none yet."""
