"""Small parts: files of some hundred kilobytes are uploaded in parts and downloaded in ranges, as large ones are.

    python -m benchmarks.small_parts ARGUMENTS…

does the same as `python -m job ARGUMENTS…`, with parts of `PART` bytes.
"""
from __future__ import annotations

import contextlib
import functools
import sys
from typing import Iterator

from obs_sync.esdk import store as esdk_store
from obs_sync.esdk import upload

PART = 150_000  # bytes; OBS takes no part of less than 100 KB but the last one


@contextlib.contextmanager
def small_parts(size: int) -> Iterator[None]:
    """Has files and objects of more than `size` bytes uploaded in parts of so many bytes, and those of twice as many
    downloaded in ranges."""
    smaller = [(upload, "PART_SIZE", size), (upload, "LARGEST_PUT", size), (esdk_store, "LARGE", 2 * size),
               (esdk_store, "download_ranges", functools.partial(esdk_store.download_ranges, length=size))]
    before = [(module, name, getattr(module, name)) for module, name, _ in smaller]
    for module, name, value in smaller:
        setattr(module, name, value)
    try:
        yield
    finally:
        for module, name, value in before:
            setattr(module, name, value)


def main() -> int:
    from job.cli import main as job_main

    with small_parts(PART):
        return job_main(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
