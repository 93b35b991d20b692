"""A folder of files that appears whole or not at all, on the local disk or in a bucket.

On the disk it is filled under another name and then renamed. In a bucket the sidecar is stored last: files without it
are an export that was not finished.
"""
from __future__ import annotations

import contextlib
import logging
import os
import re
import shutil
from typing import ContextManager, Iterator, List

from job.config.given_values import console_path
from job.console import Console
from job.errors import ConfigError
from job.export.sidecar import NAME
from job.inputs.trained import OpenAt
from job.reports.image_results import is_below
from job.workspace import OTHER_WORK_DIR, Workspace, writing
from obs_sync import StoreError, is_remote, parse_url, push

log = logging.getLogger(__name__)

ALLOWED = "exports"  # the folder of a run where exports may be
OTHER_OUT = "Choose another folder with --out"


def check_place(out: str, run: str, open_at: OpenAt) -> None:
    """Raise before the work what would end it.

    Args:
        out: the folder that is to be made, a path or a URL. run: the folder or file of the network.

    Raises:
        ConfigError: there is something already, or it lies in the run and not in its exports/. StoreError: storage.
    """
    if is_remote(out):
        folder = out.rstrip("/") + "/"
        if not parse_url(folder).prefix:
            raise ConfigError(f"--out={out}: expected a folder in the bucket, as in obs://bucket/exports/cartoon/")
        if is_remote(run):
            _refuse_run(out, *(parse_url(place.rstrip("/") + "/").url.rstrip("/") for place in (out, run)))
        with open_at(folder) as store:
            there = next(iter(store.list()), None)
        if there is not None:
            raise ConfigError(f"--out={out}: there are objects below it already, such as {there.key}. Give another "
                              "folder")
        return
    meant = console_path(out) if os.path.isabs(out) else None
    if meant is not None:
        raise ConfigError(f"--out={out}: there is no local folder of that name. Write {meant} for OBS, or make the "
                          "folder above it first")
    path = os.path.abspath(out)
    if not is_remote(run):
        _refuse_run(out, os.path.realpath(path), os.path.realpath(run))
    if os.path.isdir(path) and not os.listdir(path):
        return
    if os.path.lexists(path):
        raise ConfigError(f"--out={out}: it exists already. Give another folder, or delete it")


def _refuse_run(out: str, place: str, run: str) -> None:
    if is_below(place, run) and not is_below(place, f"{run}/{ALLOWED}"):
        raise ConfigError(f"--out={out}: this lies in the run; exports may be in its folder {ALLOWED}/, as in "
                          f"{run}/{ALLOWED}/cartoon")


@contextlib.contextmanager
def staged(out: str, workspace: Workspace) -> Iterator[str]:
    """An empty local folder to fill. What is in it is deleted at the end, unless ``deliver`` has moved it.

    It lies beside ``out``, or in ``workspace`` if ``out`` is in a bucket. There, too, the next export deletes what
    killed ones have left.

    Raises:
        LocalStorageError: it cannot be made.
    """
    parent, name = os.path.split(_local_place(out, workspace))
    folder = os.path.join(parent, f".{name}.partial-{os.getpid()}")
    with on_disk("made", out, workspace):
        os.makedirs(parent, exist_ok=True)
        _delete_leftovers(parent, name)
        os.mkdir(folder)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _local_place(out: str, workspace: Workspace) -> str:
    return os.path.join(workspace.logs, "export") if is_remote(out) else os.path.abspath(out)


def on_disk(done: str, out: str, workspace: Workspace) -> ContextManager[None]:
    """A context manager for what makes or writes the local folder of an export to ``out``. done: "made" or "written".

    Raises:
        LocalStorageError: instead of an OSError.
    """
    return writing(_local_place(out, workspace), OTHER_WORK_DIR if is_remote(out) else OTHER_OUT, done)


def _delete_leftovers(parent: str, name: str) -> None:
    """Delete the folders that killed exports to the same place have left."""
    pattern = re.compile(re.escape(f".{name}.partial-") + r"(\d+)")
    for each in os.listdir(parent):
        match = pattern.fullmatch(each)
        # In a container the next process may have the very number of the one that was killed.
        if match and (int(match.group(1)) == os.getpid() or not _is_alive(int(match.group(1)))):
            shutil.rmtree(os.path.join(parent, each), ignore_errors=True)


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass
    return True


def deliver(folder: str, out: str, console: Console, open_at: OpenAt) -> None:
    """Make the content of ``folder`` appear at ``out``. It holds the sidecar.

    Raises:
        StoreError: storage; nothing is left at ``out`` then, as far as it can still be deleted.
    """
    if not is_remote(out):
        path = os.path.abspath(out)
        with writing(path, OTHER_OUT):
            os.rename(folder, path)
        return
    with open_at(out.rstrip("/") + "/") as store:
        try:
            push(store, folder, on_progress=console.task("upload", "B"), selects=lambda path: path != NAME)
            store.upload(os.path.join(folder, NAME), NAME)
        except BaseException:
            with contextlib.suppress(StoreError):
                store.delete(files_in(folder))
            raise


def files_in(folder: str) -> List[str]:
    """Paths of the files below ``folder``, with "/", sorted."""
    found = []
    for parent, _, names in os.walk(folder):
        found += [os.path.relpath(os.path.join(parent, name), folder).replace(os.sep, "/") for name in names]
    return sorted(found)
