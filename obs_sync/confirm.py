"""Whether what was stored is there still, just before something is written that counts on it."""
from __future__ import annotations

from typing import Dict, Iterable, List, NamedTuple, Optional

from obs_sync.errors import ObjectNotFound
from obs_sync.store import ObjectInfo, Store


class Lost(NamedTuple):
    stored: ObjectInfo
    found: Optional[ObjectInfo]  # in its place; None: nothing


class Confirmed(NamedTuple):
    listed: Dict[str, ObjectInfo]  # by key, everything below the prefix
    lost: List[Lost]


def look_again(store: Store, prefix: str, stored: Iterable[ObjectInfo]) -> Confirmed:
    """Which of the objects `stored` below `prefix` are no longer there, by size, and by ETag where both are known.

    A listing may be of a little while ago: an object that is not as it should be in it is looked at itself.
    """
    listed = {info.key: info for info in store.list(prefix)}
    suspects = [info for info in stored if not _is_same(info, listed.get(info.key))]
    looked = [Lost(info, _head(store, info.key)) for info in suspects]
    return Confirmed(listed, [each for each in looked if not _is_same(*each)])


def _head(store: Store, key: str) -> Optional[ObjectInfo]:
    try:
        return store.head(key)
    except ObjectNotFound:
        return None


def _is_same(stored: ObjectInfo, found: Optional[ObjectInfo]) -> bool:
    return (found is not None and found.size == stored.size
            and (None in (stored.etag, found.etag) or found.etag == stored.etag))
