"""A tree and a store side by side: what is the same, what differs and why, what is on one side only."""
from __future__ import annotations

import hashlib
import os
from typing import Callable, Dict, Mapping, NamedTuple, Optional, Tuple

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


class Difference(NamedTuple):
    info: ObjectInfo
    why: str


class Comparison(NamedTuple):
    """Every selected object and every selected file is in exactly one of the five."""

    same: Tuple[ObjectInfo, ...]       # the digest says so, or the index
    size_only: Tuple[ObjectInfo, ...]  # as large, and no digest is known of it; `encrypted` may be why
    differ: Tuple[Difference, ...]
    only_stored: Tuple[ObjectInfo, ...]
    only_local: Tuple[ExtraFile, ...]


def compare(store: Store, directory: str, workers: int = 8, on_progress: Optional[OnProgress] = None,
            selects: Callable[[str], bool] = lambda key: True, full: bool = False,
            trust_index: bool = False) -> Comparison:
    """Compare the objects of `store` with the files below `directory`, by size and then by digest (`digests`).

    Of a pack its members are compared, unless `directory` is a copy of the pack itself.

    With `full` every object of the right size is read from the store and compared by SHA-256, whatever the store
    says of its digest. `trust_index` spares files that a pull has fetched and nobody touched since. `selects` says
    which keys count. `on_progress(done, total)` counts bytes that are read, of files or, with `full`, objects.

    Raises LocalStorageError if there is no such directory, or something in it, or in the store that is one, that is
    no file and selected; UnsafeKey for a key that cannot be a file.
    """
    if not os.path.isdir(directory):
        raise LocalStorageError("there is no such directory to compare", directory, "Check the path")
    if not os.path.exists(os.path.join(directory, PACK_INDEX)):
        store = unpacked(store, "")
    survey = Progress(0, on_progress)
    stored = {info.key: info for info in run_aside(lambda: list(store.list_completely("", selects)), survey)
              if selects(info.key)}
    with naming_exclude(lambda: stored):
        for key in stored:
            check_key(key, store.locate(key))
    files = {key: status for key, status in files_below(directory, selects) if selects(key)}
    both = [info for key, info in stored.items() if key in files]
    trusted = _index(directory, store) if trust_index else {}
    told = {info.key for info in both if info.etag is not None and trusted.get(info.key) == Fetched(
        info.size, info.etag, files[info.key].st_mtime_ns) and files[info.key].st_size == info.size}
    to_read = [info for info in both if files[info.key].st_size == info.size and info.key not in told]
    moving = Progress(sum(info.size for info in to_read), on_progress)

    def look(info: ObjectInfo) -> Answer:
        moving.check()
        path = os.path.join(directory, *info.key.split("/"))
        if full:
            return _compare_whole(store, info, path, moving)
        return compare_by_digest(store, info, path, moving.add)

    answers: Dict[str, Answer] = {
        info.key: Answer(False, _sizes(info.size, files[info.key].st_size), info) for info in both}
    answers.update((key, Answer(True, "", answers[key].info)) for key in told)
    looked = run_parallel(look, to_read, workers, moving)
    answers.update((info.key, answer) for info, answer in zip(to_read, looked))
    return Comparison(
        tuple(info for info in both if answers[info.key].same),
        tuple(answers[info.key].info for info in both if answers[info.key].same is None),
        tuple(Difference(info, answers[info.key].why) for info in both if answers[info.key].same is False),
        tuple(info for key, info in stored.items() if key not in files),
        tuple(ExtraFile(key, status.st_size) for key, status in files.items() if key not in stored))


def stored_sha256(store: Store, info: ObjectInfo, on_bytes: OnBytes) -> str:
    """The SHA-256 of exactly the version `info`, read through in pieces that are not kept."""
    digest = hashlib.sha256()
    for offset in range(0, info.size, _RANGE):
        digest.update(store.read_range(info, offset, min(_RANGE, info.size - offset), on_bytes))
    return digest.hexdigest()


def _compare_whole(store: Store, info: ObjectInfo, path: str, moving: Progress) -> Answer:
    try:
        stored = stored_sha256(store, info, moving.add)
    except WrongDigest as error:  # of a pack, say, whose index tells what there should be
        return Answer(False, error.what, info)
    local = digest_of(path, "sha256", lambda _: moving.check())
    return judge(info, "SHA-256", stored, local)


def _index(directory: str, store: Store) -> Mapping[str, Fetched]:
    return Index(os.path.join(os.path.realpath(directory), PRIVATE_DIRECTORY, INDEX_NAME), store.url).load()


def _sizes(stored: int, local: int) -> str:
    return f"{stored:,} bytes there, {local:,} here"

