"""What the steps of a run hand on to each other."""
from __future__ import annotations

from typing import NamedTuple, Union

from job.config.settings import Config
from job.console import Console
from job.publication.run_record import RunRecord
from job.ranks.group import Alone
from job.start_times import StartTimes
from job.workspace import Workspace
from obs_sync import Store


class Run(NamedTuple):
    """A run that may be written to."""

    config: Config
    workspace: Workspace
    console: Console
    store: Store  # guarded by the lease
    record: RunRecord
    times: StartTimes
    group: Alone  # or ``Group``, of which this process is rank 0

    def resumes(self) -> bool:
        """Whether the run resumes: it needs no weights then, unless its checkpoints turn out to be damaged."""
        return self.record.content.get("data") is not None


class Followed(NamedTuple):
    """The same run in a process that is not rank 0: what it needs to prepare data and model."""

    config: Config
    workspace: Workspace
    console: Console
    times: StartTimes


AnyRun = Union[Run, Followed]
