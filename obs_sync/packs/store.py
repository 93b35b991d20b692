"""A store that shows the members of a pack as objects, and fetches them as ranges of the shards.

The headers of tar are never read: a member is the range that the index names, checked by its SHA-256. Shards are read
in the version that was listed. If one is gone because the source was packed again, the index is read again.
"""
from __future__ import annotations

import hashlib
import os
import threading
from typing import Callable, Iterable, Iterator, List, NoReturn, Optional, Sequence, Tuple, TypeVar

from obs_sync.errors import ObjectChanged, ObjectNotFound, StoreError, WrongDigest
from obs_sync.folder_markers import Skipped, only_objects_beside
from obs_sync.local.files import local_storage
from obs_sync.packs.contents import Contents, Place, load_contents
from obs_sync.packs.index import INDEX_NAME
from obs_sync.parallel import in_turn
from obs_sync.store import ObjectInfo, OnBytes, Store, attempt_counted, check_range

SPAN = 4 << 20     # bytes that a worker fetches in one request: neighbours together, a large member in pieces
_GAP = 64 << 10    # bytes between two members; a smaller gap is fetched too, because another request takes longer


T = TypeVar("T")
Wanted = Tuple[ObjectInfo, str, Place]  # a member, the path to write it to, where it is


class PackedStore(Store):
    """The objects of `store`, for reading; if there is a pack at `prefix` ("" or ending in '/'), its members instead.

    Without a pack, it shows what `store` shows. It shows objects beside a pack too. The ETag of a member is its
    SHA-256. A transfer needs `SPAN` bytes of memory for each worker, and as much again while a store assembles a reply.
    """

    def __init__(self, store: Store, prefix: str = ""):
        self._store = store
        self._prefix = prefix
        self._lock = threading.Lock()
        self._contents: Optional[Contents] = None
        self.url = store.url
        self._skipped = Skipped(store.locate)

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        return self.list_completely(prefix, lambda key: False)

    def list_completely(self, prefix: str, wants: Callable[[str], bool]) -> Iterator[ObjectInfo]:
        contents = load_contents(self._store, self._prefix, os.path.commonprefix([prefix, self._prefix]),
                                 lambda key: key.startswith(prefix) and wants(key))
        with self._lock:
            self._contents = contents
        members = (_info(key, place) for key, place in contents.places.items())
        beside = contents.beside
        if contents.places:
            beside = only_objects_beside(beside, contents.places, self._skipped)
        return (info for group in (beside, members) for info in group if info.key.startswith(prefix))

    def head(self, key: str) -> ObjectInfo:
        contents = self._current()
        if contents.index is not None and self._store.head(self._prefix + INDEX_NAME).etag != contents.index.etag:
            contents = self._newer(contents)
        place = contents.places.get(key)
        return self._store.head(key) if place is None else _info(key, place)

    def read(self, key: str) -> bytes:
        place = self._current().places.get(key)
        return self._store.read(key) if place is None else self.read_range(_info(key, place), 0, place.size)

    def read_range(self, info: ObjectInfo, offset: int, size: int, on_bytes: Optional[OnBytes] = None) -> bytes:
        check_range(info, offset, size)
        if info.key not in self._current().places:
            return self._store.read_range(info, offset, size, on_bytes)

        def read(contents: Contents) -> bytes:
            place = self._place(info, contents)
            if size == place.size:
                return self._checked(info.key, place, self._read(place.shard, place.offset, size, on_bytes))
            return self._read(place.shard, place.offset + offset, size, on_bytes)

        return self._following(read)

    def download(self, info: ObjectInfo, path: str, on_bytes: Optional[OnBytes] = None) -> None:
        self.download_all([info], [path], on_bytes)

    def together(self, infos: Iterable[ObjectInfo]) -> List[List[ObjectInfo]]:
        infos, places = list(infos), self._current().places
        beside = [info for info in infos if info.key not in places]
        members = [(info, "", places[info.key]) for info in infos if info.key in places]
        runs = sorted(_runs(members), key=lambda run: run[0][2].size > SPAN, reverse=True)  # the longest first
        return [[info for info, _, _ in run] for run in runs] + self._store.together(beside)

    def download_all(self, infos: Sequence[ObjectInfo], paths: Sequence[str],
                     on_bytes: Optional[OnBytes] = None) -> None:
        known = self._current().places
        with attempt_counted(on_bytes) as count:
            beside = [pair for pair in zip(infos, paths) if pair[0].key not in known]
            if beside:
                self._store.download_all([info for info, _ in beside], [path for _, path in beside], count)
            members = [pair for pair in zip(infos, paths) if pair[0].key in known]

            def fetch(contents: Contents) -> None:
                wanted = [(info, path, self._place(info, contents)) for info, path in members]
                with attempt_counted(count) as attempt:
                    for run in _runs(wanted):
                        self._fetch(run, attempt)

            self._following(fetch)

    def link(self, info: ObjectInfo, path: str) -> bool:
        return info.key not in self._current().places and self._store.link(info, path)

    def write(self, key: str, data: bytes) -> NoReturn:
        self._refuse(key)

    def upload(self, path: str, key: str, on_bytes: Optional[OnBytes] = None, with_md5: bool = True) -> NoReturn:
        self._refuse(key)

    def delete(self, keys: Iterable[str]) -> NoReturn:
        self._refuse("")

    def close(self) -> None:
        self._store.close()

    def _refuse(self, key: str) -> NoReturn:
        raise StoreError("a pack is read-only", self.locate(key), "Change the source and pack it again")

    # -- the contents of the pack

    def _current(self) -> Contents:
        with self._lock:
            if self._contents is None:
                self._contents = load_contents(self._store, self._prefix, self._prefix)
            return self._contents

    def _newer(self, stale: Contents) -> Contents:
        with self._lock:
            if self._contents is stale:
                self._contents = load_contents(self._store, self._prefix, self._prefix)
            return self._contents

    def _place(self, info: ObjectInfo, contents: Contents) -> Place:
        """Where the version `info` of a member is. Raises ObjectNotFound, ObjectChanged if it is gone."""
        place = contents.places.get(info.key)
        if place is None:
            raise ObjectNotFound("the pack no longer has this member", self.locate(info.key), "Pull again")
        if info.etag not in (None, place.sha256):
            raise ObjectChanged("the pack now has another version of this member", self.locate(info.key),
                                "Pull again")
        return place

    def _following(self, read: Callable[[Contents], T]) -> T:
        """read(contents of the pack); a second time, with the new contents, if a shard is gone."""
        contents = self._current()
        try:
            return read(contents)
        except _ShardGone as gone:
            newer = self._newer(contents)
            try:
                return read(newer)
            except _ShardGone:
                raise gone.reason from None

    # -- bytes

    def _read(self, shard: ObjectInfo, offset: int, size: int, on_bytes: Optional[OnBytes]) -> bytes:
        try:
            return self._store.read_range(shard, offset, size, on_bytes)
        except (ObjectChanged, ObjectNotFound) as error:
            raise _ShardGone(error) from error

    def _fetch(self, run: List[Wanted], count: OnBytes) -> None:
        if run[0][2].size > SPAN:
            (info, path, place), = run
            self._fetch_large(info.key, path, place, count)
            return
        first = run[0][2]
        # Not the end of the last member: an empty member may be inside another.
        span = max(place.offset + place.size for _, _, place in run) - first.offset
        data = memoryview(self._read(first.shard, first.offset, span,
                                     _shared(count, sum(place.size for _, _, place in run), span)))
        with in_turn(), local_storage(os.path.dirname(run[0][1])):
            for info, path, place in run:
                start = place.offset - first.offset
                _write(path, self._checked(info.key, place, data[start:start + place.size]))

    def _checked(self, key: str, place: Place, data: bytes) -> bytes:
        """`data` if its SHA-256 is right; otherwise the member from a second request. Raises WrongDigest."""
        if hashlib.sha256(data).hexdigest() == place.sha256:
            return data
        data = self._read(place.shard, place.offset, place.size, None)
        found = hashlib.sha256(data).hexdigest()
        if found != place.sha256:
            raise self._wrong(key, place, found)
        return data

    def _fetch_large(self, key: str, path: str, place: Place, count: OnBytes) -> None:
        for tries_left in (1, 0):
            digest = hashlib.sha256()
            with local_storage(path), open(path, "wb") as stream:
                for done in range(0, place.size, SPAN):
                    piece = self._read(place.shard, place.offset + done, min(SPAN, place.size - done), count)
                    digest.update(piece)
                    stream.write(piece)
                    del piece  # frees its memory before the next one is fetched
            found = digest.hexdigest()
            if found == place.sha256:
                return
            if not tries_left:
                raise self._wrong(key, place, found)
            count(-place.size)

    def _wrong(self, key: str, place: Place, found: str) -> WrongDigest:
        return WrongDigest(f"{key!r} in this shard has the SHA-256 {found}; the index says {place.sha256}",
                           self._store.locate(place.shard.key),
                           "The shard is damaged: delete it, and pack the source again")


def unpacked(store: Store, prefix: str) -> Store:
    """`store` with the pack at `prefix` unpacked, if there is one. Only "" and a prefix that ends in '/' can be one."""
    return PackedStore(store, prefix) if not prefix or prefix.endswith("/") else store


class _ShardGone(StoreError):
    """A shard is gone, or another version than was listed."""

    def __init__(self, reason: StoreError):
        super().__init__(reason.what, reason.where, reason.mend)
        self.reason = reason


def _info(key: str, place: Place) -> ObjectInfo:
    return ObjectInfo(key, place.size, etag=place.sha256, sha256=place.sha256)


def _runs(members: List[Wanted]) -> List[List[Wanted]]:
    """Members in groups for one request each: of one shard, near each other, at most SPAN bytes together."""
    runs: List[List[Wanted]] = []
    first = end = None
    for member in sorted(members, key=lambda member: (member[2].shard.key, member[2].offset)):
        place = member[2]
        if (first is None or place.shard.key != first.shard.key or first.size > SPAN or place.offset - end > _GAP
                or place.offset + place.size - first.offset > SPAN):
            runs.append([])
            first, end = place, place.offset
        runs[-1].append(member)
        end = max(end, place.offset + place.size)
    return runs


def _shared(count: OnBytes, payload: int, span: int) -> OnBytes:
    """A counter that gets `span` bytes and tells `count` of `payload` bytes, evenly distributed."""
    received = told = 0

    def on_bytes(amount: int) -> None:
        nonlocal received, told
        received += amount
        now = received * payload // max(1, span)
        count(now - told)
        told = now

    return on_bytes


def _write(path: str, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)
    try:
        left = memoryview(data)
        while left:
            left = left[os.write(descriptor, left):]
    finally:
        os.close(descriptor)
