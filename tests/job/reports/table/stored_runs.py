"""Runs as they lie in a store, without training."""
from __future__ import annotations

import json

from job.config.loading import replace_settings, to_dict
from job.config.run_names import study_name
from job.config.settings import Config

MINIATURE = {"art_painting": 210, "cartoon": 210, "photo": 210, "sketch": 210}


def store_run(root, target, seed, accuracies=((50.0, 60.0),), variant=None, state="done", name=None, images=None,
              attempt=None, change=None, **values):
    """Write run.json and metrics.jsonl of a run below ``root``; returns its folder.

    Args:
        accuracies: (on the target, on validation images) of each interval of 10 iterations. variant: its run has the
            name of a sweep's. attempt: members of the last attempt. change: called with the content of run.json.
        values: settings.
    """
    config = replace_settings(Config(), **dict(values, weights_path="none", seed=seed, train_iterations=30))
    if name is None:
        name = f"run_{target}_{seed}" if variant is None else study_name(variant, target, seed, "0123abcd")
    folder = root / name
    folder.mkdir(parents=True)
    lines = [{"iteration": 10 * number, "target_domain": target, "target_accuracy": on_target,
              "validation_accuracy": validation, "seconds_per_iteration": 0.5}
             for number, (on_target, validation) in enumerate(accuracies, 1)]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    settings = to_dict(config)
    settings["data"]["target_domain"] = target
    content = {"format": 1, "run_name": name, "state": state, "lineage": "a", "iteration": 10 * len(lines),
               "attempts": [dict({"started": "2026-01-01T00:00:00Z", "outcome": state}, **(attempt or {}))],
               "config": settings, "data": {"images": images or MINIATURE}}
    if change is not None:
        change(content)
    (folder / "run.json").write_text(json.dumps(content))
    return folder
