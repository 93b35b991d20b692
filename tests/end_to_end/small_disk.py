"""A file system of a few megabytes, for tests of a full disk."""
from __future__ import annotations

import contextlib
import os
import subprocess


@contextlib.contextmanager
def small_disk(directory, megabytes):
    """Mount a tmpfs of that size at ``directory``, or raise ``CannotMount`` where this user may not."""
    os.makedirs(directory, exist_ok=True)
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", directory],
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True)
    if mounted.returncode != 0:
        raise CannotMount(mounted.stdout.strip())
    try:
        yield directory
    finally:
        subprocess.run(["umount", "-l", directory], check=True)


class CannotMount(Exception):
    """Mounting needs rights that this user does not have."""
