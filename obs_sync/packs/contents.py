"""What a folder with a pack holds: where each member is in the shards, and the objects beside the pack."""
from __future__ import annotations

from typing import Callable, Dict, List, NamedTuple, Optional

from obs_sync.errors import IntegrityError, ObjectNotFound
from obs_sync.packs.index import INDEX_NAME, LARGEST_INDEX, PackIndex, is_shard_name, parse_index
from obs_sync.store import ObjectInfo, Store

_READINGS = 3  # attempts to read the index, if it is replaced during the listing


class Place(NamedTuple):
    """The bytes of a member in its shard."""

    shard: ObjectInfo
    offset: int  # bytes
    size: int    # bytes
    sha256: str


class Contents(NamedTuple):
    """A folder as it was listed. Keys are the store's."""

    index: Optional[ObjectInfo]  # None: there is no pack
    places: Dict[str, Place]     # of the members, by key
    beside: List[ObjectInfo]     # objects that do not belong to the pack; without a pack, all objects


def load_contents(store: Store, prefix: str, listed_from: str,
                  wants: Callable[[str], bool] = lambda key: False) -> Contents:
    """What a folder holds now, with the pack at `prefix` if there is one. `prefix` begins with `listed_from`.

    `wants`: as in `Store.list_completely`. Raises IntegrityError if the index is damaged, if a shard is missing, or if
    a member is an object of its own too, because then it is unknown which of the two is meant.
    """
    where, lacking = store.locate(prefix + INDEX_NAME), None
    for _ in range(_READINGS):
        listed = {info.key: info for info in store.list_completely(listed_from, wants)}
        info = listed.get(prefix + INDEX_NAME)
        if info is None:
            return Contents(None, {}, list(listed.values()))
        if info.size > LARGEST_INDEX:
            raise IntegrityError(f"the index of the pack has {info.size:,} bytes; at most {LARGEST_INDEX:,} are read",
                                 where, "Pack the source again")
        try:
            index = parse_index(store.read(info.key), where)
        except ObjectNotFound:  # deleted since it was listed
            continue
        lacking = _lacking(index, listed, prefix)
        if lacking is None:
            return Contents(info, _places(index, listed, prefix), _beside(store, index, listed, prefix))
    raise IntegrityError(lacking or "the index of the pack disappeared several times while it was being read", where,
                         "Pack the source again")


def _lacking(index: PackIndex, listed: Dict[str, ObjectInfo], prefix: str) -> Optional[str]:
    """What of the listing differs from the index, which may be newer than the listing; None if nothing differs."""
    for shard in index.shards:
        info = listed.get(prefix + shard.name)
        if info is None:
            return f"the index names {shard.name}, which does not exist"
        if info.size != shard.size:
            return f"{shard.name} has {info.size:,} bytes; the index says {shard.size:,}"
    return None


def _places(index: PackIndex, listed: Dict[str, ObjectInfo], prefix: str) -> Dict[str, Place]:
    return {prefix + key: Place(listed[prefix + shard.name], offset, size, sha256)
            for shard in index.shards for key, offset, size, sha256 in shard.members}


def _beside(store: Store, index: PackIndex, listed: Dict[str, ObjectInfo], prefix: str) -> List[ObjectInfo]:
    members = {prefix + member.key for member in index.members}
    both = sorted(members & set(listed))
    if both:
        raise IntegrityError(f"{len(both):,} members of the pack are also stored as separate objects, such as "
                             f"{both[0]!r}; a pull cannot know which of the two to take", store.locate(prefix),
                             "Delete these objects, or the pack")
    return [info for key, info in listed.items() if key != prefix + INDEX_NAME
            and not (key.startswith(prefix) and is_shard_name(key[len(prefix):]))]
