"""The table of a study, and what a random search chooses."""
from __future__ import annotations

from job.reports.table.build import Options, build
from job.sweep.collect import collect
from obs_sync import open_store
from tests.job.sweep.studies import BASE, VARIANTS, planned, store

RANDOM = "variants: {masf: }\nrandom: {samples: 3, settings: {outer_lr: {log_uniform: [1e-6, 1e-4]}}}\n"


def test_the_table_has_the_planned_runs_and_no_others(tmp_path):
    runs, kinds = planned(tmp_path, BASE + VARIANTS)
    for run in runs[:3]:
        store(tmp_path, run, 50.0 + run.seed, 60.0)
    strangers, _ = planned(tmp_path, BASE.replace("0.125", "0.5") + VARIANTS)
    store(tmp_path, strangers[0], 99.0, 99.0)
    found = collect(runs, kinds, open_store)
    table = build(found.variants, found.found.unreadable, found.notes, Options(paper="none"))
    assert [(row.name, row.cells[0].values, row.cells[0].expected) for row in table.rows] == [
        ("masf", ((0, 50.0),), 2), ("deepall", ((0, 50.0),), 2)]
    assert len(table.missing) == 5 and {each.state for each in table.missing} == {"missing"}


def test_the_papers_rows_stand_in_the_table_of_a_study_without_results(tmp_path):
    runs, kinds = planned(tmp_path, BASE + VARIANTS)
    found = collect(runs, kinds, open_store)
    table = build(found.variants, found.found.unreadable, found.notes, Options())
    assert [row.name for row in table.rows] == ["masf", "paper: MASF", "deepall", "paper: DeepAll"]
    store(tmp_path, runs[0], 50.0, 60.0)
    found = collect(runs, kinds, open_store)
    table = build(found.variants, found.found.unreadable, found.notes, Options())
    assert [row.name for row in table.rows] == ["masf", "paper: MASF", "difference", "deepall", "paper: DeepAll"]


def test_random_search_is_decided_by_source_validation_for_each_target(tmp_path):
    runs, kinds = planned(tmp_path, BASE + RANDOM)
    for run in runs:
        best = run.sample == (1 if run.target == "cartoon" else 2)
        store(tmp_path, run, 30.0 + run.sample + 10.0 * run.seed, (70.0 if best else 60.0) + run.seed)
    found = collect(runs, kinds, open_store)
    variant, = found.variants
    assert {place: run.scores["source_val"].target for place, run in variant.runs.items()} == {
        ("cartoon", 0): 31.0, ("cartoon", 1): 41.0, ("sketch", 0): 32.0, ("sketch", 1): 42.0}
    assert found.notes[0].startswith("masf on cartoon: 3 of 3 samples complete; masf-r01 (outer_lr=")
    assert "chosen by 70.50 % on validation images" in found.notes[0]
    assert [each.name for each in collect(runs, kinds, open_store, samples=True).variants] == [
        "masf", "masf-r00", "masf-r01", "masf-r02"]


def test_a_sample_without_all_its_seeds_is_not_chosen(tmp_path):
    runs, kinds = planned(tmp_path, BASE + RANDOM)
    for run in runs:
        if (run.sample, run.seed) != (1, 1):
            store(tmp_path, run, 30.0 + run.sample, 90.0 if run.sample == 1 else 60.0 - run.sample)
    found = collect(runs, kinds, open_store)
    assert found.variants[0].runs["cartoon", 0].scores["source_val"].target == 30.0
    assert found.notes[0].startswith("masf on cartoon: 2 of 3 samples complete; masf-r00")
