"""Bring the data and the weights to the local disk, and say where they are."""
from __future__ import annotations

import logging
import os
from typing import Any, Dict, Mapping, NamedTuple, Optional, Sequence, Tuple

from job.config.settings import Config, Data
from job.console import Console
from job.errors import NoSuchData
from job.inputs.check import archive_error, archives_below, no_data, no_directory, refuse_archive
from job.inputs.fetch_weights import Located, fetch_weights
from job.inputs.pulled_data import PulledData, other_work_dirs, written_locally
from job.publication.patience import OPENING_SECONDS, Patience
from job.workspace import Workspace
from masf_core.data import Folder, find_dataroot, find_filelist_root, lists_beside, unused_lists
from masf_core.errors import DataError
from masf_core.words import some
from obs_sync import ObjectNotFound, is_remote, open_store, pull
from obs_sync.packs.index import INDEX_NAME

log = logging.getLogger(__name__)


class Inputs(NamedTuple):
    """The local files and folders that a run reads."""

    dataroot: str  # directory of the domain folders
    filelist_root: Optional[str]  # directory of the list files, None: split the folders
    weights: Optional[str]  # weights file, None: train from scratch
    origin: Optional[Dict[str, Any]] = None  # where the weights are from, for run.json; see weights.record_of


def fetch_inputs(config: Config, workspace: Workspace, console: Console, environ: Mapping[str, str],
                 present: bool = False, located: Optional[Located] = None) -> Inputs:
    """Pull what is remote and locate everything.

    A v1 job names ``obs://`` or ``s3://`` URLs. A v2 job names local directories that the platform has filled; the run
    reads them in place, unless they hold a pack or ``exclude`` leaves something out.

    Args:
        present: another process has pulled everything to this machine already. It has looked for the weights as well,
            which only rank 0 loads.
        located: the weights, where they have been fetched before the data; see ``early_weights``.

    Raises:
        obs_sync.StoreError: storage. DataError, WeightsError: something is not where the configuration says it is.
    """
    root = fetch_data(config, workspace, console, environ, present)
    dataroot, filelist_root = locate_data(config, root)
    if located is None and not present:
        located = fetch_weights(config, root, workspace, console, environ)
    return Inputs(dataroot, filelist_root, *(located or (None, None)))


def fetch_inputs_patiently(config: Config, workspace: Workspace, console: Console, environ: Mapping[str, str],
                           located: Optional[Located] = None) -> Inputs:
    """``fetch_inputs``, called again for some minutes while the storage is unavailable: what was pulled stays, so that
    the next call pulls the rest."""
    return Patience(OPENING_SECONDS, console.check_stop, from_failure=True).call(
        "pulling the inputs", lambda: fetch_inputs(config, workspace, console, environ, located=located))


def fetch_data(config: Config, workspace: Workspace, console: Console, environ: Mapping[str, str],
               present: bool = False) -> str:
    """Pull what ``data_url`` names, unless it is read in place. Returns its local folder; see ``fetch_inputs``."""
    url = config.data.data_url
    if url is None:
        if not os.path.isabs(config.data.dataroot):
            raise no_data()
        return config.data.dataroot
    if not is_remote(url):
        if not os.path.isdir(url):
            refuse_archive(url)
            raise no_directory(url)
        if used_in_place(config.data):
            return url
    destination = workspace.inputs(url)
    if present:
        return destination
    with open_store(url, environ, backend=config.platform.storage) as store:
        # No other URL uses the directory, so files that the bucket no longer has are deleted here as well.
        chosen = PulledData(config, store, workspace.root)
        try:
            report = pull(store, destination, workers=config.platform.transfer_workers, mirror=True,
                          on_progress=console.task("pull", "B"), choose=chosen, may_vanish=chosen.may_vanish)
        except ObjectNotFound:
            refuse_archive(url)
            raise
    log.info("data: %d files, %.1f MB fetched in %.1f s, %d files were present (%s)",
             report.files, report.bytes / 1e6, report.seconds, report.present_files, destination)
    return destination


def used_in_place(data: Data) -> bool:
    """Whether a run reads data_url in place: a local folder that is no pack, and from which nothing is excluded."""
    return not is_remote(data.data_url) and not data.exclude and not os.path.isfile(
        os.path.join(data.data_url, INDEX_NAME))


def local_root(data: Data) -> Optional[str]:
    """The local folder of the data that a run reads in place; None where data are pulled, or none are named."""
    if data.data_url is None:
        return data.dataroot if os.path.isabs(data.dataroot) else None
    return data.data_url if used_in_place(data) else None


def locate_data(config: Config, root: str) -> Tuple[str, Optional[str]]:
    """The directories of images and of lists (None without lists): as configured, or found by what they hold.

    Logs a warning about files that look like lists and are not used, unless filelist_root is none.

    Raises:
        DataError: there are no images, or a configured directory does not exist.
    """
    data, others = config.data, other_work_dirs(config, root)
    tree = Folder(root, skip=written_locally(config, others))
    for work_dir in others:
        log.info("data: what runs have written in %s is not data: another run used it as its work_dir", work_dir)
    pattern = data.list_pattern
    if data.dataroot == "auto":
        try:
            dataroot = find_dataroot(tree)
        except DataError:
            archives = archives_below(root)
            if archives:
                raise archive_error(archives, root) from None
            raise
    else:
        dataroot = _named_directory(root, data.dataroot, "dataroot")
    if data.filelist_root == "none":
        return dataroot, None
    if data.filelist_root == "auto":
        filelist_root = find_filelist_root(tree, dataroot, pattern)
    else:
        filelist_root = _named_directory(root, data.filelist_root, "filelist_root")
    beside = lists_beside(tree, dataroot, pattern) if filelist_root is None and root == local_root(data) else None
    if beside is not None:
        log.warning("%s holds lists of these domains, which are not used because they lie outside %s. To use them, set "
                    "--filelist_root=%s", beside, root, beside)
    unused = unused_lists(tree, dataroot, filelist_root, pattern)
    if unused:
        log.warning("%s", told_unused(unused, filelist_root))
    return dataroot, filelist_root


def told_unused(unused: Sequence[str], filelist_root: Optional[str]) -> str:
    """The warning about files that look like lists and are not used."""
    count = "1 file looks like a list and is not used" if len(unused) == 1 else (
        f"{len(unused)} files look like lists and are not used")
    mend = "--filelist_root and --list_pattern choose others" if filelist_root is not None else (
        "Name their folder with --filelist_root and their names with --list_pattern, or set --filelist_root=none to go "
        "by the folders alone")
    return f"{count}: {some(unused)}. {mend}"


def _named_directory(root: str, path: str, setting: str) -> str:
    directory = os.path.join(root, path)
    if not os.path.isdir(directory):
        raise NoSuchData(f"{setting}: there is no directory {directory} (relative paths start at the pulled data)")
    return directory
