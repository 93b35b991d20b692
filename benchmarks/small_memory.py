"""The child process of `benchmarks.decoding` that trains, as far as data go, in less memory than the data have.

    python -m benchmarks.small_memory CACHE.npy … --anonymous_mb N --file_mb N --seconds S [--batch B]

Anonymous memory (arrays, heap, stacks) is limited by the kernel: RLIMIT_DATA, so that going over it is a MemoryError.
Pages of mapped files cannot be limited without a memory control group, which takes rights that a benchmark should not
need. So a thread does to them what a kernel that is short of memory would do: when more than ``--file_mb`` of them are
resident, it drops them from this process and from the page cache, and they must be read from the disk again.
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
EVERY = 0.005  # seconds between two looks at what is resident
LARGE = 10 ** 9


def main() -> None:
    arguments = _arguments()
    # All of it is counted once what is needed anyway is there: the interpreter and the modules.
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
        peak: the most that was seen, MB. dropped: how often everything was dropped.
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
            # The kernel drops no page from its cache that a process still maps.
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
    """From the disk, for this process."""
    with open("/proc/self/io") as stream:
        return next(int(line.split()[1]) for line in stream if line.startswith("read_bytes"))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m benchmarks.small_memory")
    parser.add_argument("caches", nargs="+")
    parser.add_argument("--anonymous_mb", type=float, required=True, help="beyond what the interpreter has")
    parser.add_argument("--file_mb", type=float, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--batch", type=int, default=126)
    return parser.parse_args()


if __name__ == "__main__":
    main()
