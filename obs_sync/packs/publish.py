"""Packing a directory into a store: the shards that are missing there, then the index.

Nothing but one shard at a time takes space, in the directory for temporary files (TMPDIR). A pack that is killed leaves
the old index, or none: what it has stored is found by name the next time, and what it has in that directory is removed.
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

_UNUSED_FOR = 24 * 3600.0  # seconds; a shard that no index names may belong to a pack that is under way


@dataclass(frozen=True)
class PackReport:
    files: int
    bytes: int           # of the files
    shards: int
    new_shards: int      # stored now; the others were there
    new_bytes: int       # of the shards stored now
    removed_shards: int  # that no index names any more
    changed: bool        # whether the index is another than before


def pack(store: Store, source: str, prefix: str = "", shard_bytes: int = SHARD_BYTES,
         on_progress: Optional[OnProgress] = None, prune: bool = False) -> PackReport:
    """Store the files below the directory `source` as a pack at `prefix` ("" or ending in '/'), for `pull` to unpack.

    Shards are of at most `shard_bytes`, larger files aside. Shards that are there already are not stored again.
    `on_progress(done, total)` counts bytes to be read, then bytes to be stored. Symbolic links are followed, as by
    `push`. For `prune` see `publish_pack`.

    Raises LocalStorageError (no such directory, no files, a link that leads nowhere), UnsafeKey (a name that cannot be
    a key), IntegrityError (a file that changes meanwhile), and the store's own errors.
    """
    return publish_pack(store, plan_pack(source, shard_bytes, on_progress), prefix, on_progress, prune)


def publish_pack(store: Store, plan: PackPlan, prefix: str = "", on_progress: Optional[OnProgress] = None,
                 prune: bool = False, dry_run: bool = False) -> PackReport:
    """Store what is missing of a pack, then its index, then remove what has been out of use for long enough.

    A reader may be in the middle of the pack as it was: shards are kept that the index named until now, and others
    that no index names for a day. `prune` removes both at once. `dry_run` only tells what would be done.

    Raises StoreError if a file of the pack is an object of its own below `prefix` too, or if its index would be larger
    than readers take, and as `pack` does.
    """
    if prefix and not prefix.endswith("/"):
        raise ValueError(f"prefix is {prefix!r}; expected '' or a folder, ending in '/'")
    survey = Progress(0, on_progress)
    index_key, content = prefix + INDEX_NAME, plan.index.to_json()
    if len(content) > LARGEST_INDEX:
        raise StoreError(f"the index of {len(plan.paths):,} files would have {len(content):,} bytes, and readers take "
                         f"{LARGEST_INDEX:,}", store.locate(index_key), "Pack its folders one by one")
    stored = _listing(store, prefix, survey)
    _check_beside(store, plan.index, stored, prefix)
    missing = [shard for shard in plan.index.shards if not _is_stored(shard, stored, prefix)]
    replaced = stored.get(index_key)
    before = run_aside(lambda: _index_before(store, replaced), survey)
    changed = before != content
    if not dry_run:
        _send(store, plan, missing, prefix, on_progress)
        if changed:
            _check_stored(store, plan.index, prefix, survey)  # or an index that readers can use would be lost
            run_aside(lambda: store.write(index_key, content), survey)
        stored = _check_stored(store, plan.index, prefix, survey)
    unused = _unused(store, plan.index, _shards_of(before, store.locate(index_key)), replaced, stored, prefix, prune)
    if not dry_run and unused and not _removed(store, unused, survey, prune):
        unused = []
    return PackReport(len(plan.paths), plan.index.bytes, len(plan.index.shards), len(missing),
                      sum(shard.size for shard in missing), len(unused), changed)


def _removed(store: Store, unused: List[str], survey: Progress, must: bool) -> bool:
    """Whether shards out of use are removed. The pack is whole without that, so only who asked for it must be told."""
    try:
        run_aside(lambda: store.delete(unused), survey)
    except StoreError as error:
        if must:
            raise
        _log.warning("the pack is whole; shards that are out of use stay (%d): %s", len(unused), error)
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

    # Not inside: what ends this thread would not wait for an upload, and the directory would be left.
    with local_storage(tempfile.gettempdir()), scratch_directory("masf-pack-") as directory:
        run_aside(lambda: send_all(directory), moving)


def _check_beside(store: Store, index: PackIndex, stored: Dict[str, ObjectInfo], prefix: str) -> None:
    """What lies beside the pack is pulled with it: together they must be able to be files."""
    members = {prefix + member.key for member in index.members}
    folders = {folder for key in members for folder in directories_of(key)}
    beside = {key for key, info in stored.items() if key != prefix + INDEX_NAME
              and not is_shard_name(key[len(prefix):]) and (info.size or key not in folders)}
    both = sorted(members & beside)
    if both:
        raise StoreError(f"{len(both)} of the files to be packed are objects of their own here as well, such as "
                         f"{both[0]!r}, and a pull could not tell which counts", store.locate(prefix),
                         "Pack to another folder, or remove these objects first")
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
    except IntegrityError:  # which packing again has just mended
        return []


def _listing(store: Store, prefix: str, survey: Progress) -> Dict[str, ObjectInfo]:
    return {info.key: info for info in run_aside(lambda: list(store.list(prefix)), survey)}


def _check_stored(store: Store, index: PackIndex, prefix: str, survey: Progress) -> Dict[str, ObjectInfo]:
    """The listing. Raises IntegrityError if one of the shards is no longer there."""
    shards = [ObjectInfo(prefix + shard.name, shard.size) for shard in index.shards]
    confirmed = run_aside(lambda: look_again(store, prefix, shards), survey)
    for info, _ in confirmed.lost:
        raise IntegrityError("a shard of the new pack was removed or overwritten meanwhile", store.locate(info.key),
                             "Let one at a time write to a pack; pack it again")
    return confirmed.listed


def _is_stored(shard: Shard, stored: Dict[str, ObjectInfo], prefix: str) -> bool:
    info = stored.get(prefix + shard.name)
    return info is not None and info.size == shard.size


def _unused(store: Store, index: PackIndex, before: List[str], replaced: Optional[ObjectInfo],
            stored: Dict[str, ObjectInfo], prefix: str, prune: bool) -> List[str]:
    """Keys of shards to remove. `before` is what the index named that this one has replaced."""
    named, now = {shard.name for shard in index.shards}, store.server_time()

    def is_old(info: Optional[ObjectInfo]) -> bool:
        return info is not None and info.modified is not None and info.modified < now - _UNUSED_FOR

    # What the index before this one did not name is out of use since that was written, at least.
    retired = replaced is None or is_old(replaced)

    def is_unused(name: str, info: ObjectInfo) -> bool:
        if not is_shard_name(name) or name in named:
            return False
        return prune or (retired and is_old(info) and name not in before)

    return [key for key, info in stored.items() if is_unused(key[len(prefix):], info)]
