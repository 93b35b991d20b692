"""Packing a directory into a store: the shards that are missing there, then the index.

One shard at a time takes space on the local disk, below TMPDIR. A `pack` that is killed leaves the old index, or none.
The next one finds the shards that it stored by their names, and deletes its temporary files.
"""
from __future__ import annotations

import logging
import os
import tempfile
from dataclasses import dataclass
from typing import Dict, List, Optional

from obs_sync.confirm import look_again
from obs_sync.errors import IntegrityError, ObjectNotFound, StoreError
from obs_sync.keys import check_together, directories_of
from obs_sync.local.files import check_free_space, local_storage, remove_quietly
from obs_sync.local.scratch import scratch_directory
from obs_sync.packs.index import INDEX_NAME, LARGEST_INDEX, PackIndex, Shard, is_shard_name, parse_index
from obs_sync.packs.source import SHARD_BYTES, PackPlan, plan_pack, write_shard
from obs_sync.parallel import OnProgress, Progress, run_aside
from obs_sync.store import ObjectInfo, Store

_log = logging.getLogger(__name__)

_UNUSED_FOR = 24 * 3600.0  # seconds; a shard that no index names may belong to a `pack` that is running


@dataclass(frozen=True)
class PackReport:
    files: int
    bytes: int           # of the files
    shards: int
    new_shards: int      # stored now; the others existed already
    new_bytes: int       # of the shards stored now
    removed_shards: int  # that no index names any more
    changed: bool        # whether the index changed


def pack(store: Store, source: str, prefix: str = "", shard_bytes: int = SHARD_BYTES,
         on_progress: Optional[OnProgress] = None, prune: bool = False) -> PackReport:
    """Store the files below the directory `source` as a pack at `prefix` ("" or ending in '/'), for `pull` to unpack.

    A shard has at most `shard_bytes`, unless a single file is larger. Shards that exist already are not stored again.
    `on_progress(done, total)` counts bytes to read, then bytes to store. Symbolic links are followed, as by `push`. For
    `prune` see `publish_pack`.

    Raises LocalStorageError (no such directory, no files, a broken link), UnsafeKey (a name that cannot be a key),
    IntegrityError (a file that changes meanwhile), and the store's own errors.
    """
    return publish_pack(store, plan_pack(source, shard_bytes, on_progress), prefix, on_progress, prune)


def publish_pack(store: Store, plan: PackPlan, prefix: str = "", on_progress: Optional[OnProgress] = None,
                 prune: bool = False, dry_run: bool = False) -> PackReport:
    """Store the missing shards of a pack, then its index, then delete shards that have been out of use for a day.

    A job may still be reading the pack as it was. So shards that the previous index names stay, and others that no
    index names stay for a day. `prune` deletes both now. `dry_run` only reports what would be done.

    Raises StoreError if a file of the pack is also an object of its own below `prefix`, or if the index would be larger
    than readers accept; otherwise as `pack`.
    """
    if prefix and not prefix.endswith("/"):
        raise ValueError(f"prefix is {prefix!r}; expected '' or a folder, ending in '/'")
    survey = Progress(0, on_progress)
    index_key, content = prefix + INDEX_NAME, plan.index.to_json()
    if len(content) > LARGEST_INDEX:
        raise StoreError(f"the index of {len(plan.paths):,} files would have {len(content):,} bytes; readers accept at "
                         f"most {LARGEST_INDEX:,}", store.locate(index_key), "Pack the folders one by one")
    stored = _listing(store, prefix, survey)
    _check_beside(store, plan.index, stored, prefix)
    missing = [shard for shard in plan.index.shards if not _is_stored(shard, stored, prefix)]
    replaced = stored.get(index_key)
    before = run_aside(lambda: _index_before(store, replaced), survey)
    changed = before != content
    if not dry_run:
        _send(store, plan, missing, prefix, on_progress)
        if changed:
            _check_stored(store, plan.index, prefix, survey)  # before the old index, which readers can use, is replaced
            run_aside(lambda: store.write(index_key, content), survey)
        stored = _check_stored(store, plan.index, prefix, survey)
    unused = _unused(store, plan.index, _shards_of(before, store.locate(index_key)), replaced, stored, prefix, prune)
    if not dry_run and unused and not _removed(store, unused, survey, prune):
        unused = []
    return PackReport(len(plan.paths), plan.index.bytes, len(plan.index.shards), len(missing),
                      sum(shard.size for shard in missing), len(unused), changed)


def _removed(store: Store, unused: List[str], survey: Progress, must: bool) -> bool:
    """Delete shards out of use; returns whether that succeeded. A failure raises only if the caller asked for it."""
    try:
        run_aside(lambda: store.delete(unused), survey)
    except StoreError as error:
        if must:
            raise
        _log.warning("the pack is complete, but %d shards that it no longer uses could not be deleted: %s",
                     len(unused), error)
        return False
    return True


def _send(store: Store, plan: PackPlan, missing: List[Shard], prefix: str, on_progress: Optional[OnProgress]) -> None:
    moving = Progress(sum(shard.size for shard in missing), on_progress)

    def send_all(directory: str) -> None:
        for shard in missing:
            check_free_space(directory, shard.size)
            path = os.path.join(directory, shard.name)
            write_shard(path, shard, plan.paths, lambda _: moving.check())
            store.upload(path, prefix + shard.name, moving.add, with_md5=False)  # members have a SHA-256
            remove_quietly(path)

    # Outside of run_aside: its thread may still be uploading when this one is stopped, and the directory would stay.
    with local_storage(tempfile.gettempdir()), scratch_directory("masf-pack-") as directory:
        run_aside(lambda: send_all(directory), moving)


def _check_beside(store: Store, index: PackIndex, stored: Dict[str, ObjectInfo], prefix: str) -> None:
    """A pull brings the objects beside the pack too: raise if they and the members cannot be files of one directory."""
    members = {prefix + member.key for member in index.members}
    folders = {folder for key in members for folder in directories_of(key)}
    beside = {key for key, info in stored.items() if key != prefix + INDEX_NAME
              and not is_shard_name(key[len(prefix):]) and (info.size or key not in folders)}
    both = sorted(members & beside)
    if both:
        raise StoreError(f"{len(both):,} of the files to pack are also stored as separate objects here, such as "
                         f"{both[0]!r}; a pull could not know which of the two to take", store.locate(prefix),
                         "Pack to another folder, or delete these objects first")
    check_together(members | beside, store.locate(prefix))


def _index_before(store: Store, info: Optional[ObjectInfo]) -> Optional[bytes]:
    if info is None or info.size > LARGEST_INDEX:
        return None
    try:
        return store.read(info.key)
    except ObjectNotFound:
        return None


def _shards_of(content: Optional[bytes], where: str) -> List[str]:
    try:
        return [] if content is None else [shard.name for shard in parse_index(content, where).shards]
    except IntegrityError:  # replaced by the new index just now
        return []


def _listing(store: Store, prefix: str, survey: Progress) -> Dict[str, ObjectInfo]:
    return {info.key: info for info in run_aside(lambda: list(store.list(prefix)), survey)}


def _check_stored(store: Store, index: PackIndex, prefix: str, survey: Progress) -> Dict[str, ObjectInfo]:
    """The listing. Raises IntegrityError if one of the shards is missing."""
    shards = [ObjectInfo(prefix + shard.name, shard.size) for shard in index.shards]
    confirmed = run_aside(lambda: look_again(store, prefix, shards), survey)
    for info, _ in confirmed.lost:
        raise IntegrityError("a shard of the new pack was deleted or overwritten while it was being packed",
                             store.locate(info.key), "Let only one process write to a pack, and pack the source again")
    return confirmed.listed


def _is_stored(shard: Shard, stored: Dict[str, ObjectInfo], prefix: str) -> bool:
    info = stored.get(prefix + shard.name)
    return info is not None and info.size == shard.size


def _unused(store: Store, index: PackIndex, before: List[str], replaced: Optional[ObjectInfo],
            stored: Dict[str, ObjectInfo], prefix: str, prune: bool) -> List[str]:
    """Keys of shards to delete. `before`: the shards that the previous index named."""
    named, now = {shard.name for shard in index.shards}, store.server_time()

    def is_old(info: Optional[ObjectInfo]) -> bool:
        return info is not None and info.modified is not None and info.modified < now - _UNUSED_FOR

    # A shard that the previous index did not name is out of use at least since that index was written.
    retired = replaced is None or is_old(replaced)

    def is_unused(name: str, info: ObjectInfo) -> bool:
        if not is_shard_name(name) or name in named:
            return False
        return prune or (retired and is_old(info) and name not in before)

    return [key for key, info in stored.items() if is_unused(key[len(prefix):], info)]
