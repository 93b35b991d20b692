"""What the processes of a run, one a card, have in common: who they are, and means over all of them."""
from __future__ import annotations


class OneRank:
    """A run of one process."""

    rank, size = 0, 1

    def mean(self, tensors):
        """The mean over the ranks of each: mapping name → float32 tensor."""
        return tensors
