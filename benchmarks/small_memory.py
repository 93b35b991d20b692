"""The child process of `benchmarks.decoding`: draws batches as training does, with less memory than the data need.

    python -m benchmarks.small_memory CACHE.npy … --anonymous_mb N --file_mb N --seconds S [--batch B]

The kernel limits anonymous memory (arrays, heap, stacks) by RLIMIT_DATA, so going over it is a MemoryError. Only a
control group can limit pages of mapped files, and a benchmark should not need the rights for that. So a thread does
what a kernel that is short of memory would do: when more than ``--file_mb`` of them are resident, it drops them from
this process and from the page cache, and they must be read from the disk again.
"""
from __future__ import annotations

import argparse
import ctypes
import json
import os
import resource
import threading
import time
from typing import Dict, Sequence

import numpy as np

from masf_core.data import EpisodeSampler, SourceDomain
from masf_core.data.prefetch import Prefetcher

MADV_DONTNEED = 4
EVERY = 0.005  # seconds between two checks of resident memory
LARGE = 10 ** 9


def main() -> None:
    arguments = _arguments()
    # The limit is added to the memory that the interpreter and the modules need.
    allowed = int((memory_mb()["VmData"] + arguments.anonymous_mb) * 1e6)
    resource.setrlimit(resource.RLIMIT_DATA, (allowed, allowed))
    sources = [_source(path) for path in arguments.caches]
    sampler = EpisodeSampler(sources, arguments.batch, 1)
    anonymous_at_first, keeper = memory_mb()["RssAnon"], Keeper(arguments.caches, sources, arguments.file_mb)
    drawn, peak, read = 0, 0.0, _bytes_read()
    keeper.start()
    with Prefetcher(sampler, 0, LARGE) as episodes:
        started = time.perf_counter()
        while time.perf_counter() - started < arguments.seconds:
            episode = next(episodes)
            drawn += episode.labels.size
            peak = max(peak, memory_mb()["RssAnon"])
        seconds = time.perf_counter() - started
    keeper.stop()
    print(json.dumps({
        "images_per_second": drawn / seconds, "images": drawn, "anonymous_mb": peak,
        "anonymous_before_mb": anonymous_at_first, "file_mb": keeper.peak, "dropped": keeper.dropped,
        "read_mb": (_bytes_read() - read) / 1e6, "data_mb": sum(source.images.nbytes for source in sources) / 1e6}))


class Keeper(threading.Thread):
    """Keeps the resident pages of the maps below a limit.

    Attributes:
        peak: largest resident memory of the maps, in MB.
        dropped: how often all pages were dropped.
    """

    def __init__(self, paths: Sequence[str], sources: Sequence[SourceDomain], limit_mb: float):
        super().__init__(daemon=True)
        self._maps = [(source.images.ctypes.data - source.images.offset, source.images.offset + source.images.nbytes)
                      for source in sources]
        self._files = [os.open(path, os.O_RDONLY) for path in paths]
        self._limit = limit_mb
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._ended = threading.Event()
        self.peak, self.dropped = 0.0, 0

    def run(self) -> None:
        self._drop()
        while not self._ended.wait(EVERY):
            resident = memory_mb()["RssFile"]
            self.peak = max(self.peak, resident)
            if resident > self._limit:
                self._drop()
                self.dropped += 1

    def stop(self) -> None:
        self._ended.set()
        self.join()

    def _drop(self):
        for (start, size), handle in zip(self._maps, self._files):
            # The kernel does not drop a page from its cache while a process maps it.
            if self._libc.madvise(ctypes.c_void_p(start), ctypes.c_size_t(size), MADV_DONTNEED) != 0:
                raise OSError(ctypes.get_errno(), "madvise")
            os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)


def memory_mb() -> Dict[str, float]:
    """RssAnon, RssFile (resident now) and VmData (what RLIMIT_DATA counts), in MB (10^6 bytes)."""
    found = {}
    with open("/proc/self/status") as stream:
        for line in stream:
            name, _, value = line.partition(":")
            if name in ("RssAnon", "RssFile", "VmData"):
                found[name] = int(value.split()[0]) * 1024 / 1e6
    return found


def _source(path: str) -> SourceDomain:
    images = np.load(path, mmap_mode="r")
    return SourceDomain(os.path.basename(path), images, np.zeros(len(images), np.int32), np.arange(len(images)))


def _bytes_read() -> int:
    """Bytes that this process has read from the disk."""
    with open("/proc/self/io") as stream:
        return next(int(line.split()[1]) for line in stream if line.startswith("read_bytes"))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m benchmarks.small_memory")
    parser.add_argument("caches", nargs="+")
    parser.add_argument("--anonymous_mb", type=float, required=True, help="besides the interpreter's")
    parser.add_argument("--file_mb", type=float, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--batch", type=int, default=126)
    return parser.parse_args()


if __name__ == "__main__":
    main()
