"""Drawing the batches of a step.

The images of a step depend on the seed and the step alone. So any step can be drawn by itself, in any order and on any
machine, and a resumed run continues with the images that an uninterrupted run would have seen.

Dimensions: D domains, B images per domain, S image side, n images of a domain.
"""

from __future__ import annotations

from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from masf_core.data.augmentation import REFERENCE, Augmentation, augment
from masf_core.memory import aligned_empty
from masf_core.randomness import generator


class SourceDomain(NamedTuple):
    """Where a domain's batches come from."""

    name: str
    images: np.ndarray  # uint8 [n, S, S, 3] BGR, usually memory-mapped
    labels: np.ndarray  # int32 [n]
    rows: np.ndarray  # int64, the images to draw from


class Buffers(NamedTuple):
    """Memory for one episode."""

    images: np.ndarray  # uint8 [D, B, S, S, 3]
    labels: np.ndarray  # int32 [D, B]


class Episode(NamedTuple):
    """The batches of one step. Position d along the first axis is domain `order[d]`."""

    images: np.ndarray  # uint8 [D, B, S, S, 3] BGR
    labels: np.ndarray  # int32 [D, B]
    order: Tuple[str, ...]  # the meta-train domains, then the meta-test domain
    step: int


class EpisodeSampler:
    """Draws episodes from two or more domains.

    A domain's images are an endless sequence of permutations, one for each epoch; each is a function of (seed, domain,
    epoch). Step t takes the images t·B to t·B + B − 1 of this sequence. So every image is seen once in an epoch, also
    where B is larger than the domain or does not divide it. The order of the domains depends on (seed, step), and the
    random changes of the images depend on (seed, domain, step).

    With several ranks, rank r draws the images r, r + ranks, r + 2·ranks and so on of each batch. Together the ranks
    draw what a single one would.

    batch_size: images of a domain, over all ranks. augmentation: random changes of the images; by default only the
    reference's mirroring. rank, ranks: the number of this rank, and how many there are.
    Raises ValueError for domains that do not fit together. Only one thread may use a sampler.
    """

    def __init__(
        self, domains: Sequence[SourceDomain], batch_size: int, seed: int, augmentation: Augmentation = REFERENCE,
        rank: int = 0, ranks: int = 1,
    ) -> None:
        _check(domains, batch_size, ranks)
        # Indexing a plain array takes a tenth of the time that a memmap takes.
        self._domains = [domain._replace(images=np.asarray(domain.images), rows=np.asarray(domain.rows, np.int64))
                         for domain in domains]
        self._batch_size = batch_size
        self._seed = seed
        self._augmentation = augmentation
        self._rank, self._ranks = rank, ranks
        self._permutations: List[Dict[int, np.ndarray]] = [{} for _ in domains]

    def buffers(self) -> Buffers:
        """Fresh memory for one episode."""
        leading = (len(self._domains), self._batch_size // self._ranks)
        return Buffers(aligned_empty(leading + self._domains[0].images.shape[1:], np.uint8),
                       aligned_empty(leading, np.int32))

    def draw(self, step: int, out: Optional[Buffers] = None) -> Episode:
        """The episode of `step`, an int ≥ 0, in the memory of `out` or in fresh memory."""
        if step < 0:
            raise ValueError(f"step must be 0 or more, got {step}")
        out = self.buffers() if out is None else out
        order = generator(self._seed, "domains", step).permutation(len(self._domains))
        for position, which in enumerate(order):
            self._fill(which, step, out.images[position], out.labels[position])
        return Episode(out.images, out.labels, tuple(self._domains[which].name for which in order), step)

    def _fill(self, which: int, step: int, images: np.ndarray, labels: np.ndarray) -> None:
        domain = self._domains[which]
        rows = self._rows(which, step)[self._rank::self._ranks]
        # The default mode fills a second array first. The rows have been checked, so nothing is clipped.
        np.take(domain.images, rows, axis=0, out=images, mode="clip")
        labels[:] = domain.labels[rows]
        augment(images, self._augmentation, self._seed, domain.name, step, rank=self._rank, ranks=self._ranks)

    def _rows(self, which: int, step: int) -> np.ndarray:
        """int64 [B], rows of the domain's images at this step, over all ranks."""
        count = len(self._domains[which].rows)
        position, wanted, parts = step * self._batch_size, self._batch_size, []
        while wanted:
            epoch, offset = divmod(position, count)
            part = self._permutation(which, epoch)[offset:offset + wanted]
            parts.append(part)
            position, wanted = position + len(part), wanted - len(part)
        return np.concatenate(parts)

    def _permutation(self, which: int, epoch: int) -> np.ndarray:
        cache = self._permutations[which]
        if epoch not in cache:
            while len(cache) >= 2:  # a batch may span two epochs, and the next draw may need the first of them again
                del cache[min(cache)]
            domain = self._domains[which]
            cache[epoch] = generator(self._seed, "order", domain.name, epoch).permutation(domain.rows)
        return cache[epoch]


def _check(domains: Sequence[SourceDomain], batch_size: int, ranks: int) -> None:
    names = [domain.name for domain in domains]
    if len(names) < 2 or len(set(names)) != len(names):
        raise ValueError(f"expected two or more domains with different names, got {names}")
    if batch_size < 1:
        raise ValueError(f"batch_size must be 1 or more, got {batch_size}")
    if batch_size % ranks:
        raise ValueError(f"batch_size must be a multiple of the number of ranks, {ranks}, got {batch_size}")
    for domain in domains:
        _check_domain(domain, domains[0].images.shape[1:])


def _check_domain(domain: SourceDomain, shape: Tuple[int, ...]) -> None:
    images, rows = domain.images, np.asarray(domain.rows)
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[1:] != shape or shape[2] != 3:
        raise ValueError(f"domain {domain.name}: images must be uint8 [n, S, S, 3] of one size, got "
                         f"{images.dtype} {images.shape}")
    if len(domain.labels) != len(images):
        raise ValueError(f"domain {domain.name}: {len(images)} images but {len(domain.labels)} labels")
    if len(rows) == 0 or rows.min() < 0 or rows.max() >= len(images):
        given = f"{rows.min()}..{rows.max()}" if len(rows) else "none"
        raise ValueError(f"domain {domain.name}: rows must be some of 0..{len(images) - 1}, got {given}")
