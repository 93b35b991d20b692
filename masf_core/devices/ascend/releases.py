"""The releases of the Ascend adapter npu_bridge, and how one is dated. Importing this costs nothing.

The adapter's wheel calls itself 1.15.0, after TensorFlow, in every release. What ``npu_init`` exports tells more.
"""
from __future__ import annotations

from typing import Container, NamedTuple

RELEASES = ("r1.5", "r1.6", "r1.7", "r1.8", "r1.9", "r1.10", "r1.11", "r1.12", "r1.13", "r1.14", "r1.15", "master")

# What npu_init exports, and since which release, the newest first. Nothing that it exports tells r1.6 from r1.7, r1.10
# from r1.12, or r1.13 from r1.14.
MARKS = (
    ("TellMeStepOrLossHook", "r1.15"),
    ("npu_plugin", "r1.13"),
    ("SetIterationsVarHook", "r1.10"),
    ("MemoryConfig", "r1.9"),
    ("get_npu_local_rank_size", "r1.8"),
    ("npu_allreduce", "r1.6"),
    ("npu_config_proto", "r1.5"),
)


class Adapter(NamedTuple):
    """The adapter that is installed: its release lies between ``oldest`` and ``newest``, both of ``RELEASES``."""

    oldest: str
    newest: str

    @property
    def about(self) -> str:
        """For people: ``r1.9``, or ``r1.10 to r1.12``."""
        return self.oldest if self.oldest == self.newest else f"{self.oldest} to {self.newest}"

    @property
    def releases(self) -> tuple:
        """The releases that it may be, the oldest first."""
        return RELEASES[RELEASES.index(self.oldest):RELEASES.index(self.newest) + 1]

    def is_before(self, release: str) -> bool:
        """Whether it is certainly older than that release."""
        return RELEASES.index(self.newest) < RELEASES.index(release)

    def may_be_before(self, release: str) -> bool:
        """Whether it may be older than that release."""
        return RELEASES.index(self.oldest) < RELEASES.index(release)


def dated_by(exported: Container[str]) -> Adapter:
    """The adapter whose ``npu_init`` exports these names. Without any mark it may be of any release."""
    newest = RELEASES[-1]
    for mark, since in MARKS:
        if mark in exported:
            return Adapter(since, newest)
        newest = RELEASES[RELEASES.index(since) - 1]
    return Adapter(RELEASES[0], RELEASES[-1])
