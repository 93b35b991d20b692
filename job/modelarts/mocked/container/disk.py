"""The folders on a container's disk. They have the platform's names, below a folder that stands for ``/``."""
from __future__ import annotations

import os
import shutil


class Disk:
    """The disk of the node. It survives a restart in place, and is lost with the node.

    root: absolute path of the folder that stands for ``/``.
    """

    def __init__(self, root: str):
        self.root = root
        self.home = os.path.join(root, "home", "ma-user")
        self.mount = os.path.join(self.home, "modelarts")
        self.code = os.path.join(self.mount, "user-job-dir")
        self.log = os.path.join(self.mount, "log")
        self.rank_table = os.path.join(self.mount, "rank_table", "jobstart_hccl.json")
        self.workspace = os.path.join(self.mount, "workspace")
        self.cache = os.path.join(root, "cache")
        self.temporary = os.path.join(root, "tmp")

    def make(self) -> None:
        for folder in (self.code, self.log, self.workspace, self.cache, self.temporary,
                       os.path.dirname(self.rank_table)):
            os.makedirs(folder, exist_ok=True)

    def input(self, name: str) -> str:
        """Where the input of this name is downloaded to."""
        return os.path.join(self.mount, "inputs", name + "_0")

    def output(self, name: str) -> str:
        """The folder that is uploaded as the output of this name."""
        return os.path.join(self.mount, "outputs", name + "_0")

    def current_directory(self, card: int) -> str:
        """The current directory of the process of this card; each has its own, as CANN writes files there."""
        return os.path.join(self.workspace, f"device{card}")

    def lose(self) -> None:
        """Delete everything, as when the node is lost."""
        shutil.rmtree(self.root, ignore_errors=True)
