"""The texts of eva.txt and metrics.jsonl, made of a run's history. Needs no TensorFlow."""
from __future__ import annotations

import json
from typing import Any, Dict, Sequence

# The reference's wording (biomedia-mira/masf, main.py), so that scripts that read its logs read these too. Accuracy is
# a fraction there.
EVA_LINE = "Unseen Target Validation results: Iteration {:d}, Loss: {:f}, Accuracy: {:f} \n"


def eva_text(history: Sequence[Dict[str, Any]]) -> str:
    """eva.txt: one line for each evaluation, in the reference's words."""
    return "".join(EVA_LINE.format(record["iteration"], record["target_loss"], record["target_accuracy"] / 100.0)
                   for record in history)


def metrics_text(history: Sequence[Dict[str, Any]]) -> str:
    """metrics.jsonl: one JSON object a line, one line for each interval."""
    return "".join(json.dumps(record, sort_keys=True) + "\n" for record in history)
