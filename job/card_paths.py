"""Local paths that CANN and the Ascend adapter write to or read.

Both write into the current directory (``kernel_meta/``, ``fusion_result.json``, ``check_result.tf.json``), where the
ranks of one machine would overwrite one another's files. So each rank works in a folder of its own. What the user gave
as a relative path still means where the command was started.
"""
from __future__ import annotations

import contextlib
import dataclasses
import os
import sys
from typing import Iterator, Mapping, MutableMapping, NamedTuple, Optional

from job.cann_logs import explained
from job.config.settings import Ascend
from job.ranks.group import Alone
from job.workspace import Workspace
from masf_core.devices.ascend.options import FILES, FOLDERS, AscendSettings

NOT_KEPT = "none"  # the value of compile_cache_dir that keeps nothing
# The settings and the options of the adapter that are local paths.
SETTINGS = ("profile_dir", "overflow_dump_dir", "compile_cache_dir", "mix_list")
OPTIONS = FOLDERS + FILES + ("distribute_config", "graph_parallel_option_path", "resource_config_path")
# Environment variables that CANN, the adapter and child processes read later: one path each, or several.
VARIABLES = ("RANK_TABLE_FILE", "ASCEND_OPP_PATH", "ASCEND_AICPU_PATH", "ASCEND_PROCESS_LOG_PATH", "ASCEND_WORK_PATH",
             "ASCEND_CACHE_PATH", "TUNE_BANK_PATH")
LISTS = ("PATH", "LD_LIBRARY_PATH", "PYTHONPATH")


class Place(NamedTuple):
    """Where a rank works on a card.

    kernels: where compiled operations are kept unless ``compile_cache_dir`` says otherwise. folder: the rank's own.
    rank: its name among several, None for an only one.
    """

    kernels: str
    folder: str
    rank: Optional[str] = None


def place_of(workspace: Workspace, group: Alone) -> Place:
    """The ``Place`` of this rank."""
    name = f"rank-{group.rank}"
    return Place(workspace.kernels, os.path.join(workspace.cann, name), name if group.size > 1 else None)


def place_below(work_dir: str, command: str, group: Alone) -> Place:
    """The ``Place`` of this rank for a command that has no run. It works in a folder of its own below ``work_dir``."""
    work_dir, name = os.path.abspath(work_dir), f"rank-{group.rank}"
    return Place(os.path.join(work_dir, "kernels"), os.path.join(work_dir, command, "cann", name),
                 name if group.size > 1 else None)


def ascend_settings(ascend: Ascend, place: Optional[Place] = None) -> AscendSettings:
    """What the adapter is asked for.

    Args:
        ascend: the settings of that group. place: of this rank; makes every path absolute. Without it nothing is kept
            unless ``compile_cache_dir`` names a folder.
    """
    values = dataclasses.asdict(ascend)
    given = values["compile_cache_dir"]
    if given is None and place is not None:
        values["compile_cache_dir"] = place.kernels
    elif given == NOT_KEPT:
        values["compile_cache_dir"] = None
    if place is None:
        return AscendSettings(**values)
    for name in SETTINGS:
        values[name] = values[name] and os.path.abspath(values[name])
    values["ascend_options"] = tuple(_absolute(option, place.rank) for option in ascend.ascend_options)
    return AscendSettings(debug_dir=place.folder, **values)


def _absolute(option: str, rank: Optional[str]) -> str:
    """An option of the adapter, ``name=value``: a path becomes absolute, and each rank has a debug_dir of its own."""
    name, equals, value = option.partition("=")
    if name not in OPTIONS or not value:
        return option
    path = os.path.abspath(value)
    return name + equals + (os.path.join(path, rank) if name == "debug_dir" and rank else path)


def work_in(folder: str, environ: MutableMapping[str, str] = os.environ) -> None:
    """Make ``folder`` the current directory of this process.

    Relative paths in environment variables and in the search path of modules keep their meaning.

    Args:
        environ: is changed.
    """
    for name in VARIABLES:
        if environ.get(name):
            environ[name] = os.path.abspath(environ[name])
    for name in LISTS:
        if environ.get(name):
            environ[name] = os.pathsep.join(each and os.path.abspath(each) for each in environ[name].split(os.pathsep))
    sys.path[:] = [os.path.abspath(each) for each in sys.path]
    os.makedirs(folder, exist_ok=True)
    os.chdir(folder)


@contextlib.contextmanager
def on_card(device: str, place: Place, environ: Mapping[str, str]) -> Iterator[None]:
    """What a command without a run needs around its sessions on an Ascend: the folder of ``place`` as the current
    directory, and errors that show what CANN's logs say. On other devices nothing changes.

    Args:
        device: ``cpu``, ``gpu`` or ``ascend``. environ: environment variables.

    Raises:
        CannFailed: see ``explained``.
    """
    if device != "ascend":
        yield
        return
    before = os.getcwd()
    work_in(place.folder)
    try:
        with explained(device, environ):
            yield
    finally:
        os.chdir(before)
