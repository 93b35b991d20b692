"""The steps of a pull: list -> plan -> fetch to temporary names -> check size and digest -> rename -> check again.

A file at its final path is whole, and is the version that was listed. A file that is present is not fetched again.
"""
from __future__ import annotations

import errno
import logging
import os
from typing import Callable, Dict, Iterable, List, Optional, Tuple

from obs_sync import keys
from obs_sync.errors import IntegrityError, LocalStorageError, ObjectChanged, ObjectNotFound
from obs_sync.local.destination import Destination
from obs_sync.local.files import LocalFile, check_free_space, free_bytes, local_storage, make_directory
from obs_sync.parallel import OnProgress, Progress, in_turn, run_aside, run_parallel
from obs_sync.store import ObjectInfo, Store
from obs_sync.transfer.digests import compare_by_digest
from obs_sync.transfer.index import Index
from obs_sync.transfer.plan import Fetched, Plan, make_plan
from obs_sync.transfer.workspace import Workspace

_log = logging.getLogger(__name__)

_VERSIONS = 3          # versions of an object to try, if it is overwritten while it is being fetched
_HASHING_WORKERS = 4   # few, because the processor limits hashing
_BLOCK = 4096          # bytes; the space that a small file takes on most file systems
_FULL = (errno.ENOSPC, errno.EDQUOT)

Objects = Tuple[ObjectInfo, ...]


class Pull:
    """One pull into one destination. `place` returns the relative path of a key; `selects` says which keys count."""

    def __init__(self, store: Store, destination: str, place: Callable[[str], str], index_name: str,
                 on_progress: Optional[OnProgress], selects: Callable[[str], bool] = lambda key: True,
                 on_compare: Optional[OnProgress] = None, may_vanish: Callable[[str], bool] = lambda key: False):
        self._store = store
        self._may_vanish = may_vanish
        self._place = place
        self._destination = Destination(destination, place, store.locate)
        self._index_name = index_name
        self._on_progress = on_progress
        self._selects = selects
        self._on_compare = on_compare

    def run(self, listing: Callable[[], List[ObjectInfo]], prefix: str, workers: int,
            mirror: bool, finish: Optional[Callable[[], None]] = None) -> Tuple[Objects, Objects]:
        """Fetch what `listing()` returns. Returns (the fetched objects, the objects that were present).

        With `mirror`, delete files that an earlier pull fetched, whose key has the `prefix`, and that are no longer
        listed. `finish` is called at the end, before another pull may begin: so it deletes nothing that another pull
        has fetched since the listing.
        """
        make_directory(self._destination.root)
        survey = Progress(0, self._on_progress)
        with Workspace(self._destination.root, survey.report) as workspace:
            index = Index(workspace.path(self._index_name), self._store.url)
            known = index.load()
            objects = run_aside(listing, survey)
            plan, files = self._survey(objects, prefix, known, _folds_case(workspace), survey)
            self._check_space(plan.fetch, files, workspace.keep_unfinished(plan.fetch))
            vanished = self._begin(index, plan, files, known, prefix)
            try:
                fetched = self._fetch(plan.fetch, index, workspace, workers)
            finally:
                index.close()
            self._count_again(plan.present + fetched)
            if mirror:
                self._remove(vanished)
            if finish is not None:
                run_aside(finish, Progress(0, self._on_progress))
        return fetched, plan.present

    def preview(self, listing: Callable[[], List[ObjectInfo]], prefix: str) -> Plan:
        """What `run` would do now, all comparisons done. Writes nothing, and does not wait for other pulls."""
        survey = Progress(0, self._on_progress)
        index = Index(os.path.join(self._destination.root, keys.PRIVATE_DIRECTORY, self._index_name), self._store.url)
        objects = run_aside(listing, survey)
        return self._survey(objects, prefix, index.load(), False, survey)[0]

    def _survey(self, objects: List[ObjectInfo], prefix: str, known: Dict[str, Fetched], fold_case: bool,
                survey: Progress) -> Tuple[Plan, Dict[str, LocalFile]]:
        """The plan, all comparisons done, and the files that exist in the places of its objects, by key."""
        files = self._destination.look((info.key for info in objects), to_write=True)
        keys.check_together((self._place(info.key) for info in objects), self._store.locate(prefix), fold_case)
        return self._settled(make_plan(objects, files, known), survey), files

    def _begin(self, index: Index, plan: Plan, files: Dict[str, LocalFile], known: Dict[str, Fetched],
               prefix: str) -> Dict[str, Fetched]:
        """Start an index of the present files and of files that are not listed.

        Returns the records of selected files that are no longer in the source.
        """
        listed = {info.key for info in plan.present + plan.fetch}
        unlisted = {key: record for key, record in known.items() if key not in listed}
        present = {info.key: Fetched(info.size, info.etag, files[info.key].mtime_ns) for info in plan.present}
        index.start({**unlisted, **present})
        return {key: record for key, record in unlisted.items() if key.startswith(prefix) and self._selects(key)}

    def _settled(self, plan: Plan, survey: Progress) -> Plan:
        """The plan after all comparisons."""
        reading = Progress(_bytes(plan.compare), self._on_compare) if self._on_compare else survey

        def is_same(info: ObjectInfo) -> bool:
            try:
                return compare_by_digest(self._store, info, self._destination.path(info.key), reading.add).same is True
            except ObjectNotFound:  # fetching it reports that
                return False

        answers = run_parallel(is_same, plan.compare, _HASHING_WORKERS, reading)
        same = tuple(info for info, answer in zip(plan.compare, answers) if answer)
        other = tuple(info for info, answer in zip(plan.compare, answers) if not answer)
        return Plan(plan.present + same, (), plan.fetch + other)

    def _fetch(self, infos: Objects, index: Index, workspace: Workspace, workers: int) -> Objects:
        progress = Progress(_bytes(infos), self._on_progress)

        def fetch(group: List[ObjectInfo]) -> List[ObjectInfo]:
            temporaries = [workspace.unfinished(info) for info in group]
            group, temporaries = _download_current(self._store, group, temporaries, progress, self._may_vanish)
            progress.check()
            if not group:
                return group
            with in_turn():
                times = _settle_times(temporaries, group)
                self._destination.put(temporaries, [info.key for info in group])
            index.add_all({info.key: Fetched(info.size, info.etag, mtime_ns) for info, mtime_ns in zip(group, times)})
            return group

        try:
            groups = run_parallel(fetch, self._store.together(infos), workers, progress)
            fetched = tuple(info for group in groups for info in group)
            if len(fetched) < len(infos):
                _log.info("%d objects below %s were deleted while they were being fetched", len(infos) - len(fetched),
                          self._store.url)
            return fetched
        except LocalStorageError as error:
            if not isinstance(error.__cause__, OSError) or error.__cause__.errno not in _FULL:
                raise
            free = free_bytes(self._destination.root)
            raise LocalStorageError(f"{error.what} while fetching {_bytes(infos):,} bytes, {free:,} are free now",
                                    error.where, error.mend) from error

    def _check_space(self, infos: Iterable[ObjectInfo], files: Dict[str, LocalFile], held: int) -> None:
        """Raise LocalStorageError if the disk has too little space. `held`: bytes that are on the disk already."""
        needed = sum(_on_disk(info.size) for info in infos)
        replaced = sum(_on_disk(files[info.key].size) for info in infos if info.key in files)
        check_free_space(self._destination.root, max(0, needed - replaced - held))

    def _count_again(self, infos: Objects) -> None:
        """Raise IntegrityError unless every listed object is present now, with its size."""
        files = self._destination.look(info.key for info in infos)
        for info in infos:
            file = files.get(info.key)
            if file is None or file.size != info.size:
                found = "nothing" if file is None else f"{file.size} bytes"
                raise IntegrityError(f"expected {info.size} bytes after the transfer, found {found}",
                                     self._destination.path(info.key),
                                     "Make sure that no other process writes to this directory, and run it again")

    def _remove(self, vanished: Dict[str, Fetched]) -> None:
        files = self._destination.look(vanished)
        self._destination.remove(key for key, record in vanished.items()  # fetched by us, and unchanged since
                                 if files.get(key) == LocalFile(record.size, record.mtime_ns))


def _download_current(store: Store, group: List[ObjectInfo], temporaries: List[str], progress: Progress,
                      may_vanish: Callable[[str], bool]) -> Tuple[List[ObjectInfo], List[str]]:
    """Download these versions, or newer ones that have replaced them. Returns the versions and their paths."""
    if len(group) > 1:
        try:
            store.download_all(group, temporaries, progress.add)
            return group, temporaries
        except (ObjectChanged, ObjectNotFound):
            pass  # find out which by fetching them one by one
    found: List[Tuple[ObjectInfo, str]] = []
    for info, temporary in zip(group, temporaries):
        try:
            found.append((_download_version(store, info, temporary, progress), temporary))
        except ObjectNotFound:
            if not may_vanish(info.key):
                raise
            progress.add(info.size)
    return [info for info, _ in found], [temporary for _, temporary in found]


def _download_version(store: Store, info: ObjectInfo, temporary: str, progress: Progress) -> ObjectInfo:
    for _ in range(_VERSIONS - 1):
        try:
            store.download(info, temporary, progress.add)
            return info
        except ObjectChanged:
            info = store.head(info.key)
    store.download(info, temporary, progress.add)
    return info


def _settle_times(paths: List[str], infos: List[ObjectInfo]) -> List[int]:
    """Set the times of files to those of their objects, if known. Returns the files' times in ns."""
    times = []
    with local_storage(os.path.dirname(paths[0])):
        for path, info in zip(paths, infos):
            if info.modified is not None:
                os.utime(path, (info.modified, info.modified))
            times.append(os.stat(path).st_mtime_ns)
    return times


def _folds_case(workspace: Workspace) -> bool:
    """Whether the destination's file system ignores case: whether 'a' and 'A' are the same name."""
    probe = workspace.temporary() + "-probe"
    with local_storage(probe):
        open(probe, "wb").close()
        folds = os.path.exists(os.path.join(os.path.dirname(probe), os.path.basename(probe).upper()))
        os.remove(probe)
    return folds


def _bytes(infos: Iterable[ObjectInfo]) -> int:
    return sum(info.size for info in infos)


def _on_disk(size: int) -> int:
    return -(-size // _BLOCK) * _BLOCK
