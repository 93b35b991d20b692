"""What every test starts from: no trace of the machine's own storage, proxies or platform in the environment."""

from __future__ import annotations

import os
import sys

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


# Folders and files whose slow tests say the same in both lanes → the lane that runs them where both are run. Kills,
# several ranks and the adapter belong to the lane that is shipped; what hardly needs TensorFlow, to the faster one.
SHARED = {
    "tests/end_to_end/test_ascend.py": "tf1", "tests/end_to_end/test_crash_and_resume.py": "tf1",
    "tests/end_to_end/test_packed_data.py": "tf1", "tests/end_to_end/test_ranks.py": "tf1",
    "tests/end_to_end/test_container.py": "tf2", "tests/end_to_end/test_run_name_in_use.py": "tf2",
    "tests/end_to_end/test_user_errors.py": "tf2", "tests/obs_sync/": "tf2", "tests/benchmarks/": "tf2",
    "tests/job/commands/test_deploy_page.py": "tf2",
}


def pytest_collection_modifyitems(config, items) -> None:
    """Where both lanes are run, deselect the slow tests that the other lane runs."""
    if not os.environ.get("MASF_SHARE_SLOW_TESTS"):
        return
    lane = "tf1" if sys.version_info < (3, 8) else "tf2"
    others = {item for item in items if item.get_closest_marker("slow")
              and any(item.nodeid.startswith(place) and lane != other for place, other in SHARED.items())}
    config.hook.pytest_deselected(items=list(others))
    items[:] = [item for item in items if item not in others]


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
