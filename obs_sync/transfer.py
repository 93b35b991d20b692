"""Trees of files between a store and the local disk.

A pull is: list -> plan -> fetch to temporary names -> check size and digest -> rename -> count again. A file
at its final path is whole and is the version that was listed. What was fetched before is not fetched again.
"""
from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import Callable, Dict, Iterable, List, Optional, Tuple

from obs_sync import keys
from obs_sync.errors import CHECK_PATH, IntegrityError, LocalStorageError, ObjectChanged, ObjectNotFound
from obs_sync.index import Index
from obs_sync.local_files import (
    check_free_space, digest_of, files_below, free_bytes, local_storage, make_directory,
)
from obs_sync.parallel import OnProgress, Progress, run_parallel
from obs_sync.plan import Fetched, LocalFile, Plan, make_plan
from obs_sync.store import ObjectInfo, Store
from obs_sync.workspace import Workspace

_VERSIONS = 3          # how often an object may change under us before we give up on it
_HASHING_WORKERS = 4   # hashing is bound by the processor
_BLOCK = 4096          # bytes; what a small file takes on most file systems


@dataclass(frozen=True)
class TransferReport:
    files: int          # moved
    bytes: int
    present_files: int  # found in place already
    present_bytes: int
    seconds: float


def pull(store: Store, destination: str, prefix: str = "", workers: int = 16,
         on_progress: Optional[OnProgress] = None, mirror: bool = False) -> TransferReport:
    """Bring every object whose key starts with `prefix` to `destination`/key.

    `on_progress(done, total)` counts bytes to be fetched; while the listing is under way it is called with
    (0, 0). With `mirror`, files that an earlier pull brought and that the source no longer has are removed;
    other files of the destination are never touched.

    Raises ObjectNotFound if there is nothing below the prefix, UnsafeKey before anything is fetched if a key
    cannot be a file below the destination, LocalStorageError, and the store's own errors.
    """
    def listing() -> List[ObjectInfo]:
        found = list(store.list(prefix))
        if not any(not keys.is_directory_marker(info.key, info.size) for info in found):
            raise ObjectNotFound("there is nothing to fetch below", store.locate(prefix),
                                 CHECK_PATH)
        return found

    return _Pull(store, destination, lambda key: key, "index.jsonl", on_progress).run(listing, prefix, workers, mirror)


def pull_file(store: Store, key: str, path: str, on_progress: Optional[OnProgress] = None) -> TransferReport:
    """Bring one object to the file `path`. Raises as `pull` does."""
    directory, name = os.path.split(os.path.abspath(path))
    one = _Pull(store, directory, lambda _: name, f"{name}.index.jsonl", on_progress)
    return one.run(lambda: [store.head(key)], key, workers=1, mirror=False)


def push(store: Store, source: str, prefix: str = "", workers: int = 8,
         on_progress: Optional[OnProgress] = None) -> TransferReport:
    """Store every file below the directory `source` under `prefix` + its relative path.

    An object of the same size and MD5 is left as it is; nothing is deleted. `on_progress(done, total)` counts
    bytes to be stored. A file whose name cannot be a key raises UnsafeKey before anything is stored.
    """
    started = time.monotonic()
    if not os.path.isdir(source):
        raise LocalStorageError("there is no such directory to store", source)
    files = {keys.check_key(prefix + name, store.locate(prefix + name)): (os.path.join(source, name), stat.st_size)
             for name, stat in files_below(source)}
    survey = Progress(0, on_progress)
    remote = {info.key: info for info in _listed(store, prefix, survey)}
    same_size = [key for key, (_, size) in files.items() if key in remote and remote[key].size == size]

    def is_unchanged(key: str) -> bool:
        survey.check()
        md5 = remote[key].md5 or store.head(key).md5
        return md5 is not None and md5 == digest_of(files[key][0])

    unchanged = {key for key, same in zip(same_size, run_parallel(is_unchanged, same_size, workers, survey)) if same}
    changed = [key for key in files if key not in unchanged]
    moving = Progress(sum(files[key][1] for key in changed), on_progress)
    sent = run_parallel(lambda key: store.upload(files[key][0], key, moving.add), changed, workers, moving)
    return TransferReport(len(sent), sum(info.size for info in sent), len(unchanged),
                          sum(files[key][1] for key in unchanged), time.monotonic() - started)


def _listed(store: Store, prefix: str, progress: Progress) -> List[ObjectInfo]:
    """The listing, fetched while this thread reports progress (and so can be told to stop)."""
    return run_parallel(lambda _: list(store.list(prefix)), [None], 1, progress)[0]


class _Pull:
    """One pull into one destination; `place` says which relative path a key has."""

    def __init__(self, store: Store, destination: str, place: Callable[[str], str], index_name: str,
                 on_progress: Optional[OnProgress]):
        self._store = store
        self._destination = os.path.realpath(destination)
        self._place = place
        self._index_name = index_name
        self._on_progress = on_progress

    def run(self, listing: Callable[[], List[ObjectInfo]], prefix: str, workers: int, mirror: bool) -> TransferReport:
        started = time.monotonic()
        make_directory(self._destination)
        survey = Progress(0, self._on_progress)
        with Workspace(self._destination, survey.report) as workspace:
            objects = run_parallel(lambda _: listing(), [None], 1, survey)[0]
            plan, index, vanished = self._survey(objects, prefix, workspace, survey)
            try:
                fetched = self._fetch(plan.fetch, index, workspace, workers)
            finally:
                index.close()
        self._count_again(plan.present + fetched)
        if mirror:
            self._remove(vanished)
        return TransferReport(len(fetched), _bytes(fetched), len(plan.present), _bytes(plan.present),
                              time.monotonic() - started)

    def _survey(self, objects: List[ObjectInfo], prefix: str, workspace: Workspace,
                survey: Progress) -> Tuple[Plan, Index, Dict[str, Fetched]]:
        """The settled plan (nothing left to compare), an index that holds what is present, and what has
        vanished.
        """
        wanted = [info for info in objects if not keys.is_directory_marker(info.key, info.size)]
        paths = {info.key: self._path(info.key) for info in wanted}
        keys.check_together((self._place(key) for key in paths), self._store.locate(prefix),
                            fold_case=_folds_case(workspace))
        index = Index(workspace.path(self._index_name), self._store.url)
        known = index.load()
        files = {key: file for key, file in ((key, _local_file(path)) for key, path in paths.items()) if file}
        plan = make_plan(wanted, files, known)

        def is_same(info: ObjectInfo) -> bool:
            survey.check()
            return digest_of(paths[info.key]) == info.md5

        answers = run_parallel(is_same, plan.compare, _HASHING_WORKERS, survey)
        same = tuple(info for info, answer in zip(plan.compare, answers) if answer)
        other = tuple(info for info, answer in zip(plan.compare, answers) if not answer)
        plan = Plan(plan.present + same, (), plan.fetch + other)
        vanished = {key: record for key, record in known.items() if key.startswith(prefix) and key not in paths}
        believed = {key: record for key, record in known.items() if key not in paths}
        believed.update({info.key: Fetched(info.size, info.etag, files[info.key].mtime_ns) for info in plan.present})
        self._check_space(plan.fetch, files)
        index.start(believed)
        return plan, index, vanished

    def _fetch(self, infos: Tuple[ObjectInfo, ...], index: Index, workspace: Workspace,
               workers: int) -> Tuple[ObjectInfo, ...]:
        progress = Progress(_bytes(infos), self._on_progress)

        def fetch(info: ObjectInfo) -> ObjectInfo:
            temporary = workspace.temporary()
            info = _download_current(self._store, info, temporary, progress)
            path = self._path(info.key)  # looked at again: a link may have appeared
            with local_storage(path):
                if info.modified is not None:
                    os.utime(temporary, (info.modified, info.modified))
                mtime_ns = os.stat(temporary).st_mtime_ns
                os.makedirs(os.path.dirname(path), exist_ok=True)
                progress.check()
                os.replace(temporary, path)
            index.add(info.key, Fetched(info.size, info.etag, mtime_ns))
            return info

        try:
            return tuple(run_parallel(fetch, infos, workers, progress))
        except LocalStorageError as error:
            raise LocalStorageError(
                f"{error.what} while fetching {_bytes(infos):,} bytes, {free_bytes(self._destination):,} are free now",
                self._destination, error.mend) from error

    def _path(self, key: str) -> str:
        return keys.writable_path_below(self._destination, self._place(key), self._store.locate(key))

    def _check_space(self, infos: Iterable[ObjectInfo], files: Dict[str, LocalFile]) -> None:
        needed = sum(_on_disk(info.size) for info in infos)
        replaced = sum(_on_disk(files[info.key].size) for info in infos if info.key in files)
        check_free_space(self._destination, max(0, needed - replaced))

    def _count_again(self, infos: Tuple[ObjectInfo, ...]) -> None:
        """No silent success: every listed object is there now, with its size."""
        for info in infos:
            file = _local_file(self._path(info.key))
            if file is None or file.size != info.size:
                found = "nothing" if file is None else f"{file.size} bytes"
                raise IntegrityError(f"expected {info.size} bytes after the transfer and found {found}",
                                     self._path(info.key), "Does something else write to this directory? Run it again")

    def _remove(self, vanished: Dict[str, Fetched]) -> None:
        for key, record in vanished.items():
            path = self._path(key)
            if _local_file(path) == LocalFile(record.size, record.mtime_ns):  # ours, and untouched since
                with local_storage(path):
                    os.remove(path)


def _download_current(store: Store, info: ObjectInfo, temporary: str, progress: Progress) -> ObjectInfo:
    """Download the version `info`, or the one that has replaced it meanwhile; returns which."""
    for last_try in [False] * (_VERSIONS - 1) + [True]:
        moved = 0

        def count(amount: int) -> None:
            nonlocal moved
            moved += amount
            progress.add(amount)

        try:
            store.download(info, temporary, count)
            return info
        except ObjectChanged:
            if last_try:
                raise
            progress.add(-moved)
            info = store.head(info.key)
    raise AssertionError("not reached")


def _local_file(path: str) -> Optional[LocalFile]:
    """What is at `path`, if it is a regular file and no link."""
    with local_storage(path):
        try:
            stat = os.lstat(path)
        except (FileNotFoundError, NotADirectoryError):
            return None
    is_regular = os.path.isfile(path) and not os.path.islink(path)
    return LocalFile(stat.st_size, stat.st_mtime_ns) if is_regular else None


def _folds_case(workspace: Workspace) -> bool:
    """Whether the destination's file system takes 'a' and 'A' for the same name."""
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
