"""A mocked OBS with a small boot script, and containers that run it."""
from __future__ import annotations

import os
import textwrap
import time

import pytest

from job.modelarts.mocked.container import Container, ContainerSpec
from obs_sync.mock import mock_obs

# What every boot script of these tests begins with: the values of its arguments, by name.
HEAD = """
import json, os, signal, subprocess, sys, time
args = dict(word[2:].split("=", 1) for word in sys.argv[1:])
def say(text):
    print(text, flush=True)
"""


class Platform:
    """The parts of the mocked platform that a container needs."""

    def __init__(self, obs, folder):
        self.obs = obs
        self.folder = folder
        self.started = []

    def code(self, script, **files):
        """Store a boot script as the code of the next containers; files: name → content of other objects."""
        self.obs.put("bucket", "code/boot.py", (HEAD + textwrap.dedent(script)).encode())
        for name, content in files.items():
            self.obs.put("bucket", "code/" + name, content)
        return self

    def container(self, name="one", environ=None, sync_seconds=0.05, predownload=False, **changes):
        """A container that has not started."""
        spec = ContainerSpec(
            job_id="0a1b", job_name="job", code_dir="/bucket/code/", boot_file="/bucket/code/boot.py", parameters=(),
            inputs=(), outputs=(), environments={}, cards=0, nodes=1, node=0)._replace(**changes)
        self.started.append(
            Container(spec, self.obs, str(self.folder / name), environ=environ, predownload=predownload,
                      sync_seconds=sync_seconds))
        return self.started[-1]

    def run(self, **changes):
        """(exit code, container) of a container that has ended."""
        container = self.container(**changes)
        container.start()
        return container.wait(60), container

    def close(self):
        for container in self.started:
            container.close()


@pytest.fixture
def platform(tmp_path):
    with mock_obs(buckets=["bucket"]) as obs:
        platform = Platform(obs, tmp_path)
        yield platform
        platform.close()


def log_of(container):
    """The whole log; empty before its first line."""
    if not os.path.exists(container.log_path):
        return ""
    with open(container.log_path, encoding="utf-8") as stream:
        return stream.read()


def printed(container):
    """The lines of the log that the processes have printed."""
    return [line for line in log_of(container).splitlines() if not line.startswith("[ModelArts Service Log]")]


def wait_until(condition, seconds=30.0):
    """Wait until the condition holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.01)


def wait_for_line(container, text):
    """Wait until the container has printed a line."""
    wait_until(lambda: text in printed(container) or container.poll() is not None)
    assert text in printed(container), log_of(container)
