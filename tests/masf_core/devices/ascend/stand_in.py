"""The stand-in of the Ascend adapter, installed for as long as a test needs it."""
from __future__ import annotations

import contextlib
import importlib
import os
import sys

TESTS = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
FAKES = os.path.join(TESTS, "fakes")
PACKAGES = ("npu_bridge", "hccl")


@contextlib.contextmanager
def npu_bridge(monkeypatch, release="r1.9", **environ):
    """Install the release; the block gets ``npu_bridge.fake``. environ: what is set besides."""
    monkeypatch.syspath_prepend(FAKES)
    for name, value in dict(environ, FAKE_NPU_VERSION=release).items():
        monkeypatch.setenv(name, value)
    forget()
    try:
        yield importlib.import_module("npu_bridge.fake")
    finally:
        forget()


def forget():
    """Leave sessions and modules as they were, also after a test that had the stand-in by being on its path: from r1.9
    on the import alone takes every session of the process, and a second import would find the first one's sessions.
    """
    if "npu_bridge.fake" in sys.modules:
        sys.modules["npu_bridge.fake"].uninstall()
    for name in list(sys.modules):
        if name.split(".")[0] in PACKAGES:
            del sys.modules[name]
