"""The decode cache: every image is decoded once, and after that only mapped into memory.

The cache has a directory for each dataroot, with one file for each domain. The file's name depends on what it was made
from (paths, sizes, modification times, image size, decoder). So changed data gets another file, unchanged data is never
decoded again, whichever process or run asks, and data sets that are used in turn keep their files.
"""

from __future__ import annotations

import concurrent.futures
import hashlib
import json
import os
import shutil
import threading
from typing import Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from masf_core.data import cache_file
from masf_core.data.cache_file import Cache, CacheWriter, Unreadable
from masf_core.data.decode_image import DECODER_VERSION, Unusable, decode_image
from masf_core.data.index import BAD_DATA, DatasetIndex, DomainIndex
from masf_core.data.offences import Offences
from masf_core.data.progress import OnProgress, Progress
from masf_core.errors import CacheError

MAX_PIXELS = 50 * 1000 * 1000
BLOCK = 16  # images decoded between two writes of a thread


class _Plan(NamedTuple):
    """The cache file that one domain needs."""

    domain: DomainIndex
    path: str
    shape: Tuple[int, int, int, int]


def decode(
    index: DatasetIndex,
    cache_dir: str,
    image_size: int = 227,
    workers: Optional[int] = None,
    max_pixels: int = MAX_PIXELS,
    bad_data: str = "refuse",
    offenders_path: Optional[str] = None,
    on_progress: OnProgress = None,
    pending: Optional[Offences] = None,
) -> Tuple[DatasetIndex, Dict[str, np.ndarray]]:
    """Decode whatever is not decoded yet and map everything.

    Several processes may call this for one `cache_dir`: one decodes, and the others wait for it. A killed process
    leaves nothing that could be mistaken for a cache. See `decode_image` for how pixels are made.

    Args:
        index: what to decode. cache_dir: made if it is missing; may serve several data sets. image_size: side S in
            pixels.
        workers: threads; None takes the cores that this process may use.
        max_pixels: images that are larger, as their header says, are not decoded.
        bad_data: "skip" takes images that cannot be decoded out of the index, with a warning.
        offenders_path: file for the list of the images that cannot be decoded.
        on_progress: called with (images ready, images); what it raises ends the decoding and leaves nothing behind.
        pending: what `build_index` found wrong with single images and lines; reported together with what is found here.

    Returns:
        (index, images): the index, with bad_data="skip" perhaps with fewer rows, and {domain: read-only uint8 memory
        map [n, S, S, 3] BGR} whose rows are those of `DomainIndex.paths`.

    Raises:
        DataError: images cannot be decoded: one error for those of all domains, and for what is `pending`.
        CacheError: the cache cannot be written.
    """
    if bad_data not in BAD_DATA:
        raise ValueError(f"bad_data must be one of {', '.join(BAD_DATA)}, got {bad_data!r}")
    cache_dir = directory_of(index.dataroot, cache_dir)
    _make_directory(cache_dir)
    offences = Offences() if pending is None else pending
    plans = _plans(index, cache_dir, image_size, max_pixels, offences, offenders_path)
    progress = Progress(on_progress, sum(plan.shape[0] for plan in plans))
    builder = _Builder(index.dataroot, workers or usable_cores(), max_pixels, bad_data == "skip")
    opened = _open_all(plans, builder, progress)
    for plan in plans:
        for row, kind, what in opened[plan.domain.name].unreadable:
            offences.add(kind, plan.domain.paths[row], what)
    offences.settle(index.dataroot, bad_data, offenders_path)
    progress.finish()
    unreadable = {name: [entry.row for entry in cache.unreadable] for name, cache in opened.items()}
    if any(unreadable.values()):
        index = index.without(unreadable)
    return index, {name: cache.images for name, cache in opened.items()}


def directory_of(dataroot: str, cache_dir: str) -> str:
    """Where below `cache_dir` the files of this dataroot are."""
    return os.path.join(cache_dir, hashlib.sha256(os.fsencode(os.path.abspath(dataroot))).hexdigest()[:20])


def _plans(
    index: DatasetIndex, cache_dir: str, image_size: int, max_pixels: int, offences: Offences,
    offenders_path: Optional[str]
) -> List[_Plan]:
    """The cache file of each domain. Raises DataError, with `offences` so far, for files that have disappeared."""
    known = len(offences.found)
    plans = [_plan(index.dataroot, domain, cache_dir, image_size, max_pixels, offences) for domain in index.domains]
    if len(offences.found) > known:
        offences.settle(index.dataroot, "refuse", offenders_path)
    return plans


def _plan(
    dataroot: str, domain: DomainIndex, cache_dir: str, image_size: int, max_pixels: int, offences: Offences
) -> _Plan:
    content = [DECODER_VERSION, image_size, max_pixels]
    for path in domain.paths:
        try:
            status = os.stat(os.path.join(dataroot, path))
            content.append([path, status.st_size, status.st_mtime_ns])
        except OSError as problem:
            offences.add("missing file", path, str(problem))
    digest = hashlib.sha256(json.dumps(content).encode("ascii")).hexdigest()[:20]
    return _Plan(domain, os.path.join(cache_dir, cache_file.file_name(domain.name, image_size, digest)),
                 (len(domain.paths), image_size, image_size, 3))


def _open_all(plans: Sequence[_Plan], builder: _Builder, progress: Progress) -> Dict[str, Cache]:
    """{domain: its cache}, decoded if there is none."""
    opened = {plan.domain.name: cache_file.open_cache(plan.path, plan.shape) for plan in plans}
    missing = [plan for plan in plans if opened[plan.domain.name] is None]
    if missing:
        cache_dir = os.path.dirname(missing[0].path)
        ready = sum(plan.shape[0] for plan in plans if opened[plan.domain.name] is not None)
        with cache_file.sole_builder(cache_dir, lambda: progress.at(ready)):
            _make_room(cache_dir, missing)
            for plan in missing:
                opened[plan.domain.name] = builder.open_or_build(
                    plan, lambda done, base=ready: progress.at(base + done))
                ready += plan.shape[0]
    return opened


class _Builder(NamedTuple):
    """Decodes domains into their cache files."""

    dataroot: str
    threads: int
    max_pixels: int
    publish_anyway: bool  # whether a file appears although some of its images are unreadable

    def open_or_build(self, plan: _Plan, tick: Callable[[int], None]) -> Cache:
        """The cache of a domain. tick: called with the images that are decoded."""
        # Another process may have made the file while this one waited for the lock.
        cache = cache_file.open_cache(plan.path, plan.shape)
        if cache is None:
            unreadable = self._build(plan, tick)
            cache = cache_file.open_cache(plan.path, plan.shape)
            if cache is None:  # not published
                cache = Cache(None, unreadable)
        return cache

    def _build(self, plan: _Plan, tick: Callable[[int], None]) -> List[Unreadable]:
        with CacheWriter(plan.path, plan.shape) as writer:
            work = _Work(plan, self.dataroot, self.max_pixels, writer)
            with concurrent.futures.ThreadPoolExecutor(self.threads) as pool:
                try:
                    running = [pool.submit(work.run) for _ in range(self.threads)]
                    while running:
                        done, running = concurrent.futures.wait(running, 0.1, concurrent.futures.FIRST_EXCEPTION)
                        for future in done:
                            future.result()
                        tick(work.images_done)
                finally:
                    work.stop()
            unreadable = sorted(work.unreadable)
            if self.publish_anyway or not unreadable:
                writer.publish(unreadable)
            return unreadable


class _Work:
    """The blocks of one domain, which several threads share."""

    def __init__(self, plan: _Plan, dataroot: str, max_pixels: int, writer: CacheWriter) -> None:
        self._plan = plan
        self._dataroot = dataroot
        self._max_pixels = max_pixels
        self._writer = writer
        self._blocks = iter(range(0, plan.shape[0], BLOCK))
        self._lock = threading.Lock()
        self.images_done = 0
        self.unreadable: List[Unreadable] = []

    def stop(self) -> None:
        with self._lock:
            self._blocks = iter(())

    def run(self) -> None:
        """The work of one thread: to decode block after block until none is left."""
        buffer = np.empty((BLOCK,) + self._plan.shape[1:], np.uint8)
        while True:
            with self._lock:
                start = next(self._blocks, None)
            if start is None:
                return
            count = min(BLOCK, self._plan.shape[0] - start)
            found = [entry for entry in (self._decode(start + i, buffer[i]) for i in range(count)) if entry]
            self._writer.write(start, buffer[:count])
            with self._lock:
                self.images_done += count
                self.unreadable += found

    def _decode(self, row: int, out: np.ndarray) -> Optional[Unreadable]:
        try:
            decode_image(os.path.join(self._dataroot, self._plan.domain.paths[row]), self._plan.shape[1],
                         self._max_pixels, out)
        except Unusable as problem:
            out[...] = 0
            return Unreadable(row, problem.kind, problem.what)
        return None


def _make_directory(cache_dir: str) -> None:
    try:
        os.makedirs(cache_dir, exist_ok=True)
    except OSError as problem:
        raise CacheError(f"decode cache: {cache_dir} cannot be created: {problem.strerror}. "
                         "Choose another directory.") from problem


def _make_room(cache_dir: str, missing: Sequence[_Plan]) -> None:
    """Delete the files that the missing ones replace, then raise CacheError if there is too little space for them."""
    for plan in missing:
        cache_file.remove_stale(cache_dir, plan.domain.name, plan.shape[1], os.path.basename(plan.path))
    needed = sum(int(np.prod(plan.shape, dtype=np.int64)) for plan in missing if not os.path.exists(plan.path))
    usage = shutil.disk_usage(cache_dir)
    if usage.total > 0 and needed > usage.free:  # some network file systems report nothing at all
        raise CacheError(
            f"decode cache: {cache_dir} has {usage.free / 1e6:.0f} MB free, but {needed / 1e6:.0f} MB are needed for "
            f"{', '.join(plan.domain.name for plan in missing)}. Free some space there or choose another directory.")


def usable_cores() -> int:
    """The processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
