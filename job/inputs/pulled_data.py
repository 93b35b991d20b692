"""Which objects below data_url a run pulls: the data, and not the results that this and other runs have stored there.

The results of a run are its run.json and logs, known by their names, and everything in its `checkpoints/`, `lease/` and
`exports/`. The folder of another run is known by the names in the first two and by its run.json. Any other object in
the folder of a run is pulled.
"""
from __future__ import annotations

import logging
import os
import posixpath
import re
from typing import List, Optional, Sequence, Set, Tuple

from job.config.kinds import filters_of
from job.config.settings import Config
from job.environment import default_work_dir
from job.publication.run_record import NAME, read_published
from job.workspace import WRITTEN, is_work_dir
from obs_sync import IntegrityError, ObjectInfo, ObjectNotFound, Store, is_remote, parse_url

log = logging.getLogger(__name__)

_OF_A_RUN = re.compile(r"(.+)/(?:checkpoints/ckpt-\d{6,}-[\w-]+(?:\.json\Z|/)|lease/\d{8}T\d{6}Z-[0-9a-f]{12}\.)")
_LOG_FILES = re.compile(
    r"(run\.json|eva\.txt|metrics\.jsonl|images\.json\.gz|report\.html|offenders\.txt|events\.out\.tfevents\..*)\Z")
_FOLDERS = ("checkpoints/", "lease/", "logs/", "exports/")  # of a run


def written_locally(config: Config, others: Sequence[str]) -> List[str]:
    """Local directories that runs write to, and that are not data: in work_dir, and this run's in a local train_url.

    Args:
        others: the work_dirs of other runs, as ``other_work_dirs`` finds them.
    """
    platform = config.platform
    work_dirs = [platform.work_dir or default_work_dir(), *others]
    written = [os.path.join(work_dir, name) for work_dir in work_dirs for name in WRITTEN]
    if platform.train_url is not None and not is_remote(platform.train_url):
        run = os.path.join(parse_url(platform.train_url).path, config.run_name)
        written += [os.path.join(run, name) for name in _FOLDERS]
    return written


def other_work_dirs(config: Config, root: str) -> List[str]:
    """The directory ``root`` and those directly in it, as far as other runs have used them as their work_dir."""
    own = os.path.realpath(config.platform.work_dir or default_work_dir())
    try:
        below = [os.path.join(root, name) for name in sorted(os.listdir(root))]
    except OSError:  # told where the data are read
        return []
    return [path for path in [root] + below if is_work_dir(path) and os.path.realpath(path) != own]


class PulledData:
    """Selects the data in a listing of data_url.

    Args:
        store: of data_url. work_dir: local working directory, whose files are not data either.
    """

    def __init__(self, config: Config, store: Store, work_dir: str) -> None:
        self._config, self._store = config, store
        self._filters = filters_of(config.data.exclude)
        url, train_url = config.data.data_url, config.platform.train_url
        self._results = None if train_url is None else _below(url, train_url)
        self._own = None if train_url is None else _below(url, train_url.rstrip("/") + "/" + config.run_name)
        self._work = _below(url, work_dir)
        self._named = [posixpath.normpath(path) for path in (config.data.weights_path, config.data.filelist_root)
                       if path not in (None, "auto", "none") and not os.path.isabs(path) and not is_remote(path)]

    def may_vanish(self, key: str) -> bool:
        """Whether an object lies where results are stored. The pull goes on where such an object disappears."""
        return bool(self._results) and key.startswith(self._results)

    def __call__(self, infos: Sequence[ObjectInfo]) -> List[ObjectInfo]:
        """The objects of the listing that are pulled. The log says how many of the others there are, and why.

        Raises:
            ObjectNotFound: none is left.
        """
        runs = self._runs(infos)
        folders = tuple(run + folder for run in runs for folder in _FOLDERS)
        pulled, of_runs, excluded = [], 0, 0
        for info in infos:
            if not self._filters.selects(info.key):
                excluded += 1
            elif self._is_result(info.key, runs, folders) and not self._is_named(info.key):
                of_runs += 1
            else:
                pulled.append(info)
        told = []
        if of_runs:
            example = f", such as below {self._store.locate(min(runs))}" if runs else ""
            told.append(f"{of_runs:,} objects that runs have stored{example}")
        if excluded:
            told.append(f"{excluded:,} objects that exclude matches")
        if not pulled:
            raise ObjectNotFound(f"nothing is left to fetch of {len(infos):,} objects ({', '.join(told)}) below",
                                 self._store.url, "Check data_url and exclude")
        if told:
            log.info("data: left out of the pull: %s", ", ".join(told))
        for rule in self._filters.idle:
            log.warning("exclude: %s matches no key below %s", rule.pattern, self._store.url)
        return pulled

    def _runs(self, infos: Sequence[ObjectInfo]) -> Set[str]:
        """The folders of runs, each ending in "/"; "" where data_url itself is one."""
        runs = set() if self._own is None else {self._own}
        records = []
        for info in infos:
            key = info.key
            if "/checkpoints/ckpt-" in key or "/lease/" in key:
                found = _OF_A_RUN.match(key)
                if found:
                    runs.add(found.group(1) + "/")
            elif key.endswith("/" + NAME):
                records.append(key[:-len(NAME)])
        return runs | {folder for folder in records if folder not in runs and self._is_run(folder)}

    def _is_run(self, folder: str) -> bool:
        try:
            read_published(self._store, folder)
            return True  # also if run.json does not exist any more, because the run is being deleted
        except IntegrityError:  # a run.json of another program
            return False

    def _is_result(self, key: str, runs: Set[str], folders: Tuple[str, ...]) -> bool:
        if self._work and key.startswith(self._work):
            return True
        if key.startswith(folders):
            return True
        folder, slash, name = key.rpartition("/")
        return folder + slash in runs and _LOG_FILES.match(name) is not None

    def _is_named(self, key: str) -> bool:
        """Whether a setting names the object or a folder above it."""
        return any(key == path or key.startswith(path + "/") for path in self._named)


def _below(url: str, inner: str) -> Optional[str]:
    """The path from ``url`` to ``inner``, ending in "/"; "" if they are the same, None if ``inner`` is not below."""
    outer, inner = parse_url(url), parse_url(inner)
    if outer.is_local != inner.is_local:
        return None
    above = os.path.realpath(outer.path).rstrip("/") + "/" if outer.is_local else outer.url
    below = os.path.realpath(inner.path).rstrip("/") + "/" if inner.is_local else inner.url
    return below[len(above):] if below.startswith(above) else None
