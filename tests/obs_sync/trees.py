"""Directories as mappings from relative path to content."""

from __future__ import annotations

import os
from typing import Dict


def write_tree(directory, files: Dict[str, bytes]) -> str:
    """Make the files below `directory`; returns its path."""
    for key, data in files.items():
        path = os.path.join(str(directory), *key.split("/"))
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as stream:
            stream.write(data)
    return str(directory)


def read_tree(directory) -> Dict[str, bytes]:
    """Every file below `directory`, bookkeeping of obs_sync aside."""
    found = {}
    for parent, directories, names in os.walk(str(directory)):
        directories[:] = [name for name in directories if name != ".obs_sync"]
        for name in names:
            path = os.path.join(parent, name)
            with open(path, "rb") as stream:
                found[os.path.relpath(path, str(directory)).replace(os.sep, "/")] = stream.read()
    return found


def leftovers(directory) -> Dict[str, bytes]:
    """Unfinished files below `directory`, of which there are none unless something runs or was killed."""
    bookkeeping = os.path.join(str(directory), ".obs_sync")
    unfinished = ("partial/", "incoming/")
    return {name: data for name, data in read_tree(bookkeeping).items() if name.startswith(unfinished)}


def set_mtime(path: str, seconds: float) -> None:
    os.utime(path, (seconds, seconds))
