"""The experiments in configs/: each file resolves, and says what the paper's row is."""
from __future__ import annotations

import glob
import os

import pytest

from job.config.loading import load_config
from job.config.settings import Network, settings, values_of
from job.sweep.plan import kinds_of
from job.sweep.study_file import read_study

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
CONFIGS = sorted(glob.glob(os.path.join(ROOT, "configs", "**", "*.yaml"), recursive=True))
EXPERIMENTS = [path for path in CONFIGS if os.path.basename(os.path.dirname(path)) != "studies"]
TABLE_3 = {
    "deepall": {"method"}, "episodic": {"beta1", "beta2", "meta_task"}, "global": {"episodic", "beta2"},
    "local": {"episodic", "beta1"}, "global_local": {"episodic"}, "episodic_global": {"beta2"},
    "episodic_local": {"beta1"}}
# The targets with the margins of the authors' code and README.
MARGINS = {"art_painting": 20.0, "cartoon": 10.0, "photo": 10.0, "sketch": 10.0}
# What the authors' main.py has; the other settings have the same defaults here.
AUTHORS = {"train_iterations": 10000, "meta_batch_size": 128, "inner_lr": 1e-5, "outer_lr": 1e-5, "metric_lr": 1e-5,
           "gradients_clip_value": 2.0, "print_interval": 100, "summary_interval": 100, "test_print_interval": 100}


def load(path, *flags):
    return load_config(["--config=" + path, *flags]).config


def paper(name):
    return os.path.join(ROOT, "configs", "paper", name + ".yaml")


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


@pytest.mark.parametrize("name, margin, backbone, target", [
    (f"pacs_alexnet_{target}", margin, "alexnet", target) for target, margin in sorted(MARGINS.items())
] + [("pacs_resnet18", 10.0, "resnet18", "cartoon"), ("pacs_resnet50", 10.0, "resnet50", "cartoon"),
     ("vlcs_alexnet", 10.0, "alexnet", "CALTECH")])
def test_a_file_of_the_paper_has_the_authors_settings_with_validation_and_with_one_list_a_domain(
        name, margin, backbone, target):
    expected = dict({each: setting.default for each, setting in settings().items()}, **AUTHORS, margin=margin,
                    backbone=backbone, target_domain=target, selection="source_val")
    found = values_of(load(paper(name)))
    assert {each: value for each, value in found.items() if value != expected[each]}.keys() == {"weights_path"}
    with open(paper(name), encoding="utf-8") as stream:
        told = next(line for line in stream if line.startswith("#   add "))
    flags = told[len("#   add "):].split()
    authors = values_of(load(paper(name), *flags))
    assert {each for each, value in authors.items() if value != found[each]} == {"filelist_root", "selection"}
    assert authors["selection"] == "oracle"


def test_all_files_of_the_paper_are_there():
    assert sorted(os.path.basename(path) for path in glob.glob(paper("*"))) == sorted(
        [f"pacs_alexnet_{target}.yaml" for target in MARGINS]
        + ["pacs_resnet18.yaml", "pacs_resnet50.yaml", "vlcs_alexnet.yaml"])


@pytest.mark.parametrize("name, target", [
    ("vlcs", "Caltech101"), ("officehome", "Art"), ("domainnet", "clipart"), ("terraincognita", "location_38")])
def test_each_further_set_has_a_file_without_lists_in_domainbeds_layout(name, target):
    found = load(os.path.join(ROOT, "configs", name + ".yaml"))
    assert (found.data.target_domain, found.data.filelist_root) == (target, "none")
    assert found.network.backbone == "resnet50" and found.data.weights_path == "resnet50.pth"


@pytest.mark.parametrize("path", EXPERIMENTS, ids=[os.path.relpath(path, ROOT) for path in EXPERIMENTS])
def test_only_files_with_the_authors_iterations_expect_the_papers_accuracy(path):
    with open(path, encoding="utf-8") as stream:
        head = "".join(line for line in stream if line.startswith("#"))
    expected = head.split("# Expected: ")[1].split("# Duration:")[0]
    config = load(path)
    if config.training.train_iterations < AUTHORS["train_iterations"] and config.network == Network():
        assert expected.startswith("not known for ")


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


def test_the_study_of_squeezenet_compares_methods_under_equal_conditions():
    kinds = {kind.variant: kind for kind in kinds_of(
        read_study(os.path.join(ROOT, "configs/studies/squeezenet_pacs.yaml")), {})}
    assert {"deepall", "masf", "masf_joint"} <= set(kinds)
    deepall = values_of(kinds["deepall"].config)
    assert deepall["method"] == "deepall" and deepall["frozen_layers"]
    for kind in kinds.values():
        differing = {setting for setting, value in values_of(kind.config).items() if value != deepall[setting]}
        assert differing <= {"method", "update", "outer_lr", "meta_lr", "beta2", "meta_task"}
    masf, joint = (values_of(kinds[name].config) for name in ("masf", "masf_joint"))
    assert {setting for setting, value in masf.items() if joint[setting] != value} == {"update"}
    assert (masf["update"], masf["meta_lr"], masf["beta1"], masf["beta2"]) == ("reference", None, 1.0, 0.005)


def test_the_configuration_of_squeezenet_has_the_settings_that_were_found():
    kinds = {kind.variant: kind for kind in kinds_of(
        read_study(os.path.join(ROOT, "configs/studies/squeezenet_pacs.yaml")), {})}
    assert kinds["masf_found"].config == load(os.path.join(ROOT, "configs", "squeezenet_pacs.yaml"))
