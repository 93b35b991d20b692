"""Small studies, planned without data."""
from __future__ import annotations

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
