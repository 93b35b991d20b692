"""Small studies, planned without data, and finished runs of them, which were not trained."""
from __future__ import annotations

import json

from job.config.loading import to_dict
from job.sweep.plan import kinds_of, runs_of
from job.sweep.study_file import read_study

BASE = """\
settings:
  data_url: pacs
  weights_path: none
  width: 0.125
  train_iterations: 30
targets: [cartoon, sketch]
seeds: [0, 1]
"""
VARIANTS = """\
variants:
  masf:
  deepall: {method: deepall}
"""


def write_study(folder, text=BASE + VARIANTS):
    """Write the file; returns its path."""
    path = folder / "study.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def planned(folder, text=BASE + VARIANTS, flags=None):
    """(runs, kinds) of a study whose runs are stored below ``folder``."""
    study = read_study(str(write_study(folder, text)))
    kinds = kinds_of(study, flags or {})
    return runs_of(study, kinds, study.targets, str(folder / "out")), kinds


def store(tmp_path, run, target_accuracy, validation, parent="out", iteration=30):
    """Write a finished run."""
    folder = tmp_path / parent / run.name
    folder.mkdir(parents=True)
    (folder / "metrics.jsonl").write_text(json.dumps({
        "iteration": iteration, "target_domain": run.target, "target_accuracy": target_accuracy,
        "validation_accuracy": validation, "seconds_per_iteration": 0.5}) + "\n")
    (folder / "run.json").write_text(json.dumps({
        "format": 1, "run_name": run.name, "state": "done", "lineage": "a", "iteration": iteration, "attempts": [],
        "config": to_dict(run.config)}))
