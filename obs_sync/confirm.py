"""Checks that stored objects still exist, just before something is written that relies on them."""
from __future__ import annotations

from typing import Dict, Iterable, List, NamedTuple, Optional

from obs_sync.errors import ObjectNotFound
from obs_sync.store import ObjectInfo, Store


class Lost(NamedTuple):
    stored: ObjectInfo
    found: Optional[ObjectInfo]  # what has its key now; None: nothing


class Confirmed(NamedTuple):
    listed: Dict[str, ObjectInfo]  # by key, everything below the prefix
    lost: List[Lost]


def look_again(store: Store, prefix: str, stored: Iterable[ObjectInfo]) -> Confirmed:
    """Which of the objects `stored` below `prefix` are gone or another version, by size, and by ETag if both are known.

    A listing may be slightly out of date. So an object that differs in the listing is also asked about by itself.
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
