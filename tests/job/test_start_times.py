"""The split of the time until the first iteration."""
from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

from job.start_times import StartTimes, process_age, sentence


class Clock:
    now = 50.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def test_the_parts_add_up_to_the_whole_since_the_process_was_started(clock):
    times = StartTimes(clock, age=2.0)
    clock.now += 4.0
    times.mark("imports", tensorflow=5.0)
    clock.now += 0.5
    times.mark("index")
    clock.now += 1.25
    assert list(times.end("first_iteration").items()) == [
        ("total", 7.75), ("imports", 1.0), ("tensorflow", 5.0), ("index", 0.5), ("first_iteration", 1.25)]


def test_a_part_in_two_pieces_is_one(clock):
    times = StartTimes(clock, age=0.0)
    for part in ("variables", "restore", "variables"):
        clock.now += 1.0
        times.mark(part)
    assert times.end("rest") == {"total": 3.0, "variables": 2.0, "restore": 1.0, "rest": 0.0}


def test_only_the_first_iteration_ends_the_start(clock):
    times = StartTimes(clock, age=0.0)
    assert times.end("first_iteration") is not None
    assert times.end("first_iteration") is None


def test_the_sentence_leaves_out_what_took_no_time():
    assert sentence({"total": 6.14, "imports": 0.3, "tensorflow": 3.94, "index": 0.004, "first_iteration": 1.9}) == (
        "start: 6.14 s (imports 0.30 s, tensorflow 3.94 s, first iteration 1.90 s)")


@pytest.mark.skipif(not os.path.exists("/proc/self/stat"), reason="the system does not tell")
def test_a_process_knows_its_age():
    started = time.monotonic()
    program = "import time, job.start_times as s; time.sleep(0.5); print(s.process_age())"
    age = float(subprocess.check_output([sys.executable, "-c", program], cwd=os.path.dirname(os.path.dirname(
        os.path.dirname(os.path.abspath(__file__))))).decode())
    assert 0.5 <= age <= time.monotonic() - started + 0.02  # the system counts in hundredths
    assert process_age() > 0.0
