"""The errors of the job itself; those of the method and of the storage are in their packages."""

from __future__ import annotations

from typing import Iterable, List, Union

from masf_core.errors import DataError, WeightsError


class JobError(Exception):
    """Base of every error that this package raises on purpose."""


class ConfigError(JobError, ValueError):
    """The configuration, or the environment it is used in, cannot be what was meant.

    problems: every problem that was found, one sentence each, not only the first.
    """

    def __init__(self, problems: Union[str, Iterable[str]]) -> None:
        self.problems: List[str] = [problems] if isinstance(problems, str) else list(problems)
        if len(self.problems) == 1:
            super().__init__(self.problems[0])
        else:
            lines = [f"{len(self.problems)} problems in the configuration:"]
            super().__init__("\n".join(lines + ["  - " + problem for problem in self.problems]))


class NoSuchPlace(Exception):
    """A folder or file that somebody named does not exist. Whatever it was for, the exit code is the storage's."""


class NoSuchFolder(NoSuchPlace, ConfigError):
    """One that a command line names."""


class NoSuchData(NoSuchPlace, DataError):
    """One that holds images or lists."""


class NoSuchWeights(NoSuchPlace, WeightsError):
    """One that holds weights."""


class PeerFailed(JobError):
    """Another process of the job has failed, so this one cannot go on.

    code: the exit code of that process, with which this one ends too, so that whichever is looked at tells the reason.
    """

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code
