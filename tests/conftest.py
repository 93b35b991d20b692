"""What every test starts from: no trace of the machine's own storage, proxies or platform in the environment."""

from __future__ import annotations

import os

import pytest

FOREIGN_PREFIXES = ("OBS_", "AWS_", "S3_", "MA_", "DLS_", "VC_", "RANK_", "ASCEND_", "CM_WORKER_",
                    "HUAWEICLOUD_")
FOREIGN_NAMES = frozenset(
    ["DEVICE_ID", "ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "SECURITY_TOKEN", "NO_COLOR", "COLUMNS"]
    + ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"]
)


def _forget_the_machine(environ) -> None:
    for name in list(environ):
        if name.upper() in FOREIGN_NAMES or name.startswith(FOREIGN_PREFIXES):
            del environ[name]


def pytest_configure(config) -> None:
    """Runs in the main process and in each worker of pytest-xdist, before any test module is imported."""
    _forget_the_machine(os.environ)
    # The workers share the processor: one thread each is faster than several that wait for one another.
    for name in ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
        os.environ.setdefault(name, "1")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")


@pytest.fixture
def bfloat16() -> None:
    """Leaves a test out where nothing computes in bfloat16."""
    from masf_core.devices.bfloat16 import narrows_products
    from masf_core.devices.cpu import Cpu
    from masf_core.tf1 import IS_TF2

    if not IS_TF2:
        pytest.skip("a processor's mixed precision is TensorFlow 2's")
    if not narrows_products(Cpu("mixed", 1, 1).session_config()):
        pytest.skip("this processor has no bfloat16, or ONEDNN_MAX_CPU_ISA forbids it")
