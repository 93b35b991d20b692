"""Which checkpoint is the best one: the decision of a policy that has a name.

``source_val`` chooses by the validation images of the source domains. It is the honest policy, because the target
domain counts as unseen. ``oracle`` chooses by the target domain, as the reference and its port do. ``last`` chooses the
newest checkpoint.
"""
from __future__ import annotations

from typing import Any, Iterable, Mapping, Optional

POLICIES = ("source_val", "oracle", "last")


def score(policy: str, record: Mapping[str, Any]) -> float:
    """The number that is highest for the best checkpoint: per cent, or an iteration for ``last``.

    Args:
        policy: one of ``POLICIES``.
        record: of an interval, with ``iteration``, ``target_accuracy`` and ``validation_accuracy``, per cent. The
            latter is the mean of the source domains' accuracies, so that each domain counts alike.

    Raises:
        ValueError: unknown policy.
    """
    if policy == "source_val":
        return record["validation_accuracy"]
    if policy == "oracle":
        return record["target_accuracy"]
    if policy == "last":
        return float(record["iteration"])
    raise ValueError(f"unknown selection policy {policy!r}; expected one of {', '.join(POLICIES)}")


def best(policy: str, history: Iterable[Mapping[str, Any]]) -> Optional[Mapping[str, Any]]:
    """The record with the highest score, and the earliest of several that have it; None for an empty history.

    Raises:
        ValueError: unknown policy.
    """
    chosen = None
    for record in history:
        if chosen is None or score(policy, record) > score(policy, chosen):
            chosen = record
    return chosen
