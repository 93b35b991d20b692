"""Checkpoints in a store: seen whole or not at all.

    checkpoints/<name>/<file>    the files, written first
    checkpoints/<name>.json      the marker (format, name, created, metadata, files with size and SHA-256), last

Without a marker there is no checkpoint. A name is used once: of two writes to one key, the store keeps the one that
*began* last, so a late write could change a file of a finished checkpoint. Just before the marker is written, the files
are listed: if one was deleted or overwritten, no marker is written. Deletion takes the marker first. A publication that
was killed leaves an orphan: readers do not see it, and `orphans` lists it.
"""
from __future__ import annotations

import contextlib
import dataclasses
import logging
import os
import time
from typing import Any, Callable, Collection, Dict, Iterable, List, Mapping, NamedTuple, Optional, Tuple

from obs_sync.checkpoints.markers import LARGEST, AnotherDocument, Marker, MarkerFile, NotAMarker, parse_marker
from obs_sync.confirm import look_again
from obs_sync.errors import (
    AlreadyPublished, IntegrityError, LocalStorageError, ObjectNotFound, StoreError, StoreUnavailable,
    UnsafeKey, WrongDigest,
)
from obs_sync.keys import check_key, check_together, writable_path_below
from obs_sync.local.files import check_free_space, check_unchanged, digest_of, files_below, local_storage
from obs_sync.parallel import OnProgress, Progress, run_aside, run_parallel
from obs_sync.store import ObjectInfo, Store
from obs_sync.transfer.workspace import Workspace

_log = logging.getLogger(__name__)

_WORKERS = 8
_DAMAGED = "This checkpoint is damaged; take an earlier one"


class Orphan(NamedTuple):
    """Files below a name that has no marker: a publication that is under way or was killed."""

    name: str
    files: int
    bytes: int
    modified: Optional[float]  # of the newest file, seconds since the epoch; if it is old, the publication was killed


def publish_checkpoint(store: Store, directory: str, name: str, metadata: Mapping[str, Any],
                       prefix: str = "checkpoints/", on_progress: Optional[OnProgress] = None,
                       clock: Callable[[], float] = time.time, digests: Optional[Mapping[str, str]] = None) -> Marker:
    """Store every file below `directory` as the checkpoint `name`, then its marker.

    Args:
        metadata: anything that JSON can hold, nested at most 16 levels deep. on_progress: called with (bytes done,
            bytes in all). clock: seconds since the epoch. digests: SHA-256 by file name, from the caller who wrote the
            files; other files are read to compute theirs.

    Returns the marker, once the checkpoint can be fetched. Raises AlreadyPublished if anything is stored under this
    name, IntegrityError if a file was deleted or overwritten before the marker was written, and StoreError or
    LocalStorageError for other failures. After an exception readers see no checkpoint.
    """
    checkpoint_name(name, store, prefix)
    sources = {file: (os.path.join(directory, file), stat) for file, stat in files_below(directory)}
    if not sources:
        raise LocalStorageError("there are no files to publish", directory)
    survey = Progress(0, on_progress)

    def describe(file: str) -> MarkerFile:
        path, stat = sources[file]
        check_key(file, path)
        sha256 = (digests or {}).get(file) or digest_of(path, "sha256", lambda _: survey.check())
        return MarkerFile(file, stat.st_size, sha256)

    run_aside(lambda: _check_unused(store, name, prefix), survey)
    files = tuple(run_parallel(describe, sorted(sources), _WORKERS, survey))
    created = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(clock()))
    marker = Marker(name, created, files, dict(metadata))
    content = marker.to_json()
    parse_marker(content, name)  # metadata that nobody could read must fail before anything is stored
    moving = Progress(marker.size, on_progress)

    def send(file: MarkerFile) -> ObjectInfo:
        path, stat = sources[file.name]
        key = f"{prefix}{name}/{file.name}"
        stored = store.upload(path, key, moving.add, with_md5=False)  # the marker has a SHA-256
        if check_unchanged(path, stat).st_size != file.size:
            raise IntegrityError("the file grew while it was being published", path, "Publish finished files only")
        return stored

    sent = run_parallel(send, files, _WORKERS, moving)
    run_aside(lambda: _check_stored(store, f"{prefix}{name}/", sent), moving)
    run_aside(lambda: _write_marker(store, f"{prefix}{name}.json", content), moving)
    return marker


def list_markers(store: Store, prefix: str = "checkpoints/",
                 on_corrupt: Optional[Callable[[str, str], None]] = None) -> List[Marker]:
    """The markers of all checkpoints that can be read, by name.

    A damaged marker is skipped and reported to `on_corrupt(key, reason)`; by default, with a warning in the log.
    """
    markers = []
    for info in _marker_objects(store.list(prefix), prefix):
        key = info.key
        try:
            if info.size > LARGEST:  # not to be read into memory
                raise NotAMarker(f"it has {info.size:,} bytes; at most {LARGEST:,} are read")
            markers.append(parse_marker(store.read(key), key[len(prefix):-len(".json")]))
        except AnotherDocument:
            continue
        except ObjectNotFound:  # deleted since it was listed
            continue
        except (NotAMarker, IntegrityError) as error:
            if on_corrupt is None:
                _log.warning("ignoring the damaged checkpoint marker %s: %s", store.locate(key), error)
            else:
                on_corrupt(key, str(error))
    return sorted(markers, key=lambda marker: marker.name)


def fetch_checkpoint(store: Store, marker: Marker, destination: str, prefix: str = "checkpoints/",
                     on_progress: Optional[OnProgress] = None, to_read_only: bool = False) -> str:
    """Fetch a checkpoint to the directory `destination`/<name>, and return its path.

    The directory appears by renaming once every size and SHA-256 is right. A directory that exists already is kept if
    its files are right, and replaced otherwise. With `to_read_only` the files may be hard links to the store's own
    files, which are neither copied nor read: the caller must not write to them, and must compare their SHA-256 with the
    marker's when reading. Raises IntegrityError naming the first wrong file, ObjectNotFound if a file is missing.
    """
    path = os.path.join(os.path.realpath(destination), checkpoint_name(marker.name, store, prefix))
    check_together((file.name for file in marker.files), store.locate(f"{prefix}{marker.name}/"))
    moving = Progress(marker.size, on_progress)
    with Workspace(os.path.dirname(path), moving.report) as workspace:
        if _holds(path, marker, moving):
            return path
        temporary = workspace.temporary()

        def look(file: MarkerFile) -> ObjectInfo:
            key = f"{prefix}{marker.name}/{file.name}"
            moving.check()
            info = store.head(key)
            if info.size != file.size:
                raise IntegrityError(f"the object has {info.size:,} bytes; the marker says {file.size:,}",
                                     store.locate(key), _DAMAGED)
            return dataclasses.replace(info, sha256=file.sha256)

        def fetch(item: Tuple[MarkerFile, ObjectInfo]) -> None:
            file, info = item
            target = writable_path_below(temporary, file.name, store.locate(info.key))
            with local_storage(target):
                os.makedirs(os.path.dirname(target), exist_ok=True)
            if to_read_only and store.link(info, target):
                moving.add(file.size)
                return
            unfinished = workspace.unfinished(info)
            _download_twice(store, info, unfinished, moving)
            with local_storage(target):
                os.replace(unfinished, target)

        infos = run_parallel(look, marker.files, _WORKERS, moving)
        check_free_space(workspace.destination, max(0, marker.size - workspace.keep_unfinished(infos)))
        run_parallel(fetch, list(zip(marker.files, infos)), _WORKERS, moving)
        with local_storage(path):
            if os.path.lexists(path):
                os.rename(path, workspace.temporary())  # deleted with the workspace
            os.rename(temporary, path)
    return path


def _download_twice(store: Store, info: ObjectInfo, path: str, moving: Progress) -> None:
    """Download a file, and once more if its SHA-256 is wrong, because the bytes may have been damaged on the way."""
    with contextlib.suppress(WrongDigest):
        store.download(info, path, moving.add)
        return
    try:
        store.download(info, path, moving.add)
    except WrongDigest as error:
        raise IntegrityError(f"{error.what} as the marker says", error.where, _DAMAGED) from error


def delete_checkpoint(store: Store, name: str, prefix: str = "checkpoints/") -> None:
    """Delete a checkpoint, its marker first, or an orphan. It is no error if there is nothing to delete."""
    checkpoint_name(name, store, prefix)
    store.delete([f"{prefix}{name}.json"])
    store.delete([info.key for info in store.list(f"{prefix}{name}/")])


def retain(store: Store, keep_names: Collection[str], prefix: str = "checkpoints/",
           lineage: Optional[str] = None) -> List[str]:
    """Delete every checkpoint whose name is not in `keep_names`. Returns the names of deleted checkpoints.

    With `lineage`, only checkpoints whose metadata["lineage"] is that. Damaged markers and orphans stay. Raises
    ValueError if `keep_names` is empty, because the newest and the best checkpoint must stay.
    """
    if not keep_names:
        raise ValueError("keep_names is empty, so every checkpoint would be deleted")
    removed = []
    for marker in list_markers(store, prefix, on_corrupt=lambda key, reason: None):
        if marker.name not in keep_names and lineage in (None, marker.metadata.get("lineage")):
            delete_checkpoint(store, marker.name, prefix)
            removed.append(marker.name)
    return removed


def orphans(store: Store, prefix: str = "checkpoints/") -> List[Orphan]:
    """Names below which there are files but no marker, by name. A young one may still be being written."""
    infos = list(store.list(prefix))
    marked = {info.key[:-len(".json")] for info in _marker_objects(infos, prefix)}
    found: Dict[str, List[ObjectInfo]] = {}
    for info in infos:
        name, separator, _ = info.key[len(prefix):].partition("/")
        if separator and name and prefix + name not in marked:
            found.setdefault(name, []).append(info)
    return [Orphan(name, len(files), sum(info.size for info in files),
                   max((info.modified for info in files if info.modified is not None), default=None))
            for name, files in sorted(found.items())]


def checkpoint_name(name: str, store: Store, prefix: str) -> str:
    check_key(name, store.locate(prefix + name))
    if "/" in name:
        raise UnsafeKey("the name of a checkpoint must not contain '/'", store.locate(prefix + name))
    return name


def _check_unused(store: Store, name: str, prefix: str) -> None:
    used = f"{prefix}{name}.json"
    if not store.exists(used):
        used = next((info.key for info in store.list(f"{prefix}{name}/")), None)
    if used is not None:
        raise AlreadyPublished("a checkpoint of this name exists, whole or in part", store.locate(used),
                               "Publish it under a new name")


def _check_stored(store: Store, prefix: str, sent: List[ObjectInfo]) -> None:
    """Raises IntegrityError if one of the objects was deleted or overwritten. Additional objects do not matter."""
    for info, found in look_again(store, prefix, sent).lost:
        raise IntegrityError(
            f"a file of the checkpoint was {'deleted' if found is None else 'overwritten'} while others were stored",
            store.locate(info.key),
            "Publish the checkpoint again under a new name, and make sure that no other program deletes objects there")


def _write_marker(store: Store, key: str, content: bytes) -> None:
    """Write the marker. If the reply is lost, the marker may have been written all the same: so read it back."""
    try:
        store.write(key, content)
    except (StoreUnavailable, IntegrityError):
        try:
            written = store.read(key)
        except StoreError:
            written = None
        if written != content:
            raise


def _marker_objects(infos: Iterable[ObjectInfo], prefix: str) -> List[ObjectInfo]:
    """The objects at `prefix` that have the name of a marker."""
    return [info for info in infos if info.key.startswith(prefix) and info.key.endswith(".json")
            and "/" not in info.key[len(prefix):]]


def _holds(path: str, marker: Marker, progress: Progress) -> bool:
    """Whether the directory `path` holds exactly the files of the marker."""
    if not os.path.isdir(path) or os.path.islink(path):
        return False
    sizes = {name: stat.st_size for name, stat in files_below(path)}
    if sizes != {file.name: file.size for file in marker.files}:
        return False
    return all(run_parallel(
        lambda file: digest_of(os.path.join(path, file.name), "sha256", progress.add) == file.sha256,
        marker.files, _WORKERS, progress))
