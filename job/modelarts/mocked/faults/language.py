"""Faults of the mocked ModelArts, as rules in the language of the mocked OBS (`obs_sync.mock.faults.plan`).

    with mock_modelarts(buckets=["bucket"]) as platform:
        platform.faults = platform_faults(["CreateTrainingJob nth=1 reset=after", "RunJob nth=1 lose-node=5"])

    $ python -m job mock serve --root DIR --platform_faults "RunJob nth=1 kill=0 log='iteration 20'"

A rule names the calls that it picks, as the SDK does (`CreateTrainingJob`, `ShowTrainingJobDetails`,
`ListTrainingJobs`, `ShowTrainingJobLogs*` and so on), or moments in the life of a job:

    ScheduleJob   the job begins to wait: at first, and after each loss of its containers
    RunJob        the containers start: at first, and after each restart
    UploadLog     the log is copied to OBS

`key` is a pattern of the job's name at these moments, and of the rest of the path for calls. All other conditions (nth,
every, first, since, probability, limit, method) are those of the mocked OBS. Without a name, a rule picks everything
that its effect can happen to.

Effects of calls; `reset`, `cut`, `stall`, `flip`, `latency` and `skew` are those of the mocked OBS:

    status=429 code=APIG.0308 retry-after=1   an error, and the call is not handled
    reset=after                               the call is carried out, and its reply is lost
    quota                                     CreateTrainingJob: the account may have no more jobs
    behind=5                                  calls for the log, and ListTrainingJobs: as it was 5 s ago
    cut-character                             calls for the log, and UploadLog: it ends in the middle of a character

Effects at the other moments; `log=TEXT` makes the seconds count from a line of the log with this text:

    pending=30      ScheduleJob: Pending for 30 s longer; pending=inf: for ever
    kill=5          RunJob: after 5 s its processes are killed; a restart is in the same container
    lose-node=5     RunJob: after 5 s its node is lost with its disk; a restart is in a new container
    preempt=5       RunJob: after 5 s another job gets the node: SIGTERM, then SIGKILL; the job waits again
    abnormal=5      RunJob: after 5 s the platform loses the job

`kill` and `lose-node` end a job that may not be restarted (`fault-tolerance/job-retry-num`).
"""
from __future__ import annotations

import fnmatch
from dataclasses import dataclass
from typing import ClassVar, Dict, Iterable, Sequence, Tuple, Union

from job.modelarts.mocked.faults.effects import (
    Behind, CutCharacter, Kill, LoseNode, Lost, Preempt, Quota, Status, Waiting,
)
from job.modelarts.mocked.faults.steps import STEPS
from obs_sync.mock.faults.effect import FaultError
from obs_sync.mock.faults.plan import Faults
from obs_sync.mock.faults.rules import Rule
from obs_sync.mock.faults.text import EFFECTS, Language, Word

CALLS = ("CreateTrainingJob", "GetLogObject", "KeystoneListProjects", "ListTrainingJobEvents", "ListTrainingJobs",
         "ShowObsUrlOfTrainingJobLogs", "ShowTrainingJobDetails", "ShowTrainingJobEngines", "ShowTrainingJobFlavors",
         "ShowTrainingJobLogsFromAom", "ShowTrainingJobLogsPreview", "StopTrainingJob", "ValidateTrainingJobName",
         "Unknown")


@dataclass(frozen=True)
class PlatformRule(Rule):
    """A rule about calls of ModelArts, or about moments in the life of a job."""

    operations: ClassVar[Sequence[str]] = CALLS + STEPS

    def __post_init__(self) -> None:
        super().__post_init__()
        possible = getattr(self.effect, "operations", CALLS)
        named = {name for pattern in self.operation.split(",") for name in fnmatch.filter(possible, pattern)}
        if not named:
            raise FaultError(f"{self.effect.kind} cannot happen to {self.operation}: expected one or more of "
                             f"{', '.join(possible)}")
        object.__setattr__(self, "operation", ",".join(sorted(named)))


_STRUCK: Dict[str, Tuple[str, type]] = {"log": ("log", str)}
_EFFECTS: Dict[str, Word] = {
    "status": Word(Status, "status", int, {"code": ("code", str), "retry-after": ("retry_after", float)}),
    "quota": Word(Quota, None),
    "behind": Word(Behind, "seconds", float),
    "cut-character": Word(CutCharacter, None),
    "pending": Word(Waiting, "seconds", float),
    "kill": Word(Kill, "seconds", float, _STRUCK),
    "lose-node": Word(LoseNode, "seconds", float, _STRUCK),
    "preempt": Word(Preempt, "seconds", float, _STRUCK),
    "abnormal": Word(Lost, "seconds", float, _STRUCK),
}
_EFFECTS.update((name, EFFECTS[name]) for name in ("reset", "cut", "stall", "flip", "latency", "skew"))

PRESETS: Dict[str, Tuple[str, ...]] = {
    # A busy platform behind a bad network. A client with sound retries submits one job and loses no line.
    "storm": (
        "CreateTrainingJob nth=1 reset=after",
        "probability=0.05 status=429",
        "probability=0.05 status=503 retry-after=1",
        "probability=0.02 status=500",
        "probability=0.03 reset=before",
        "probability=0.03 reset=after",
        "probability=0.02 stall=0.3",
        "ShowTrainingJobLogs* probability=0.03 cut=0.5",
        "ShowTrainingJobLogs* probability=0.2 behind=3",
    ),
    # The first node is lost, with everything on its disk.
    "node-loss": ("RunJob nth=1 lose-node=5",),
    # Another job takes the node for a while.
    "preemption": ("RunJob nth=1 preempt=5",),
}
LANGUAGE = Language(PlatformRule, _EFFECTS, PRESETS, "CreateTrainingJob")


def platform_faults(rules: Iterable[Union[Rule, str]] = (), seed: int = 0) -> Faults:
    """A plan of faults of the mocked ModelArts. Raises FaultError when a text is not a rule."""
    return Faults(rules, seed, LANGUAGE)
