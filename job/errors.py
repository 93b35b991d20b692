"""The errors of the job itself; those of the method and of the storage are in their packages."""

from __future__ import annotations

from typing import Iterable, List, Optional, Union

from masf_core.errors import DataError, WeightsError


class JobError(Exception):
    """Base of every error that this package raises on purpose."""


class ConfigError(JobError, ValueError):
    """The configuration, or the environment of the job, is wrong.

    problems: all problems that were found, one sentence each.
    """

    def __init__(self, problems: Union[str, Iterable[str]]) -> None:
        self.problems: List[str] = [problems] if isinstance(problems, str) else list(problems)
        if len(self.problems) == 1:
            super().__init__(self.problems[0])
        else:
            lines = [f"{len(self.problems)} problems in the configuration:"]
            super().__init__("\n".join(lines + ["  - " + problem for problem in self.problems]))


class NoSuchPlace(Exception):
    """A folder or file that somebody named does not exist. Its exit code is the one of storage, whatever it was for."""


class NoSuchFolder(NoSuchPlace, ConfigError):
    """A folder or file on a command line does not exist."""


class NoSuchData(NoSuchPlace, DataError):
    """A folder of images or lists does not exist."""


class NoSuchWeights(NoSuchPlace, WeightsError):
    """A file of weights does not exist."""


class CannFailed(JobError):
    """The Ascend adapter, or CANN below it, failed. The message holds the last errors of CANN's own logs."""


class ModelArtsError(JobError):
    """ModelArts refused a request, or could not be reached. ``modelarts.errors`` has the kinds."""

    def __init__(self, what: str, where: Optional[str] = None, mend: Optional[str] = None) -> None:
        """``what`` happened, ``where``, how to ``mend`` it: each without a full stop."""
        message = what if where is None else f"{what}: {where}"
        super().__init__(message if mend is None else f"{message}. {mend}.")
        self.what = what
        self.where = where
        self.mend = mend


class PeerFailed(JobError):
    """Another process of the job has failed, so this one cannot go on.

    code: the exit code of that process. This process ends with the same one, so that each of them tells the reason.
    """

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code
