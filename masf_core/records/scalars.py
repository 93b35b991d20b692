"""The numbers of an interval under the names that TensorBoard and MLflow show, with the domain in each."""
from __future__ import annotations

from typing import Any, Dict, Mapping, Optional


def interval_scalars(record: Mapping[str, Any]) -> Dict[str, Optional[float]]:
    """Name → number of an interval's record; None where there is none. Accuracies are per cent."""
    target = record["target_domain"]
    scalars = {f"target/{target}": record["target_accuracy"], f"target_loss/{target}": record.get("target_loss"),
               "validation/mean_accuracy": record["validation_accuracy"],
               "speed/seconds_per_iteration": record.get("seconds_per_iteration")}
    for domain, result in record.get("validation", {}).items():
        scalars[f"validation/{domain}"] = result.get("accuracy")
        scalars[f"validation_loss/{domain}"] = result.get("loss")
    for name, value in record.get("target_per_class", {}).items():
        scalars[f"target_class/{name}"] = value
    return scalars
