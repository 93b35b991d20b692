"""Trees of files between a store and the local disk: pull, pull_file, push."""
from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import Iterable, List, Optional

from obs_sync.errors import CHECK_PATH, LocalStorageError, ObjectNotFound
from obs_sync.keys import check_key, is_directory_marker
from obs_sync.local_files import digest_of, files_below
from obs_sync.parallel import OnProgress, Progress, run_aside, run_parallel
from obs_sync.pulling import Pull
from obs_sync.store import ObjectInfo, Store


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
        if all(is_directory_marker(info.key, info.size) for info in found):
            raise ObjectNotFound("there is nothing to fetch below", store.locate(prefix), CHECK_PATH)
        return found

    started = time.monotonic()
    one = Pull(store, destination, lambda key: key, "index.jsonl", on_progress)
    return _report(started, *one.run(listing, prefix, workers, mirror))


def pull_file(store: Store, key: str, path: str, on_progress: Optional[OnProgress] = None) -> TransferReport:
    """Bring one object to the file `path`. Raises as `pull` does."""
    started = time.monotonic()
    directory, name = os.path.split(os.path.abspath(path))
    one = Pull(store, directory, lambda _: name, f"{name}.index.jsonl", on_progress)
    return _report(started, *one.run(lambda: [store.head(key)], key, workers=1, mirror=False))


def push(store: Store, source: str, prefix: str = "", workers: int = 8,
         on_progress: Optional[OnProgress] = None) -> TransferReport:
    """Store every file below the directory `source` under `prefix` + its relative path.

    An object of the same size and MD5 is left as it is; nothing is deleted. `on_progress(done, total)` counts
    bytes to be stored. A file whose name cannot be a key raises UnsafeKey before anything is stored.
    """
    started = time.monotonic()
    if not os.path.isdir(source):
        raise LocalStorageError("there is no such directory to store", source)
    files = {prefix + name: (os.path.join(source, name), stat.st_size) for name, stat in files_below(source)}
    for key in files:
        check_key(key, store.locate(key))
    survey = Progress(0, on_progress)
    stored = {info.key: info for info in run_aside(lambda: list(store.list(prefix)), survey)}
    same_size = [key for key, (_, size) in files.items() if key in stored and stored[key].size == size]

    def is_unchanged(key: str) -> bool:
        survey.check()
        md5 = stored[key].md5 or store.head(key).md5
        return md5 is not None and md5 == digest_of(files[key][0])

    answers = run_parallel(is_unchanged, same_size, workers, survey)
    unchanged = {key for key, answer in zip(same_size, answers) if answer}
    changed = [key for key in files if key not in unchanged]
    moving = Progress(sum(files[key][1] for key in changed), on_progress)
    sent = run_parallel(lambda key: store.upload(files[key][0], key, moving.add), changed, workers, moving)
    return _report(started, sent, [stored[key] for key in unchanged])


def _report(started: float, moved: Iterable[ObjectInfo], present: Iterable[ObjectInfo]) -> TransferReport:
    moved, present = list(moved), list(present)
    return TransferReport(len(moved), sum(info.size for info in moved), len(present),
                          sum(info.size for info in present), time.monotonic() - started)
