"""The run's log files on their way to the store."""
from __future__ import annotations

import os
import shutil
from typing import Callable

from obs_sync import Store


def upload_logs(store: Store, logs: str, spool: str, record: Callable[[], str]) -> None:
    """Publish the files of the directory ``logs``, and run.json.

    Args:
        spool: local directory for copies. record: callable returning the text of run.json.
    """
    for name in sorted(os.listdir(logs)):
        path = os.path.join(logs, name)
        if not os.path.isfile(path) or name.endswith(".partial") or name.startswith("."):
            continue
        # A copy, because training may append to the original (TensorBoard's events) during the upload.
        copy = os.path.join(spool, name + ".upload")
        shutil.copyfile(path, copy)
        try:
            store.upload(copy, name)
        finally:
            os.remove(copy)
    store.write("run.json", record().encode("utf-8"))
