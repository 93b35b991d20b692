"""A container that runs nothing: tests write its log and end it."""
from __future__ import annotations

import os
import shutil
import threading


class FakeContainer:
    """What the platform asks of a container, with a memory of what it was asked.

    Attributes:
        made: every container of a class made by `fake_containers`, in order.
    """

    made: list = []

    def __init__(self, spec, obs, folder, *, environ=None):
        self.spec = spec
        self.obs = obs
        self.folder = folder
        self.environ = dict(environ or {})
        self.calls = []
        self.code = None
        self.ignores_terminate = False
        self.last_words = ""   # that it writes when it is terminated
        self.lock = threading.Lock()
        self.made.append(self)

    def start(self):
        os.makedirs(self.folder)
        open(self.log_path, "wb").close()
        self.calls.append("start")

    def restart(self):
        assert self.code is not None, "it is still running"
        self.calls.append("restart")
        self.code = None

    def poll(self):
        return self.code

    def terminate(self, grace_seconds=15.0):
        self.calls.append(f"terminate {grace_seconds:g}")
        if not self.ignores_terminate:
            self.write(self.last_words)
            self.end(143)

    def kill(self, lose_disk=False):
        self.calls.append("kill, disk lost" if lose_disk else "kill")
        if lose_disk:
            shutil.rmtree(self.folder)
        self.end(137)

    def close(self):
        self.calls.append("close")
        self.end(137)

    @property
    def log_path(self):
        return os.path.join(self.folder, "log")

    # -- what tests do

    def write(self, data):
        """Writes bytes, or a text, to its output."""
        with open(self.log_path, "ab") as stream:
            stream.write(data.encode("utf-8") if isinstance(data, str) else data)

    def end(self, code):
        """Its processes end."""
        with self.lock:
            if self.code is None:
                self.code = code


def fake_containers():
    """A class of fake containers of its own, whose `made` is empty."""
    return type("Fake", (FakeContainer,), {"made": []})
