"""What killed processes left in a store: found, and deleted by age, because young objects may still be in use."""
from __future__ import annotations

from typing import Callable, Dict, List, NamedTuple, Optional, Tuple

from obs_sync.checkpoints.publish import Orphan, delete_checkpoint, orphans
from obs_sync.checkpoints.unfinished import last_sign
from obs_sync.checkpoints.verify import checkpoint_folders
from obs_sync.errors import IntegrityError, ObjectNotFound
from obs_sync.packs.index import INDEX_NAME, is_shard_name, read_index
from obs_sync.store import ObjectInfo, Store, UnfinishedUpload

CHECKPOINT, UPLOAD, SHARD = "checkpoint", "upload", "shard"


class Waste(NamedTuple):
    """Something unfinished. If it is young, its process may still be running."""

    kind: str                # CHECKPOINT: files without a marker; UPLOAD: parts of an object; SHARD: named by no index
    key: str                 # the prefix of the files, ending in '/', or the key of the object
    files: int               # 0 for an upload, whose parts no listing shows
    bytes: int               # as above
    age: Optional[float]     # seconds, by the store's clock; None if the store does not tell it
    upload_id: str = ""


def find_waste(store: Store, is_checkpoint: Callable[[str], bool]) -> List[Waste]:
    """Unfinished checkpoints below folders called `checkpoints`, unfinished uploads in parts, and unused shards.

    The oldest come first. `is_checkpoint` says which names a checkpoint may have; folders of other names are not ours.
    The age of a checkpoint counts from its newest file, or from the newest part of an upload below its prefix. The age
    of a shard counts from the moment since which it is certainly unused: when the index of its folder was written.
    """
    uploads = _uploads(store)
    infos = {info.key: info for info in store.list()}
    now = store.server_time()

    def age(moment: Optional[float]) -> Optional[float]:
        return None if moment is None else max(0.0, now - moment)

    found = [Waste(CHECKPOINT, f"{prefix}{orphan.name}/", orphan.files, orphan.bytes,
                   age(_sign_of(orphan, prefix, uploads)))
             for prefix in checkpoint_folders(store, infos.values()) for orphan in orphans(store, prefix)
             if is_checkpoint(orphan.name)]
    found += [Waste(UPLOAD, upload.key, 0, 0, age(sign), upload.upload_id) for upload, sign in uploads]
    found += [Waste(SHARD, info.key, 1, info.size, age(since)) for info, since in _unnamed(store, infos).items()]
    return sorted(found, key=lambda waste: (-(waste.age or 0.0), waste.kind, waste.key))


def remove_waste(store: Store, waste: Waste) -> bool:
    """Delete it. Returns False, and deletes nothing, if it was finished or continued since it was found."""
    if waste.kind == UPLOAD:
        newest = store.newest_part(waste.key, waste.upload_id)
        if newest is not None and store.server_time() - newest < (waste.age or 0.0):
            return False
        store.abort_upload(waste.key, waste.upload_id)
        return True
    folder, _, name = waste.key.rstrip("/").rpartition("/")
    prefix = f"{folder}/" if folder else ""
    if waste.kind == SHARD:
        named = _named(store, prefix)
        if named is None or name in named:
            return False
        store.delete([waste.key])
        return True
    if store.exists(f"{prefix}{name}.json"):
        return False
    uploads = _uploads(store, waste.key)
    signs = [_sign_of(orphan, prefix, uploads) for orphan in orphans(store, prefix) if orphan.name == name]
    now = store.server_time()
    if any(sign is None or now - sign < (waste.age or 0.0) for sign in signs):
        return False
    delete_checkpoint(store, name, prefix)
    return True


def _uploads(store: Store, prefix: str = "") -> List[Tuple[UnfinishedUpload, Optional[float]]]:
    """Unfinished uploads, and when each last made progress. To be called before the files are listed: an upload that is
    completed in between is then in both lists, and not in neither.
    """
    return [(upload, last_sign(store, upload)) for upload in store.unfinished_uploads(prefix)]


def _sign_of(orphan: Orphan, prefix: str,
             uploads: List[Tuple[UnfinishedUpload, Optional[float]]]) -> Optional[float]:
    """When the newest file or part of a checkpoint was stored; None if the store does not tell the time of each."""
    below = f"{prefix}{orphan.name}/"
    moments = [orphan.modified] + [sign for upload, sign in uploads if upload.key.startswith(below)]
    return None if None in moments else max(moments)


def _unnamed(store: Store, infos: Dict[str, ObjectInfo]) -> Dict[ObjectInfo, Optional[float]]:
    """Shards that the index beside them does not name, and since when that is certain. A damaged index names all."""
    folders: Dict[str, List[ObjectInfo]] = {}
    for info in infos.values():
        prefix, name = info.key[:info.key.rfind("/") + 1], info.key[info.key.rfind("/") + 1:]
        if is_shard_name(name):
            folders.setdefault(prefix, []).append(info)
    found: Dict[ObjectInfo, Optional[float]] = {}
    for prefix, shards in folders.items():
        named, index = _named(store, prefix), infos.get(prefix + INDEX_NAME)
        for info in shards:
            if named is not None and info.key[len(prefix):] not in named:
                moments = [info.modified] + ([index.modified] if index else [])
                found[info] = None if None in moments else max(moments)
    return found


def _named(store: Store, prefix: str) -> Optional[frozenset]:
    """The names of shards in the index of the pack at `prefix`; None if it cannot be read."""
    try:
        index = read_index(store, prefix + INDEX_NAME)
    except ObjectNotFound:
        return frozenset()
    except IntegrityError:
        return None
    return frozenset(shard.name for shard in index.shards)
