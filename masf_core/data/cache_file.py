"""Files of the decode cache: written whole or not at all, and only by one process at a time.

A file is a NumPy `.npy` array uint8 [n, S, S, 3] BGR, followed by one line of JSON: the rows that could not be decoded.
Whatever reads `.npy` can map the array into memory. The line comes last, so a file that has it is whole.
"""

from __future__ import annotations

import contextlib
import errno
import json
import logging
import os
import re
import shutil
import tempfile
import time
from typing import Callable, Iterator, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from masf_core.errors import CacheError

try:
    import fcntl
except ImportError:  # no POSIX: two processes may then decode the same images, which costs time but harms nothing
    fcntl = None

log = logging.getLogger(__name__)

_BUILDING = ".building-"
_LOCK = ".lock"


class Unreadable(NamedTuple):
    """An image that could not be decoded; its pixels in the file are zeros."""

    row: int
    kind: str  # see `offences`
    what: str


class Cache(NamedTuple):
    """An opened cache file."""

    images: Optional[np.memmap]  # uint8 [n, S, S, 3], read-only; None where unreadable images prevented the file
    unreadable: List[Unreadable]


def file_name(domain: str, image_size: int, digest: str) -> str:
    return f"{domain}-{image_size}px-{digest}.npy"


def open_cache(path: str, shape: Tuple[int, ...]) -> Optional[Cache]:
    """The cache in this file; None where there is no whole file of this shape."""
    try:
        images = np.load(path, mmap_mode="r", allow_pickle=False)
        if images.shape != shape or images.dtype != np.uint8:
            return None
        with open(path, "rb") as stream:
            stream.seek(images.offset + images.nbytes)
            unreadable = [Unreadable(*entry) for entry in json.loads(stream.read().decode("ascii"))]
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, EOFError) as problem:
        log.warning("decode cache: %s is damaged, so the images are decoded again (%s)", path, problem)
        return None
    return Cache(images, unreadable)


class CacheWriter:
    """Writes one cache file under a temporary name. As a context it deletes the file unless it was published."""

    def __init__(self, path: str, shape: Tuple[int, ...]) -> None:
        self._path = path
        self._row_bytes = int(np.prod(shape[1:], dtype=np.int64))
        self._end = 0
        with _translated(path):
            self._handle, self._temporary = tempfile.mkstemp(dir=os.path.dirname(path), prefix=_BUILDING)
        self._open = True
        try:
            with _translated(path), os.fdopen(os.dup(self._handle), "wb") as stream:
                np.lib.format.write_array_header_1_0(
                    stream, {"descr": "|u1", "fortran_order": False, "shape": tuple(shape)})
                self._start = stream.tell()
        except BaseException:
            self._discard()
            raise
        self._end = self._start + shape[0] * self._row_bytes

    def write(self, row: int, block: np.ndarray) -> None:
        """Write `block`, uint8 [m, S, S, 3], from `row` on. Threads may write different rows at the same time."""
        with _translated(self._path, self._end):
            self._write_at(self._start + row * self._row_bytes, memoryview(block).cast("B"))

    def publish(self, unreadable: Sequence[Unreadable]) -> None:
        """Make the file appear under its name, with these rows marked."""
        with _translated(self._path, self._end):
            self._write_at(self._end, memoryview(json.dumps(unreadable).encode("ascii")))
            os.fsync(self._handle)
            os.close(self._handle)
            self._open = False
            os.chmod(self._temporary, 0o644)  # mkstemp's files are for their owner only; caches may be shared
            os.replace(self._temporary, self._path)

    def __enter__(self) -> CacheWriter:
        return self

    def __exit__(self, *exc_info) -> None:
        self._discard()

    def _write_at(self, offset: int, data: memoryview) -> None:
        while len(data):
            written = os.pwrite(self._handle, data, offset)
            offset, data = offset + written, data[written:]

    def _discard(self) -> None:
        if self._open:
            os.close(self._handle)
            self._open = False
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._temporary)


@contextlib.contextmanager
def sole_builder(directory: str, on_wait: Callable[[], None]) -> Iterator[None]:
    """Hold the lock to build in `directory`; while another process holds it, `on_wait` is called five times a second.

    The operating system releases the lock of a process that dies. So unfinished files that are there now belong to no
    process, and are deleted.
    """
    with _translated(directory):
        handle = os.open(os.path.join(directory, _LOCK), os.O_RDWR | os.O_CREAT, 0o666)
    try:
        while not _try_lock(handle, directory):
            on_wait()
            time.sleep(0.2)
        for name in os.listdir(directory):
            if name.startswith(_BUILDING):
                remove(directory, name)
        yield
    finally:
        os.close(handle)


def remove_stale(directory: str, domain: str, image_size: int, keep: str) -> None:
    """Delete this domain's caches of this size except `keep`; `directory` belongs to a single dataroot."""
    pattern = re.compile(re.escape(f"{domain}-{image_size}px-") + r"[0-9a-f]{20}\.npy")
    for name in os.listdir(directory):
        if name != keep and pattern.fullmatch(name):
            log.info("decode cache: deleting %s: its images, its lists, max_pixels or the decoder have changed", name)
            remove(directory, name)


def remove(directory: str, name: str) -> None:
    with _translated(directory), contextlib.suppress(FileNotFoundError):
        os.unlink(os.path.join(directory, name))


def _try_lock(handle: int, directory: str) -> bool:
    """Whether this process holds the lock now, or the file system has no locks."""
    if fcntl is None:
        return True
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as problem:
        if problem.errno in (errno.EWOULDBLOCK, errno.EACCES):
            return False
        log.warning("decode cache: %s has no file locks (%s); use it from one process at a time", directory, problem)
    return True


@contextlib.contextmanager
def _translated(place: str, needed: int = 0) -> Iterator[None]:
    """Turns OSError into CacheError, which names the place and, where bytes are `needed`, the free space."""
    try:
        yield
    except OSError as problem:
        message = f"decode cache: {place}: {problem.strerror or problem}."
        if needed:
            with contextlib.suppress(OSError):
                free = shutil.disk_usage(os.path.dirname(place)).free
                message += f" The file needs {needed / 1e6:.1f} MB, {free / 1e6:.1f} MB are free."
        error = CacheError(message + " Free some space there or choose another directory.")
        error.errno = problem.errno
        raise error from problem
