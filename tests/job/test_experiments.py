"""The files in configs/: each resolves, and says how it is used."""

from __future__ import annotations

import os

import pytest

from job.config import Config, values_of
from job.config_load import CODE_FOLDER, load_config

FOLDER = os.path.join(CODE_FOLDER, "configs")
NAMES = sorted(name for name in os.listdir(FOLDER) if name.endswith(".yaml"))
TARGETS = ("art_painting", "cartoon", "photo", "sketch")


@pytest.mark.parametrize("name", NAMES)
def test_every_experiment_resolves(name):
    config, provenance = load_config(["--config=" + os.path.join(FOLDER, name)])
    assert any(where != "default" for where in provenance.values())
    assert config.data.target_domain in TARGETS


@pytest.mark.parametrize("name", NAMES)
def test_every_experiment_opens_with_its_command_expected_result_and_duration(name):
    with open(os.path.join(FOLDER, name), encoding="utf-8") as stream:
        opening = [line for line in stream if line.startswith("#")]
    text = "".join(opening)
    assert "--config=configs/" + name in text or name == "dry_run.yaml" and "make dry-run" in text
    assert "# Expected: " in text
    assert "# Duration: " in text


def test_there_is_an_experiment_for_each_target():
    for target in TARGETS:
        config = load_config(["--config=configs/pacs_{}.yaml".format(target)]).config
        assert config.data.target_domain == target
        published = {name: value for name, value in values_of(config).items()
                     if name not in ("target_domain", "weights_path")}
        assert published == {name: values_of(Config())[name] for name in published}


def test_the_dry_run_differs_from_a_real_run_in_its_scale_alone():
    config, provenance = load_config(["--config=configs/dry_run.yaml"])
    changed = {name for name, where in provenance.items() if where != "default"}
    assert changed <= {
        "target_domain", "width", "keep_probability", "train_iterations", "meta_batch_size", "inner_lr", "outer_lr",
        "metric_lr", "print_interval", "summary_interval", "test_print_interval", "evaluation_batch"}
