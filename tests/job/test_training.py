"""What a run that is stopped or diverges still delivers."""
from __future__ import annotations

from types import SimpleNamespace

import pytest

from job.publication.delivery import NotDelivered
from job.training import deliver_last_good, leave
from masf_core.errors import TrainingDiverged
from masf_core.records.checkpoints import Progress


class Publisher:
    def __init__(self, error=None):
        self.calls, self.error = [], error

    def drain(self, seconds=None):
        self.calls.append("drain")
        if self.error is not None:
            raise self.error

    def drain_within(self, seconds, snapshot):
        self.calls.append((seconds, snapshot))


def stopped_at(iteration, snapshot):
    """What ``leave`` hands to the publisher of a run that went on from iteration 10."""
    publisher = Publisher()
    console = SimpleNamespace(stop=SimpleNamespace(seconds_left=lambda grace: 9.0), stop_noted=lambda: None)
    run = SimpleNamespace(console=console, record=SimpleNamespace(update_attempt=lambda **fields: None))
    observer = SimpleNamespace(write_files=lambda history: None, snapshot=snapshot)
    leave(run, Progress(iteration, [], [], {}), observer, publisher,
          SimpleNamespace(progress=Progress(10, [], [], {})))
    return publisher.calls


def diverged(progress):
    raise TrainingDiverged("variable conv1/weights holds values that are NaN")


@pytest.mark.parametrize("iteration, snapshot, delivered", [
    (12, lambda progress: f"snapshot of {progress.iteration}", "snapshot of 12"),
    (10, lambda progress: "not needed", None),
    (12, diverged, None),
])
def test_a_stopped_run_delivers_its_state_if_it_is_new_and_finite(iteration, snapshot, delivered):
    assert stopped_at(iteration, snapshot) == [(6.0, delivered)]


@pytest.mark.parametrize("error", [None, NotDelivered("not published: ckpt-000010")])
def test_after_divergence_the_checkpoints_that_wait_are_delivered(error, caplog):
    publisher = Publisher(error)
    deliver_last_good(publisher)
    assert publisher.calls == ["drain"] and caplog.messages == ([] if error is None else [str(error)])
