"""The ranks of a run as the graph and the loop see them, for a run of one rank; ``collectives`` is for several.

A run of R ranks computes what one rank computes on the union of their batches, except for rounding and dropout masks:

- of every domain's batch of B images, rank r has those at the places r, r + R, r + 2R, …;
- gradients are averaged over the ranks;
- the global and the local loss need sums over classes and embeddings of all images. Every rank gets these from all
  ranks, and then computes the same loss.
"""
from __future__ import annotations

import contextlib
from typing import Any, ContextManager, List, Mapping, Optional, Sequence, Tuple


class NeverStop:
    """No rank is ever asked to stop. Several ranks must stop after the same iteration, or some wait for the others."""

    def wanted(self) -> bool:
        """Whether this rank was asked to stop."""
        return False

    def note(self, wanted: bool) -> None:
        """Called on every rank after each iteration and evaluation. wanted: whether any rank was asked to stop."""


class OneRank:
    """A run of one rank: every sum and every mean is its own value."""

    rank, size = 0, 1
    target = ""  # of the session
    stop = NeverStop()

    def share(self, total: int) -> int:
        """How many of ``total`` items this rank has, when they are dealt out one by one."""
        return len(range(self.rank, total, self.size))

    def configure(self, session_config: Any) -> None:
        """Set what the session needs for the collectives."""

    def placement(self) -> ContextManager:
        """A context manager in which the graph is built."""
        return contextlib.nullcontext()

    def mean(self, tensors: Mapping[str, Any]) -> Mapping[str, Any]:
        """The mean over the ranks of each tensor: mapping name → float32 tensor. Carries no gradient."""
        return tensors

    def total(self, *tensors: Any) -> Sequence[Any]:
        """The sum over the ranks of each tensor. Its gradient is scaled so that the mean over ranks is the full one."""
        return tensors

    def union(self, rows: Any, labels: Any, domains: int, count: int) -> Tuple[Any, Any]:
        """The rows and labels of all ranks, in the order in which one rank would have them.

        Args:
            rows: float32 [domains · share(count), W], of this rank. labels: int32 [domains · share(count)].
            domains: their number. count: rows of a domain over all ranks.

        Returns:
            (float32 [domains · count, W], int32 [domains · count]).
        """
        return rows, labels

    def broadcast(self, variables: Sequence[Any]) -> Optional[Any]:
        """An operation that sets ``variables`` to the values of rank 0; None for a single rank."""

    def blame(self) -> None:
        """Called when the session failed: raises an error if another rank is the cause."""

    def gather(self, value: Any) -> List[Any]:
        """The JSON values of all ranks, in their order; waits for all of them."""
        return [value]


ONE_RANK = OneRank()
