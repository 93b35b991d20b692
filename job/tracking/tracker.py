"""What every experiment tracker can do. A tracked run is known by its identity, which does not change."""
from __future__ import annotations

import abc
from typing import Mapping, NamedTuple, Optional, Sequence, Set


class Point(NamedTuple):
    """One value of a metric. step: iteration. moment: milliseconds since 1970."""

    name: str
    value: float
    step: int
    moment: int


class Present(NamedTuple):
    """What the tracker has of a run. key: its own name of the run. status: RUNNING, FINISHED, FAILED or KILLED."""

    key: str
    status: str
    params: Mapping[str, str]
    tags: Mapping[str, str]
    metrics: Set[str]  # names


class Tracker(abc.ABC):
    """A tracker. All methods raise StoreUnavailable if it does not answer or refuses, ConfigError for wrong settings.
    """

    longest_param: int  # characters

    @abc.abstractmethod
    def find(self, identity: str) -> Optional[Present]:
        """The run with this identity, None where there is none."""

    @abc.abstractmethod
    def create(self, identity: str, name: str, started: int) -> Present:
        """A new run. name: that people see. started: milliseconds since 1970."""

    @abc.abstractmethod
    def steps(self, key: str, metric: str) -> Set[int]:
        """The steps at which the metric has a value."""

    @abc.abstractmethod
    def write(self, key: str, points: Sequence[Point], params: Mapping[str, str], tags: Mapping[str, str]) -> None:
        """Add. Parameters must be new; a tag may replace one."""

    @abc.abstractmethod
    def upload(self, key: str, path: str) -> None:
        """Add a local file under its own name, or replace it."""

    @abc.abstractmethod
    def end(self, key: str, status: str, moment: Optional[int]) -> None:
        """Set the status. moment: milliseconds since 1970 of its end; None while it is running."""

    @abc.abstractmethod
    def where(self, key: str) -> str:
        """Where people find the run."""


