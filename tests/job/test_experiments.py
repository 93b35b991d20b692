"""The experiments in configs/: each file resolves, and says what the paper's row is."""
from __future__ import annotations

import glob
import os

import pytest

from job.config.loading import load_config
from job.config.settings import values_of
from job.sweep.plan import kinds_of
from job.sweep.study_file import read_study

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
CONFIGS = sorted(glob.glob(os.path.join(ROOT, "configs", "**", "*.yaml"), recursive=True))
TABLE_3 = {
    "deepall": {"method"}, "episodic": {"beta1", "beta2", "meta_task"}, "global": {"episodic", "beta2"},
    "local": {"episodic", "beta1"}, "global_local": {"episodic"}, "episodic_global": {"beta2"},
    "episodic_local": {"beta1"}}


def load(path):
    return load_config(["--config=" + path]).config


@pytest.mark.parametrize("path", CONFIGS, ids=[os.path.relpath(path, ROOT) for path in CONFIGS])
def test_every_file_resolves_and_opens_with_command_expectation_and_duration(path):
    if os.path.basename(os.path.dirname(path)) == "studies":
        assert kinds_of(read_study(path), {})
    else:
        load(path)
    with open(path, encoding="utf-8") as stream:
        head = "".join(line for line in stream if line.startswith("#"))
    assert "Expected" in head and "Duration" in head
    assert "python -m job run" in head or "python -m job sweep" in head or "make dry-run" in head


@pytest.mark.parametrize("target", ["art_painting", "cartoon", "photo", "sketch"])
@pytest.mark.parametrize("name", sorted(TABLE_3))
def test_a_row_of_table_3_differs_from_masf_in_nothing_but_its_name_says(name, target):
    masf = values_of(load(os.path.join(ROOT, "configs", f"pacs_{target}.yaml")))
    row = values_of(load_config(["--config=" + os.path.join(ROOT, "configs", "table3", name + ".yaml"),
                                 "--weights_path=" + masf["weights_path"], "--target_domain=" + target]).config)
    # All settings, not only those that a run may not change: as many iterations and evaluations, too.
    assert {setting for setting, value in masf.items() if row[setting] != value} == TABLE_3[name]


def test_all_rows_of_table_3_are_there():
    folder = os.path.join(ROOT, "configs", "table3")
    found = {os.path.basename(path)[:-len(".yaml")] for path in CONFIGS if os.path.dirname(path) == folder}
    assert found == set(TABLE_3)


def test_the_study_of_table_3_has_a_variant_for_each_row():
    kinds = {kind.variant: kind for kind in kinds_of(read_study(os.path.join(ROOT, "configs/studies/table3.yaml")), {})}
    assert set(kinds) == set(TABLE_3) | {"masf"}
    masf = values_of(kinds["masf"].config)
    for name, differing in TABLE_3.items():
        row = values_of(kinds[name].config)
        assert {setting for setting, value in masf.items() if row[setting] != value} == differing
