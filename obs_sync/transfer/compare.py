"""A directory and a store side by side: what is the same, what differs and why, what only one of the two has."""
from __future__ import annotations

import hashlib
import os
from typing import Callable, Dict, Iterable, Mapping, NamedTuple, Optional, Set, Tuple

from obs_sync.errors import LocalStorageError, WrongDigest
from obs_sync.keys import PRIVATE_DIRECTORY, check_key
from obs_sync.local.files import digest_of, files_below
from obs_sync.local.removing import ExtraFile
from obs_sync.odd_keys import naming_exclude
from obs_sync.packs.index import INDEX_NAME as PACK_INDEX
from obs_sync.packs.store import unpacked
from obs_sync.parallel import OnProgress, Progress, run_aside, run_parallel
from obs_sync.store import ObjectInfo, OnBytes, Store
from obs_sync.transfer.digests import Answer, compare_by_digest, judge
from obs_sync.transfer.index import INDEX_NAME, Index
from obs_sync.transfer.plan import Fetched

_RANGE = 8 << 20  # bytes of an object that are in memory at once

Files = Mapping[str, os.stat_result]
"""The files of a directory by key."""


class Difference(NamedTuple):
    info: ObjectInfo
    why: str


class Comparison(NamedTuple):
    """Every selected object and every selected file is in exactly one of the five."""

    same: Tuple[ObjectInfo, ...]       # by digest, or by the index
    size_only: Tuple[ObjectInfo, ...]  # same size, and no digest of the object is known; perhaps it is `encrypted`
    differ: Tuple[Difference, ...]
    only_stored: Tuple[ObjectInfo, ...]
    only_local: Tuple[ExtraFile, ...]


def compare(store: Store, directory: str, workers: int = 8, on_progress: Optional[OnProgress] = None,
            selects: Callable[[str], bool] = lambda key: True, full: bool = False,
            trust_index: bool = False) -> Comparison:
    """Compare the objects of `store` with the files below `directory`, by size and then by digest (`digests`).

    The members of a pack are compared one by one, unless `directory` is a copy of the pack itself.

    Args:
        on_progress: called with (bytes read, bytes to read) of files or, with `full`, of objects. selects: which keys
            count. full: read every object that has the right size, and compare SHA-256s, whatever digest the store
            tells. trust_index: do not read a file that a pull has fetched and that has not been changed since.

    Raises LocalStorageError if there is no such directory, or if something that is selected is not a file, in it or in
    a store that is a directory; UnsafeKey for a key that cannot be a file.
    """
    if not os.path.isdir(directory):
        raise LocalStorageError("there is no such directory to compare", directory, "Check the path")
    if not os.path.exists(os.path.join(directory, PACK_INDEX)):
        store = unpacked(store, "")
    stored = _stored(store, selects, Progress(0, on_progress))
    files = {key: status for key, status in files_below(directory, selects) if selects(key)}
    both = [info for key, info in stored.items() if key in files]
    fetched = _fetched(store, directory, both, files) if trust_index else set()
    to_read = [info for info in both if files[info.key].st_size == info.size and info.key not in fetched]
    moving = Progress(sum(info.size for info in to_read), on_progress)

    def look(info: ObjectInfo) -> Answer:
        moving.check()
        path = os.path.join(directory, *info.key.split("/"))
        if full:
            return _compare_whole(store, info, path, moving)
        return compare_by_digest(store, info, path, moving.add)

    read = {info.key: answer for info, answer in zip(to_read, run_parallel(look, to_read, workers, moving))}

    def answer_of(info: ObjectInfo) -> Answer:
        if info.key in fetched:
            return Answer(True, "", info)
        return read.get(info.key) or Answer(False, _sizes(info.size, files[info.key].st_size), info)

    return _comparison({info.key: answer_of(info) for info in both}, stored, files)


def _stored(store: Store, selects: Callable[[str], bool], survey: Progress) -> Dict[str, ObjectInfo]:
    """The selected objects, by key. Raises UnsafeKey for a key that cannot be a file."""
    stored = {info.key: info for info in run_aside(lambda: list(store.list_completely("", selects)), survey)
              if selects(info.key)}
    with naming_exclude(lambda: stored):
        for key in stored:
            check_key(key, store.locate(key))
    return stored


def _fetched(store: Store, directory: str, both: Iterable[ObjectInfo], files: Files) -> Set[str]:
    """The keys of files that a pull has fetched as these versions, and that have not been changed since."""
    index = Index(os.path.join(os.path.realpath(directory), PRIVATE_DIRECTORY, INDEX_NAME), store.url).load()
    return {info.key for info in both if info.etag is not None and files[info.key].st_size == info.size
            and index.get(info.key) == Fetched(info.size, info.etag, files[info.key].st_mtime_ns)}


def _comparison(answers: Mapping[str, Answer], stored: Mapping[str, ObjectInfo], files: Files) -> Comparison:
    """`answers`: by key, of what is on both sides."""
    return Comparison(
        same=tuple(stored[key] for key, answer in answers.items() if answer.same),
        size_only=tuple(answer.info for answer in answers.values() if answer.same is None),
        differ=tuple(Difference(stored[key], answer.why) for key, answer in answers.items() if answer.same is False),
        only_stored=tuple(info for key, info in stored.items() if key not in files),
        only_local=tuple(ExtraFile(key, status.st_size) for key, status in files.items() if key not in stored))


def stored_sha256(store: Store, info: ObjectInfo, on_bytes: OnBytes) -> str:
    """The SHA-256 of exactly the version `info`, read through in pieces that are not kept."""
    digest = hashlib.sha256()
    for offset in range(0, info.size, _RANGE):
        digest.update(store.read_range(info, offset, min(_RANGE, info.size - offset), on_bytes))
    return digest.hexdigest()


def _compare_whole(store: Store, info: ObjectInfo, path: str, moving: Progress) -> Answer:
    try:
        stored = stored_sha256(store, info, moving.add)
    except WrongDigest as error:  # for example of a member of a pack, whose SHA-256 is in the pack's index
        return Answer(False, error.what, info)
    local = digest_of(path, "sha256", lambda _: moving.check())
    return judge(info, "SHA-256", stored, local)


def _sizes(stored: int, local: int) -> str:
    return f"{stored:,} bytes there, {local:,} here"
