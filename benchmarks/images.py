"""The images of the benchmarks: those of PACS_ROOT, or the package's miniature.

All files that are made of them are in a temporary directory, which is deleted when the benchmark ends.
"""
from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from typing import Iterator, List, Tuple

from benchmarks.measuring import pacs_root
from masf_core.data import EpisodeSampler, SourceDomain, build_index, decode
from masf_core.data.index import DatasetIndex

BATCH = 126  # images a domain, the published measure's
SOURCES = 3
SEED = 1


@contextlib.contextmanager
def scratch() -> Iterator[str]:
    """A temporary directory."""
    directory = tempfile.mkdtemp(prefix="masf-benchmark-")
    try:
        yield directory
    finally:
        remove(directory)


def remove(directory: str) -> None:
    """Deletes a directory, as far as that is possible."""
    shutil.rmtree(directory, ignore_errors=True)


def image_index(directory: str) -> DatasetIndex:
    """The index of the real images, or of a miniature that is written below ``directory``."""
    root = pacs_root()
    if root is None:
        from masf_core.data.miniature import write_miniature

        write_miniature(directory)
        root = os.path.join(directory, "images")
    return build_index(root, None)


def decoded_sources(directory: str) -> Tuple[DatasetIndex, List[SourceDomain]]:
    """The index, and the first three domains, decoded, with memory maps as images."""
    index = image_index(directory)
    index, images = decode(index, os.path.join(directory, "decoded"))
    return index, [SourceDomain(domain.name, images[domain.name], domain.labels, domain.train)
                   for domain in index.domains[:SOURCES]]


def sampler(sources: List[SourceDomain], batch: int = BATCH) -> EpisodeSampler:
    """Draws as training does: mirrored at the reference's rate, and not changed otherwise."""
    return EpisodeSampler(sources, batch, SEED)


def files_of(index: DatasetIndex, sources: List[SourceDomain]) -> Tuple[List[str], List[int]]:
    """Paths and labels of all training images of ``sources``, domain after domain."""
    paths, labels = [], []
    for domain in index.domains:
        if domain.name in [source.name for source in sources]:
            paths += [os.path.join(index.dataroot, domain.paths[row]) for row in domain.train]
            labels += [int(domain.labels[row]) for row in domain.train]
    return paths, labels
