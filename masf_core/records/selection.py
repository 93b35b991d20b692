"""Which checkpoint is the best one: a named policy, never an accident.

``source_val`` is the honest one: the target domain is unseen, so it may not choose. ``oracle`` is what the reference
and its port do and is here under its honest name. ``last`` chooses nothing.
"""
from __future__ import annotations

POLICIES = ("source_val", "oracle", "last")


def score(policy, record):
    """The number that the best checkpoint maximises.

    Args:
        policy: one of ``POLICIES``.
        record: an interval's record with ``iteration``, ``validation_accuracy`` (mean over the source domains'
            accuracies, so that a large domain does not outvote the others) and ``target_accuracy``, per cent.

    Raises:
        ValueError: unknown policy.
    """
    if policy == "source_val":
        return record["validation_accuracy"]
    if policy == "oracle":
        return record["target_accuracy"]
    if policy == "last":
        return float(record["iteration"])
    raise ValueError("unknown selection policy {!r}; expected one of {}".format(policy, ", ".join(POLICIES)))


def best(policy, history):
    """The record with the highest score, the earliest among equals; None for an empty history."""
    chosen = None
    for record in history:
        if chosen is None or score(policy, record) > score(policy, chosen):
            chosen = record
    return chosen
