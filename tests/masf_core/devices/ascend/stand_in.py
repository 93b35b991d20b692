"""The stand-in of the Ascend adapter, and of CANN's operator list, installed for as long as a test needs them."""
from __future__ import annotations

import contextlib
import importlib
import json
import os
import sys
import tempfile

from masf_core.devices.ascend import operators

TESTS = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
FAKES = os.path.join(TESTS, "fakes")
PACKAGES = ("npu_bridge", "hccl")
# What adapters from r1.10 on build, and what the lists of the CANN of their time have.
NEWER = {"NpuGetFloatStatusV2", "NpuClearFloatStatusV2"}


@contextlib.contextmanager
def npu_bridge(monkeypatch, release="r1.9", **environ):
    """Install the release; the block gets ``npu_bridge.fake``. environ: what is set besides."""
    monkeypatch.syspath_prepend(FAKES)
    with tempfile.TemporaryDirectory() as opp:
        write_operator_list(opp)
        for name, value in dict(dict(ASCEND_OPP_PATH=opp), FAKE_NPU_VERSION=release, **environ).items():
            monkeypatch.setenv(name, value)
        forget()
        try:
            yield importlib.import_module("npu_bridge.fake")
        finally:
            forget()


def write_operator_list(opp, without=(), place=operators.FOLDERS[0]):
    """Write CANN's operator list below the folder ``opp``, as CANN has it. without: operations that it lacks."""
    known = operators.bundled_list()
    folder = os.path.join(opp, place)
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, operators.NAME), "w") as stream:
        json.dump({name: {"isGray": name in known.gray, "isHeavy": False}
                   for name in (known.names | NEWER) - set(without)}, stream)


def forget():
    """Leave sessions and modules as they were, also after a test that had the stand-in by being on its path: from r1.9
    on the import alone takes every session of the process, and a second import would find the first one's sessions.
    """
    if "npu_bridge.fake" in sys.modules:
        sys.modules["npu_bridge.fake"].uninstall()
    for name in list(sys.modules):
        if name.split(".")[0] in PACKAGES:
            del sys.modules[name]
