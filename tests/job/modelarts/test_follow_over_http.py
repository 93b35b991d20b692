"""Following jobs of the mocked ModelArts through the unmodified SDK: lost nodes, errors, logs that are behind or cut.
"""

from __future__ import annotations

import os
import random

import pytest

from job import cli
from job.modelarts.follow import follow
from job.modelarts.mocked import mock_modelarts, platform_faults
from job.modelarts.sdk_service import connect
from job.modelarts.session import opener
from obs_sync.retry import Retry
from tests.job.modelarts.mocked.fake_container import fake_containers
from tests.job.modelarts.mocked.support import BUCKET, create, make_client, put_code

QUICK = Retry(attempts=8, first_delay=0.001, longest_delay=0.01, deadline=20.0)


class Played:
    """A mocked ModelArts whose job is played while its follower sleeps."""

    def __init__(self, platform, containers):
        self.platform = platform
        self.containers = containers
        self.told = []
        self.written = []
        self.draw = random.Random(7)
        self.script = []

    def submit(self, **changes):
        return create(make_client(self.platform), **changes)

    def write(self, lines):
        """The container prints so many numbered lines, if it is running."""
        container = self.containers.made[-1]
        for _ in range(lines if container.poll() is None else 0):
            self.written.append(f"精度 {len(self.written)} " + "ü" * self.draw.randrange(9))
            container.write(self.written[-1] + "\n")

    def sleep(self, seconds):
        self.platform.advance(seconds)
        if self.script and self.containers.made:
            self.script.pop(0)()
        self.platform.advance(0.0)

    def follow(self, job_id, **options):
        service = connect(os.environ, retry=QUICK)
        return follow(service, job_id, opener(os.environ, service.region), self.told.extend, sleep=self.sleep,
                      clock=self.platform.clock.now, **options)

    @property
    def lines(self):
        return [event.data["text"] for event in self.told if event.kind == "line"]

    @property
    def phases(self):
        return [event.data["phase"] for event in self.told if event.kind == "phase"]


@pytest.fixture
def played():
    containers = fake_containers()
    with mock_modelarts(buckets=[BUCKET], frozen=True, containers=containers) as platform:
        put_code(platform.obs)
        yield Played(platform, containers)


def end(played, code):
    return lambda: played.containers.made[-1].end(code)


def test_a_job_is_followed_to_its_end(played):
    played.script = [lambda: played.write(3), lambda: played.write(600), lambda: None, end(played, 3)]
    assert played.follow(played.submit()) == 3
    assert played.lines == played.written and played.phases[-2:] == ["Running", "Failed"]
    assert played.told[-1].lines[0].startswith("exit code 3 (data or weights)")


def test_no_line_is_lost_or_doubled_by_a_bad_network_a_log_that_is_behind_and_half_characters(played):
    played.platform.faults = platform_faults([
        "probability=0.1 status=429", "probability=0.1 status=503", "probability=0.05 reset=after",
        "ShowTrainingJobLogs* probability=0.05 cut=0.5", "ShowTrainingJobLogs* probability=0.3 behind=4",
        "ShowTrainingJobLogs* probability=0.3 cut-character"], seed=3)
    played.script = [lambda: played.write(played.draw.randrange(12)) for _ in range(25)] + [end(played, 0)]
    assert played.follow(played.submit()) == 0
    assert played.lines == played.written and len(played.written) > 100


def test_the_log_goes_on_after_a_node_is_lost(played):
    played.platform.faults = platform_faults(["RunJob nth=1 lose-node=20"])
    played.script = [lambda: played.write(2) for _ in range(14)] + [end(played, 0)]
    assert played.follow(played.submit(annotations={"fault-tolerance/job-retry-num": "1"})) == 0
    assert len(played.containers.made) == 2
    assert played.lines == played.written
    assert [event.data["recovery"] for event in played.told if event.kind == "restart"] == ["job_reschedule"]


def test_without_the_right_to_read_logs_they_come_from_obs(played, caplog):
    played.platform.faults = platform_faults([
        "ShowTrainingJobLogs* status=403", "UploadLog probability=0.5 cut-character"])
    played.script = [lambda: played.write(5) for _ in range(8)] + [end(played, 0)]
    assert played.follow(played.submit()) == 0
    assert played.lines == played.written and len(played.written) == 40


def test_the_commands_speak_to_modelarts_and_obs(played, capsys):
    job_id = played.submit(name="masf")
    played.platform.advance(10)
    played.platform.advance(10)
    played.write(2)
    assert cli.main(["jobs"]) == 0
    assert cli.main(["status", "masf"]) == 0
    assert cli.main(["flavors", "--kind=Ascend"]) == 0
    assert cli.main(["engines"]) == 0
    end(played, 0)()
    played.platform.advance(10)
    assert cli.main(["logs", job_id]) == 0
    assert cli.main(["logs", job_id, f"--log_url=/{BUCKET}/log/"]) == 0
    assert cli.main(["stop", "masf"]) == 0
    out = capsys.readouterr().out
    assert "masf: Running" in out and "masf: Completed" in out and "ascend" in out.lower()
    assert "it is not known what it saved" in out
    assert out.count(played.written[0]) == out.count(played.written[1]) == 2
    assert cli.main(["status", "msaf"]) == 2
    assert "did you mean 'masf'?" in capsys.readouterr().err
