"""What the processes of a run, one a card, have in common, as the graph and the loop see it.

A run of R ranks computes what one process computes on the union of their batches, but for rounding and the masks of
dropout: of every domain's batch of B images rank r has those at the places r, r + R, r + 2R, …; gradients are averaged;
and what the global and the local loss need of all images, sums over classes and embeddings, is put together of all
ranks' parts before the loss is taken, by every rank alike. ``collectives`` does that; this is the run of one process.
"""
from __future__ import annotations

import contextlib
from typing import Any, ContextManager, List, Mapping, Optional, Sequence, Tuple


class NeverStop:
    """Nobody asks to stop. Of several ranks all must do so after the same iteration, or one waits for the others."""

    def wanted(self) -> bool:
        """Whether this rank was asked to stop."""
        return False

    def note(self, wanted: bool) -> None:
        """Told after every iteration and evaluation, in every rank alike, whether any rank was."""


class OneRank:
    """A run of one process: everything is its own."""

    rank, size = 0, 1
    target = ""  # of the session
    stop = NeverStop()

    def share(self, total: int) -> int:
        """How many of ``total`` things, dealt out one by one, are this rank's."""
        return len(range(self.rank, total, self.size))

    def configure(self, session_config: Any) -> None:
        """Set what the session needs for the collectives."""

    def placement(self) -> ContextManager:
        """A context manager in which the graph is built."""
        return contextlib.nullcontext()

    def mean(self, tensors: Mapping[str, Any]) -> Mapping[str, Any]:
        """The mean over the ranks of each: mapping name → float32 tensor. Carries no gradient."""
        return tensors

    def total(self, *tensors: Any) -> Sequence[Any]:
        """The sum over the ranks of each; the gradient that arrives is this rank's part of the mean's."""
        return tensors

    def union(self, rows: Any, labels: Any, domains: int, count: int) -> Tuple[Any, Any]:
        """All ranks' rows and labels, in the order that one process has them.

        Args:
            rows: float32 [domains · share(count), W], this rank's. labels: int32 [domains · share(count)].
            domains: how many there are. count: of a domain's rows over all ranks.

        Returns:
            (float32 [domains · count, W], int32 [domains · count]).
        """
        return rows, labels

    def broadcast(self, variables: Sequence[Any]) -> Optional[Any]:
        """An operation that gives ``variables``, a sequence, rank 0's values; None where there is nothing to do."""

    def blame(self) -> None:
        """Called when a run of the session failed: raises an error of its own if another rank is the reason."""

    def gather(self, value: Any) -> List[Any]:
        """Every rank's JSON value, in their order; waits for all of them."""
        return [value]


ONE_RANK = OneRank()
