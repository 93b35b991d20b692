"""The decode cache: building it for all images, opening it again, and drawing from it when it does not fit into memory.

Building is what a first run does: every image of every domain is decoded and synced to the disk, in a new directory
for each round, with as many threads as there are cores. The limit is Pillow's decoder, as the images per second of
processor time show; they do not depend on other work on the machine.

Opening warm is what every later run does: it compares size and time of each image file and opens four memory maps.

Drawing makes episodes of 3 × 126 images in the background, as training does, from files three times as large as the
memory for them; `small_memory` says how that is simulated. The limit is then the disk.
"""
from __future__ import annotations

import glob
import json
import os
import subprocess
import sys
import time
from typing import Dict, List

from benchmarks import images, small_memory
from benchmarks.measuring import Figure, alternate, parser, report
from masf_core.data import decode
from masf_core.data.index import DatasetIndex

SHARE = 3  # size of the files ÷ memory for them
SECONDS = 5.0
OVERSHOOT_MB = 50.0  # of file pages that may become resident between two checks
SLACK_MB = 100.0  # of anonymous memory besides the buffers: of libraries, fragments, the permutations


def main() -> None:
    arguments = parser("benchmarks.decoding", __doc__, rounds=5).parse_args()
    with images.scratch() as directory:
        index = images.image_index(directory)
        figures = building(index, directory, arguments.rounds)
        warm, cold = reading(sorted(glob.glob(os.path.join(directory, "decoded-0", "*", "*.npy"))))
    report("decoding", "Decode cache", figures + in_memory(warm, cold), arguments.out, [
        f"The files have {cold['data_mb']:.0f} MB. Without a limit all of them become resident; they are clean pages, "
        f"which the kernel takes back when it needs memory. With a limit of {cold['file_limit_mb']:.0f} MB they were "
        f"dropped {cold['dropped']} times, and {cold['read_mb']:.0f} MB were read from the disk for "
        f"{cold['images'] * cold['image_mb']:.0f} MB of images drawn (the kernel reads ahead).",
        "RLIMIT_DATA limits anonymous memory: if it had grown, the process would have ended with a MemoryError."])


def building(index: DatasetIndex, directory: str, rounds: int) -> List[Figure]:
    """Figures of building and opening the cache. The last one that is built stays in ``directory``/decoded-0."""
    count = sum(len(domain.paths) for domain in index.domains)
    processor, number = [], iter(range(rounds, -1, -1))  # one more round than is counted: the warm-up reads the files
    last = []

    def build():
        where = os.path.join(directory, f"decoded-{next(number)}")
        started = time.process_time()
        decode(index, where)
        processor.append(time.process_time() - started)
        for old in last:
            images.remove(old)
        last[:] = [where]

    seconds = alternate({"build": build, "open": lambda: decode(index, last[0])}, rounds)
    return [
        Figure(f"cache built, {count} images", [count / taken for taken in seconds["build"]], "images/s",
               (">=", 1000), "the decoder; two cores"),
        Figure("cache built, by processor time", [count / taken for taken in processor[1:]], "images/s and core"),
        Figure("cache opened warm", [1000.0 * taken for taken in seconds["open"]], "ms", None,
               "one stat an image"),
    ]


def reading(caches: List[str]) -> List[Dict[str, float]]:
    """The figures of a child process with memory for all files, and of one with a third of that."""
    caches = caches[:images.SOURCES]
    total = sum(os.path.getsize(path) for path in caches) / 1e6
    image_mb = 227 * 227 * 3 / 1e6
    buffers = 3 * images.SOURCES * images.BATCH * image_mb  # the Prefetcher's three sets
    found = []
    for limit in (10.0 * total, total / SHARE):
        output = subprocess.check_output([
            sys.executable, "-m", small_memory.__name__] + caches + [
            "--anonymous_mb", str(buffers + SLACK_MB), "--file_mb", str(limit), "--seconds", str(SECONDS),
            "--batch", str(images.BATCH)])
        found.append(dict(json.loads(output.decode("ascii").splitlines()[-1]), file_limit_mb=limit,
                          anonymous_limit_mb=buffers + SLACK_MB, image_mb=image_mb))
    return found


def in_memory(warm: Dict[str, float], cold: Dict[str, float]) -> List[Figure]:
    return [
        Figure("images drawn, memory for all files", [warm["images_per_second"]], "images/s", None, "memory bandwidth"),
        Figure("images drawn, memory for a third of them", [cold["images_per_second"]], "images/s", None, "the disk"),
        Figure("anonymous memory at most", [warm["anonymous_mb"], cold["anonymous_mb"]], "MB",
               ("<=", round(cold["anonymous_limit_mb"] + cold["anonymous_before_mb"])),
               "three sets of buffers and the interpreter"),
        Figure("resident file pages at most, memory for all files", [warm["file_mb"]], "MB"),
        Figure("resident file pages at most, memory for a third", [cold["file_mb"]], "MB",
               ("<=", round(cold["file_limit_mb"] + OVERSHOOT_MB)), "looked at every "
                                                                    f"{1000 * small_memory.EVERY:.0f} ms"),
    ]


if __name__ == "__main__":
    main()
