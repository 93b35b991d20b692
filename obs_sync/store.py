"""The one interface to storage: a `Store` is a bucket plus a prefix, or a directory; keys are relative to it."""
from __future__ import annotations

import abc
import contextlib
import time
from dataclasses import dataclass, field
from typing import Callable, Iterable, Iterator, List, NamedTuple, Optional, Sequence, Union

from obs_sync.errors import ObjectNotFound, StoreError
from obs_sync.json_document import DocumentError

LARGE = 32 << 20  # bytes; downloads of this size and more are worth going on with after a crash

OnBytes = Callable[[int], None]
"""Called from a transferring thread with the number of bytes moved since the last call. Negative when an attempt
has failed, for the bytes that it moved: a call that raises a StoreError counts nothing in sum. An exception that
the callback raises ends the transfer and propagates.
"""


@dataclass(frozen=True)
class ObjectInfo:
    """One version of one object."""

    key: str                          # relative to the store that reported it
    size: int                         # bytes
    etag: Optional[str] = None        # identity of this version, without quotes; only to be compared for equality
    md5: Optional[str] = None         # 32 lower-case hex digits, where it is known
    modified: Optional[float] = None  # seconds since the epoch
    sha256: Optional[str] = None      # 64 lower-case hex digits, where it is known
    linked: bool = field(default=False, compare=False)  # a file that is listed through a symbolic link
    # What a store tells when it is asked about the one object, if ever:
    crc64: Optional[str] = field(default=None, compare=False)      # a decimal number, as `crc64.Crc64` has it
    part_size: Optional[int] = field(default=None, compare=False)  # bytes; `etag` is the MD5 of the MD5s of such parts
    encrypted: bool = field(default=False, compare=False)          # at rest, so that `etag` is no digest


class UnfinishedUpload(NamedTuple):
    """An upload in parts that was begun and neither completed nor aborted."""

    key: str                     # relative to the store that reported it
    upload_id: str
    initiated: Optional[float]   # seconds since the epoch, by the storage's clock, where it is told


def check_range(info: ObjectInfo, offset: int, size: int) -> None:
    """Raises ValueError if there are no such bytes in the object."""
    if offset < 0 or size < 0 or offset + size > info.size:
        raise ValueError(f"no range of an object of {info.size} bytes: {size} bytes from {offset}")


@contextlib.contextmanager
def attempt_counted(on_bytes: Optional[OnBytes]) -> Iterator[OnBytes]:
    """For one attempt: a counter that passes on to `on_bytes`, and takes everything back if a StoreError is raised."""
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

        What only stands for a folder is no object, and our own bookkeeping is none either (`folder_markers`).
        The listing is complete or it raises: BucketNotFound, AccessDenied, StoreUnavailable, StoreError. A
        prefix below which there is nothing yields nothing.
        """

    def list_completely(self, prefix: str, wants: Callable[[str], bool]) -> Iterator[ObjectInfo]:
        """As `list`, for who must not miss anything: LocalStorageError for what can be in no listing and `wants(key)`.

        That is, in a folder, a link that leads nowhere, a pipe or a socket. Other stores have no such things. A store
        that wraps another one passes this on.
        """
        return self.list(prefix)

    @abc.abstractmethod
    def head(self, key: str) -> ObjectInfo:
        """The object as it is now; `md5` is filled in if it can be known, or else another digest that is known.

        Raises ObjectNotFound.
        """

    @abc.abstractmethod
    def read(self, key: str) -> bytes:
        """The whole object, length and digest checked. Raises ObjectNotFound, IntegrityError."""

    @abc.abstractmethod
    def write(self, key: str, data: bytes) -> ObjectInfo:
        """Store `data` under `key`, and confirm it. Readers see the old object or the new one."""

    @abc.abstractmethod
    def download(self, info: ObjectInfo, path: str, on_bytes: Optional[OnBytes] = None) -> None:
        """Write exactly the version `info` to the file `path`, length and digest checked.

        Raises ObjectChanged if the object is another version by now, WrongDigest if it has not the SHA-256 of `info`,
        IntegrityError if its bytes are wrong in another way; what is at `path` after an exception is not to be used.
        A store may leave a file `<path>.pieces` then, with which the next download to the same path goes on.
        """

    @abc.abstractmethod
    def read_range(self, info: ObjectInfo, offset: int, size: int,
                   on_bytes: Optional[OnBytes] = None) -> Union[bytes, bytearray]:
        """`size` bytes of exactly the version `info`, from `offset` on (0 <= offset, offset + size <= info.size).

        Their number is checked; a digest of a part there is none, so whoever puts parts together checks the whole.
        Raises ObjectChanged, ObjectNotFound, ValueError for a range that is not inside the object.
        """

    def together(self, infos: Iterable[ObjectInfo]) -> List[List[ObjectInfo]]:
        """`infos` in groups to be fetched with one `download_all` each: a store that can read neighbours at once says
        which. One each by default."""
        return [[info] for info in infos]

    def download_all(self, infos: Sequence[ObjectInfo], paths: Sequence[str],
                     on_bytes: Optional[OnBytes] = None) -> None:
        """`download` each of a group; after an exception none of the files is to be used."""
        with attempt_counted(on_bytes) as count:
            for info, path in zip(infos, paths):
                self.download(info, path, count)

    def link(self, info: ObjectInfo, path: str) -> bool:
        """Make `path` another name of the object's own file, where there is such a file and that is possible.

        Whoever asks must not write to it. Returns False, and does nothing, where `download` is the only way.
        """
        return False

    @abc.abstractmethod
    def upload(self, path: str, key: str, on_bytes: Optional[OnBytes] = None, with_md5: bool = True) -> ObjectInfo:
        """Store the file `path` under `key` and confirm it.

        `with_md5=False` is for callers with a digest of their own: where the MD5 of the whole would cost time of its
        own the store does without, and `md5` is unknown afterwards. What is sent is checked all the same.

        A file that is only added to meanwhile, such as a log, is stored up to a length that it had. Raises
        IntegrityError if it changes in another way.
        """

    def check_places(self, keys: Iterable[str]) -> None:
        """Raises what storing one of `keys` is bound to raise for where it goes, such as a directory in its place.

        Stores that are no folders have no such things. A store that wraps another one passes this on.
        """
        return None

    @abc.abstractmethod
    def delete(self, keys: Iterable[str]) -> None:
        """Remove the objects; a key that does not exist is no error. Raises StoreError naming what remains.
        """

    def unfinished_uploads(self, prefix: str = "") -> List[UnfinishedUpload]:
        """Uploads in parts of keys that start with `prefix`: those that go on, and those whose process died.

        Raises as `list`. A store that knows no such uploads has none.
        """
        return []

    def newest_part(self, key: str, upload_id: str) -> Optional[float]:
        """When the newest part of an unfinished upload was stored, by the storage's clock; None if none is told of."""
        return None

    def abort_upload(self, key: str, upload_id: str) -> None:
        """Drop an unfinished upload and its parts; one that is no longer there is no error."""
        raise ValueError(f"{self.url} has no uploads in parts")

    def server_time(self) -> float:
        """The time by the storage's own clock, in seconds since the epoch: what ages are counted by."""
        return time.time()

    def checking(self, check: Callable[[], None]) -> "Store":
        """This store, with `check()` called before each attempt at a request; what it raises, the operation raises.

        It is open as long as this one, which is the one to close. A store that tries nothing again is its own.
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

    def close(self) -> None:  # noqa: B027  (most stores have nothing to give back)
        """Give back connections. The store is not usable afterwards."""

    def __enter__(self) -> "Store":
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.url!r})"
