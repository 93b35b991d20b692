"""Records and progress as a run writes them."""
from __future__ import annotations

from masf_core.records.progress import Progress

SCALARS = {"source_loss": 1.5, "source_accuracy": 40.0, "global_loss": 0.01, "metric_loss": 0.02, "seconds": 0.5}


def record(iteration, **changes):
    """The record of the interval that ends at ``iteration``."""
    content = {
        "iteration": iteration, "source_loss": 1.5, "source_accuracy": 40.0, "global_loss": 0.01, "metric_loss": 0.02,
        "seconds_per_iteration": 0.5, "images_per_second": 90.0, "evaluation_seconds": 2.0, "target_domain": "cartoon",
        "target_loss": 1.25, "target_accuracy": 50.0, "target_per_class": {"cat": 70.0, "dog": None},
        "target_confusion": [[7, 3], [0, 0]], "validation": {"photo": {"loss": 1.0, "accuracy": 60.0}},
        "validation_accuracy": 60.0}
    return dict(content, **changes)


def progress_at(iteration, pending=0, **details):
    """The ``Progress`` at ``iteration``, of which the last ``pending`` iterations are after the last interval."""
    end = iteration - pending
    return Progress(iteration, [record(end)] if end else [], [dict(SCALARS) for _ in range(pending)], details)
