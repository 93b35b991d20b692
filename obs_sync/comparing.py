"""A tree and a store side by side: what is the same, what differs and why, what is on one side only."""
from __future__ import annotations

import hashlib
import os
from typing import Callable, Mapping, NamedTuple, Optional, Tuple

from obs_sync.errors import LocalStorageError, WrongDigest
from obs_sync.index import INDEX_NAME, Index
from obs_sync.keys import PRIVATE_DIRECTORY, check_key, is_directory_marker, is_private
from obs_sync.local_files import digest_of, files_below
from obs_sync.pack_index import INDEX_NAME as PACK_INDEX
from obs_sync.pack_store import unpacked
from obs_sync.parallel import OnProgress, Progress, run_aside, run_parallel
from obs_sync.plan import Fetched
from obs_sync.removing import ExtraFile
from obs_sync.store import ObjectInfo, OnBytes, Store

_RANGE = 8 << 20  # bytes of an object that are in memory at once


class Difference(NamedTuple):
    info: ObjectInfo
    why: str


class Comparison(NamedTuple):
    """Every selected object and every selected file is in exactly one of the five."""

    same: Tuple[ObjectInfo, ...]       # the digest says so, or the index
    size_only: Tuple[ObjectInfo, ...]  # as large, and the store knows no digest
    differ: Tuple[Difference, ...]
    only_stored: Tuple[ObjectInfo, ...]
    only_local: Tuple[ExtraFile, ...]


def compare(store: Store, directory: str, workers: int = 8, on_progress: Optional[OnProgress] = None,
            selects: Callable[[str], bool] = lambda key: True, full: bool = False,
            trust_index: bool = False) -> Comparison:
    """Compare the objects of `store` with the files below `directory`, by size and then by digest.

    Of a pack its members are compared, unless `directory` is a copy of the pack itself.

    With `full` every object of the right size is read from the store and compared by SHA-256, whatever the store
    says of its digest. `trust_index` spares files that a pull has fetched and nobody touched since. `selects` says
    which keys count. `on_progress(done, total)` counts bytes that are read, of files or, with `full`, objects.

    Raises LocalStorageError if there is no such directory, or something in it that is
    no file, UnsafeKey for a key that cannot be a file.
    """
    if not os.path.isdir(directory):
        raise LocalStorageError("there is no such directory to compare", directory, "Check the path")
    if not os.path.exists(os.path.join(directory, PACK_INDEX)):
        store = unpacked(store, "")
    survey = Progress(0, on_progress)
    stored = {info.key: info for info in run_aside(lambda: list(store.list()), survey)
              if not is_directory_marker(info.key, info.size) and not is_private(info.key) and selects(info.key)}
    for key in stored:
        check_key(key, store.locate(key))
    files = {key: status for key, status in files_below(directory, selects) if selects(key)}
    both = [info for key, info in stored.items() if key in files]
    trusted = _index(directory, store) if trust_index else {}
    told = {info.key for info in both if info.etag is not None and trusted.get(info.key) == Fetched(
        info.size, info.etag, files[info.key].st_mtime_ns) and files[info.key].st_size == info.size}
    to_read = [info for info in both if files[info.key].st_size == info.size and info.key not in told]
    moving = Progress(sum(info.size for info in to_read), on_progress)

    def look(info: ObjectInfo) -> Optional[str]:
        path = os.path.join(directory, *info.key.split("/"))
        return _whole_difference(store, info, path, moving) if full else _told_difference(store, info, path, moving)

    answers = dict(zip((info.key for info in to_read), run_parallel(look, to_read, workers, moving)))
    differ = [Difference(info, answers.get(info.key) or _sizes(info.size, files[info.key].st_size)) for info in both
              if info.key not in told and answers.get(info.key, "size") not in (_SAME, _UNKNOWN)]
    return Comparison(
        tuple(info for info in both if info.key in told or answers.get(info.key) == _SAME),
        tuple(info for info in both if answers.get(info.key) == _UNKNOWN),
        tuple(differ),
        tuple(info for key, info in stored.items() if key not in files),
        tuple(ExtraFile(key, status.st_size) for key, status in files.items() if key not in stored))


def stored_sha256(store: Store, info: ObjectInfo, on_bytes: OnBytes) -> str:
    """The SHA-256 of exactly the version `info`, read through in pieces that are not kept."""
    digest = hashlib.sha256()
    for offset in range(0, info.size, _RANGE):
        digest.update(store.read_range(info, offset, min(_RANGE, info.size - offset), on_bytes))
    return digest.hexdigest()


_SAME, _UNKNOWN = "same", "unknown"


def _told_difference(store: Store, info: ObjectInfo, path: str, moving: Progress) -> str:
    """By a digest that the store tells: _SAME, _UNKNOWN, or how they differ."""
    moving.check()
    if info.md5 is None and info.sha256 is None:
        info = store.head(info.key)
    algorithm, expected = ("sha256", info.sha256) if info.sha256 is not None else ("md5", info.md5)
    if expected is None:
        moving.add(info.size)
        return _UNKNOWN
    return _digests(algorithm, expected, digest_of(path, algorithm, moving.add))


def _whole_difference(store: Store, info: ObjectInfo, path: str, moving: Progress) -> str:
    try:
        stored = stored_sha256(store, info, moving.add)
    except WrongDigest as error:  # of a pack, say, whose index tells what there should be
        return error.what
    return _digests("sha256", stored, digest_of(path, "sha256", lambda _: moving.check()))


def _digests(algorithm: str, stored: str, local: str) -> str:
    name = {"md5": "MD5", "sha256": "SHA-256"}[algorithm]
    return _SAME if stored == local else f"{name} {stored} there, {local} here"


def _index(directory: str, store: Store) -> Mapping[str, Fetched]:
    return Index(os.path.join(os.path.realpath(directory), PRIVATE_DIRECTORY, INDEX_NAME), store.url).load()


def _sizes(stored: int, local: int) -> str:
    return f"{stored:,} bytes there, {local:,} here"

