"""The stand-in of the Ascend adapter, installed for as long as a test needs it."""
from __future__ import annotations

import contextlib
import importlib
import os
import sys

FAKES = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "fakes")
PACKAGES = ("npu_bridge", "hccl")


@contextlib.contextmanager
def npu_bridge(monkeypatch, release="r1.9", **environ):
    """Install the release; the block gets ``npu_bridge.fake``. environ: what is set besides."""
    monkeypatch.syspath_prepend(FAKES)
    for name, value in dict(environ, FAKE_NPU_VERSION=release).items():
        monkeypatch.setenv(name, value)
    _forget()
    fake = importlib.import_module("npu_bridge.fake")
    try:
        yield fake
    finally:
        fake.uninstall()
        _forget()


def _forget():
    for name in list(sys.modules):
        if name.split(".")[0] in PACKAGES:
            del sys.modules[name]
