"""The steps of a push: list the tree and the store -> plan -> send -> list again and compare -> delete.

An object that `push` reports as stored was in a listing afterwards, with the size and the version that were sent.
"""
from __future__ import annotations

import os
from typing import Callable, Dict, Iterable, List, NamedTuple, Optional, Tuple

from obs_sync.errors import IntegrityError, LocalStorageError, StoreError, UnsafeKey
from obs_sync.keys import check_key, directories_of
from obs_sync.local.files import files_below
from obs_sync.odd_keys import naming_exclude
from obs_sync.packs.index import INDEX_NAME as PACK_INDEX
from obs_sync.packs.index import read_index
from obs_sync.parallel import OnProgress, Progress, run_aside, run_parallel
from obs_sync.store import ObjectInfo, Store
from obs_sync.transfer.digests import compare_by_digest

_NAMED = 3  # faults that a message lists


class PushPlan(NamedTuple):
    send: Tuple[Tuple[str, int], ...]   # (key, bytes) of the files to store
    present: Tuple[ObjectInfo, ...]     # stored already, with the same content
    extra: Tuple[ObjectInfo, ...]       # stored, but not in the tree; in a local folder, nothing behind a link


class Push:
    """One push of one tree. `selects` says which keys count; it gets them relative to `prefix`."""

    def __init__(self, store: Store, source: str, prefix: str, workers: int, on_progress: Optional[OnProgress],
                 selects: Callable[[str], bool], on_compare: Optional[OnProgress] = None):
        self._store = store
        self._source = source
        self._prefix = prefix
        self._workers = workers
        self._on_progress = on_progress
        self._selects = selects
        self._on_compare = on_compare

    def plan(self) -> PushPlan:
        """Compare the tree with the store.

        Raises, before anything is stored, if a name cannot be a key or if something in the tree cannot be stored.
        """
        if not os.path.isdir(self._source):
            raise LocalStorageError("there is no such directory to store", self._source)
        files = {self._prefix + name: stat.st_size for name, stat in files_below(self._source, self._selects)
                 if self._selects(name)}
        with naming_exclude(lambda: files):
            for key in files:
                check_key(key, self._store.locate(key))
        survey = Progress(0, self._on_progress)
        stored = self._listing(survey)
        _check_beside(files, stored, self._store)
        self._store.check_places(files)
        self._check_pack(files, stored)
        same_size = [key for key, size in files.items() if key in stored and stored[key].size == size]

        reading = Progress(sum(files[key] for key in same_size), self._on_compare) if self._on_compare else survey

        def is_unchanged(key: str) -> bool:
            reading.check()
            return compare_by_digest(self._store, stored[key], self._path(key), reading.add).same is True

        answers = run_parallel(is_unchanged, same_size, self._workers, reading)
        unchanged = {key for key, answer in zip(same_size, answers) if answer}
        return PushPlan(tuple((key, size) for key, size in files.items() if key not in unchanged),
                        tuple(stored[key] for key in files if key in unchanged),
                        tuple(info for key, info in stored.items() if key not in files and self._is_ours(info)))

    def run(self, plan: PushPlan, delete: bool) -> List[ObjectInfo]:
        """Store what the plan says, confirm it, and with `delete` delete extra objects. Returns the stored objects."""
        if delete and not plan.send and not plan.present:
            raise LocalStorageError("there is nothing to store, so nothing is deleted either", self._source,
                                    "Check the path and the patterns. To delete all objects, use another tool")
        moving = Progress(sum(size for _, size in plan.send), self._on_progress)
        sent: List[ObjectInfo] = []
        for keys in _markers_last([key for key, _ in plan.send], plan.present):
            sent += run_parallel(lambda key: self._store.upload(self._path(key), key, moving.add), keys, self._workers,
                                 moving)
        if sent:
            self._confirm(sent + list(plan.present), moving)
        if delete and plan.extra:
            # `x.json` sorts before `x/...`: a checkpoint is never seen without its files.
            names = sorted(info.key for info in plan.extra)
            run_aside(lambda: self._store.delete(names), moving)
        return sent

    def _confirm(self, expected: List[ObjectInfo], progress: Progress) -> None:
        """Raise IntegrityError unless a listing shows everything now, in the versions that were sent or present."""
        stored = self._listing(progress)
        wrong = [fault for fault in (_fault(info, stored.get(info.key)) for info in expected) if fault]
        if wrong:
            more = f" and {len(wrong) - _NAMED} more" if len(wrong) > _NAMED else ""
            raise IntegrityError(f"{len(wrong)} of {len(expected)} objects are not what was stored: "
                                 f"{'; '.join(wrong[:_NAMED])}{more}", self._store.locate(self._prefix),
                                 "Make sure that no other process writes there, and run it again")

    def _listing(self, progress: Progress) -> Dict[str, ObjectInfo]:
        return {info.key: info for info in run_aside(lambda: list(self._store.list(self._prefix)), progress)}

    def _check_pack(self, files: Dict[str, int], stored: Dict[str, ObjectInfo]) -> None:
        """Raise StoreError if a file is in the pack there: a pull could not know which of the two is meant."""
        key = self._prefix + PACK_INDEX
        if key in stored and key not in files:
            index = read_index(self._store, key)
            both = [member.key for member in index.members if self._prefix + member.key in files]
            if both:
                raise StoreError(f"{len(both):,} of the files are in the pack here already, such as {both[0]!r}, and "
                                 "would be stored twice", self._store.locate(self._prefix),
                                 "Pack the folder again, or push it to another place")

    def _is_ours(self, info: ObjectInfo) -> bool:
        """Whether an object counts: it is selected, and not behind a link."""
        name = info.key[len(self._prefix):]
        return not info.linked and self._selects(name)

    def _path(self, key: str) -> str:
        return os.path.join(self._source, *key[len(self._prefix):].split("/"))


def _fault(info: ObjectInfo, found: Optional[ObjectInfo]) -> Optional[str]:
    if found is None:
        return f"{info.key!r} is not listed"
    if found.size != info.size:
        return f"{info.key!r} has {found.size:,} bytes, {info.size:,} were stored"
    if found.etag is not None and info.etag is not None:  # compared as a version; it may not be an MD5, see `digests`
        return None if found.etag == info.etag else f"{info.key!r} is another version than the one stored"
    if found.md5 is not None and info.md5 is not None and found.md5 != info.md5:
        return f"{info.key!r} has the MD5 {found.md5}, not {info.md5}"
    return None


def _markers_last(keys: List[str], present: Iterable[ObjectInfo]) -> List[List[str]]:
    """Keys in two groups: last those that say that others are whole, `x.json` beside files `x/...` and pack indexes."""
    directories = {directory for key in keys for directory in directories_of(key)}
    directories.update(directory for info in present for directory in directories_of(info.key))
    last = {key for key in keys if key.endswith(".json") and key[:-len(".json")] in directories
            or key.rpartition("/")[2] == PACK_INDEX}
    return [part for part in ([key for key in keys if key not in last], sorted(last)) if part]


def _check_beside(files: Dict[str, int], stored: Dict[str, ObjectInfo], store: Store) -> None:
    """Raise UnsafeKey for a key that is a file here and a directory there, or the reverse: no pull could fetch both."""
    directories = {directory for key in files for directory in directories_of(key)}
    for key, info in stored.items():
        if not info.size and key in directories:  # it only stands for the folder
            continue
        clash = key if key in directories else next((each for each in directories_of(key) if each in files), None)
        if clash is not None:
            what = "a directory here and an object in the store" if clash == key else "a file here and a folder there"
            raise UnsafeKey(f"{clash!r} is {what}; no pull could fetch both", store.locate(key),
                            "Remove or rename one of the two")
