"""What every test starts from: no trace of the machine's own storage, proxies or platform in the environment."""

from __future__ import annotations

import os

FOREIGN_PREFIXES = ("OBS_", "AWS_", "S3_", "MA_", "DLS_", "VC_", "RANK_", "ASCEND_", "CM_WORKER_")
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
