"""The one interface to storage: a `Store` is a bucket plus a prefix, or a directory; keys are relative to it."""
from __future__ import annotations

import abc
import contextlib
import time
from dataclasses import dataclass, field
from typing import Callable, Iterable, Iterator, List, NamedTuple, Optional, Sequence, Union

from obs_sync.errors import ObjectNotFound, StoreError
from obs_sync.json_document import DocumentError

LARGE = 32 << 20  # bytes; downloads of this size and more are resumed after a crash

OnBytes = Callable[[int], None]
"""Called from a transferring thread with the number of bytes that were transferred since the last call. After a failed
attempt the number is negative and takes back the bytes of that attempt: an operation that raises a StoreError counts
nothing in total. An exception that the callback raises ends the transfer and propagates.
"""


@dataclass(frozen=True)
class ObjectInfo:
    """One version of one object."""

    key: str                          # relative to the store that reported it
    size: int                         # bytes
    etag: Optional[str] = None        # identifies this version; without quotes, to be compared only for equality
    md5: Optional[str] = None         # 32 lower-case hex digits, where it is known
    modified: Optional[float] = None  # seconds since the epoch
    sha256: Optional[str] = None      # 64 lower-case hex digits, where it is known
    linked: bool = field(default=False, compare=False)  # a file that is listed through a symbolic link
    # What only a request about the single object tells, if anything:
    crc64: Optional[str] = field(default=None, compare=False)      # a decimal number, as `crc64.Crc64` has it
    part_size: Optional[int] = field(default=None, compare=False)  # bytes; `etag` is the MD5 of the MD5s of such parts
    encrypted: bool = field(default=False, compare=False)          # at rest, so that `etag` is no digest


class UnfinishedUpload(NamedTuple):
    """An upload in parts that was begun and neither completed nor aborted."""

    key: str                     # relative to the store that reported it
    upload_id: str
    initiated: Optional[float]   # seconds since the epoch, by the storage's clock, where it is told


def check_range(info: ObjectInfo, offset: int, size: int) -> None:
    """Raises ValueError if the object does not have these bytes."""
    if offset < 0 or size < 0 or offset + size > info.size:
        raise ValueError(f"an object of {info.size:,} bytes has no {size:,} bytes from {offset:,} on")


@contextlib.contextmanager
def attempt_counted(on_bytes: Optional[OnBytes]) -> Iterator[OnBytes]:
    """For one attempt: a counter that calls `on_bytes`, and takes everything back if a StoreError is raised."""
    moved = 0

    def count(amount: int) -> None:
        nonlocal moved
        moved += amount
        if on_bytes is not None and amount:
            on_bytes(amount)

    try:
        yield count
    except StoreError:
        count(-moved)
        raise


def read_at_most(store: "Store", key: str, largest: int) -> bytes:
    """The whole object, as `store.read` returns it. One of more than `largest` bytes is not read into memory.

    Raises DocumentError for such an object, and as `store.read`.
    """
    size = store.head(key).size
    if size > largest:
        raise DocumentError(f"it has {size:,} bytes; at most {largest:,} are read")
    return store.read(key)


class Store(abc.ABC):
    """Whole objects by key. Safe to use from several threads.

    `url` ends in '/' unless it is a bare local path.
    """

    url: str

    @abc.abstractmethod
    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """Every object whose key starts with `prefix` (a string, not a directory), in the store's own order.

        Objects that only stand for a folder, and our own bookkeeping, are not listed (`folder_markers`). The listing is
        complete, or it raises BucketNotFound, AccessDenied, StoreUnavailable or StoreError. If no key has the prefix,
        it is empty.
        """

    def list_completely(self, prefix: str, wants: Callable[[str], bool]) -> Iterator[ObjectInfo]:
        """As `list`, but raises LocalStorageError for something that cannot be listed and of whose key `wants(key)`.

        In a directory these are broken links, pipes and sockets; other stores have no such things. A store that wraps
        another one passes this call on.
        """
        return self.list(prefix)

    @abc.abstractmethod
    def head(self, key: str) -> ObjectInfo:
        """The object as it is now, with its `md5` if that can be known, or else with another digest.

        Raises ObjectNotFound.
        """

    @abc.abstractmethod
    def read(self, key: str) -> bytes:
        """The whole object, length and digest checked. Raises ObjectNotFound, IntegrityError."""

    @abc.abstractmethod
    def write(self, key: str, data: bytes) -> ObjectInfo:
        """Store `data` under `key`, and check that it was stored. Readers see the old object or the new one."""

    @abc.abstractmethod
    def download(self, info: ObjectInfo, path: str, on_bytes: Optional[OnBytes] = None) -> None:
        """Write exactly the version `info` to the file `path`, length and digest checked.

        Raises ObjectChanged if the object is now another version, WrongDigest if its SHA-256 is not that of `info`,
        IntegrityError if its bytes are wrong in another way. After an exception the file `path` must not be used. A
        store may then leave a file `<path>.pieces`, with which the next download to the same path resumes.
        """

    @abc.abstractmethod
    def read_range(self, info: ObjectInfo, offset: int, size: int,
                   on_bytes: Optional[OnBytes] = None) -> Union[bytes, bytearray]:
        """`size` bytes of exactly the version `info`, from `offset` on (0 <= offset, offset + size <= info.size).

        Their number is checked. There is no digest of a part, so a caller that joins parts must check the whole.
        Raises ObjectChanged, ObjectNotFound, ValueError for a range that is not inside the object.
        """

    def together(self, infos: Iterable[ObjectInfo]) -> List[List[ObjectInfo]]:
        """`infos` in groups, to be fetched with one `download_all` each. By default each object is a group.

        A store that can read several objects in one request groups them.
        """
        return [[info] for info in infos]

    def download_all(self, infos: Sequence[ObjectInfo], paths: Sequence[str],
                     on_bytes: Optional[OnBytes] = None) -> None:
        """`download` each object of a group. After an exception none of the files may be used."""
        with attempt_counted(on_bytes) as count:
            for info, path in zip(infos, paths):
                self.download(info, path, count)

    def link(self, info: ObjectInfo, path: str) -> bool:
        """Make `path` a hard link to the file of the object, if there is such a file and the file system allows it.

        The caller must not write to it. Otherwise returns False and does nothing; then use `download`.
        """
        return False

    @abc.abstractmethod
    def upload(self, path: str, key: str, on_bytes: Optional[OnBytes] = None, with_md5: bool = True) -> ObjectInfo:
        """Store the file `path` under `key`, and check that it was stored.

        `with_md5=False` is for callers that have another digest: if the MD5 of the whole file would take extra time,
        the store does not compute it, and `md5` is unknown afterwards. The bytes that are sent are checked anyway.

        If a file, such as a log, grows meanwhile, the part that it had at some moment is stored. Raises IntegrityError
        if it changes in another way.
        """

    def check_places(self, keys: Iterable[str]) -> None:
        """Raises what storing one of `keys` would certainly raise, such as for a directory in the place of a file.

        Only stores that are directories check anything. A store that wraps another one passes this call on.
        """
        return None

    @abc.abstractmethod
    def delete(self, keys: Iterable[str]) -> None:
        """Delete the objects. A key that does not exist is no error. Raises StoreError naming what was not deleted."""

    def unfinished_uploads(self, prefix: str = "") -> List[UnfinishedUpload]:
        """Uploads in parts, under way or abandoned, of keys that start with `prefix`. Raises as `list`.

        A store without such uploads returns none.
        """
        return []

    def newest_part(self, key: str, upload_id: str) -> Optional[float]:
        """When the newest part of an unfinished upload was stored, by the storage's clock; None if that is unknown."""
        return None

    def abort_upload(self, key: str, upload_id: str) -> None:
        """Delete an unfinished upload and its parts. An upload that no longer exists is no error."""
        raise ValueError(f"{self.url} has no uploads in parts")

    def server_time(self) -> float:
        """The time by the storage's clock, in seconds since the epoch. Ages of objects are counted by it."""
        return time.time()

    def checking(self, check: Callable[[], None]) -> "Store":
        """This store, with `check()` called before each attempt at a request. What it raises, the operation raises.

        The result shares the connections of this store, which is the one to close. A store that does not retry may
        return itself.
        """
        return self

    def exists(self, key: str) -> bool:
        try:
            self.head(key)
        except ObjectNotFound:
            return False
        return True

    def locate(self, key: str = "") -> str:
        """The full URL of a key, for messages."""
        return self.url + key if not key or self.url.endswith("/") else f"{self.url}/{key}"

    def close(self) -> None:  # noqa: B027  (most stores have nothing to close)
        """Close connections. The store cannot be used afterwards."""

    def __enter__(self) -> "Store":
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.url!r})"
