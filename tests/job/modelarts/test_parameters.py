"""Settings become parameters that the job reads as the same settings."""

from __future__ import annotations

import pytest

from job.config.loading import load_config, replace_settings
from job.config.settings import values_of
from job.errors import ConfigError
from job.modelarts.parameters import given_in_file, parameters_of, resolve_settings
from tests.job.modelarts.memory_service import FLAVOR

PLACES = ["--data_url=obs://bucket/pacs/", "--train_url=obs://bucket/output/"]


@pytest.fixture
def write(tmp_path):
    def write_file(text):
        (tmp_path / "mine.yaml").write_text(text, encoding="utf-8")
        return f"--config={tmp_path / 'mine.yaml'}"

    return write_file


@pytest.mark.parametrize("values", [
    {}, {"seed": 3, "inner_lr": 1e-7, "margin": 0.1, "loss_scale_initial": 2.0 ** 20, "metric_normalise": True},
    {"domains": ("a b", "cartoon", "照片"), "exclude": ("*.tmp", "/x/y"), "target_domain": "照片"},
    {"ascend_options": ("deterministic=1", "op_debug_level=1"), "num_classes": 7}, {"loss_scale": 128.0},
    {"resume": "never", "episodic": False, "weights_path": "obs://bucket/w.npy", "compile_cache_dir": "kernels"},
])
def test_a_job_that_gets_the_parameters_has_the_same_settings(values):
    config = replace_settings(resolve_settings(PLACES), **values)
    arguments = [f"--{name}={text}" for name, text in parameters_of(config)]
    assert values_of(load_config(arguments).config) == values_of(config)


def test_settings_at_their_defaults_are_not_passed_but_the_target_and_the_name_of_the_run_are():
    assert dict(parameters_of(resolve_settings(PLACES + ["--train_iterations=300"]))) == {
        "data_url": "obs://bucket/pacs/", "train_url": "obs://bucket/output/", "target_domain": "cartoon",
        "run_name": "masf_cartoon"}


def test_a_value_that_no_parameter_can_hold_is_told(write):
    config = resolve_settings(PLACES + [write("domains: ['a,b', photo, cartoon]\n")])
    with pytest.raises(ConfigError, match="domains=.* cannot be passed to a job as one parameter"):
        parameters_of(config)


@pytest.mark.parametrize("words", [
    ["--data_url=/bucket/pacs", "--train_url=/bucket/output/"],
    ["--data_url", "s3://bucket/pacs/", "--train_url", "obs://bucket/output"],
])
def test_places_are_taken_in_every_form(words):
    config = resolve_settings(words + ["--weights_path=/bucket/weights/a.npy"])
    assert (config.data.data_url, config.platform.train_url, config.data.weights_path) == (
        "obs://bucket/pacs/", "obs://bucket/output/", "obs://bucket/weights/a.npy")


def test_places_in_a_file_are_taken_in_every_form_and_flags_count_more(write):
    config = resolve_settings([write("data_url: /bucket/pacs/\ntrain_url: /bucket/output/\nweights_path: a.npy\n"),
                               "--train_url=/bucket/other/"])
    assert (config.data.data_url, config.platform.train_url, config.data.weights_path) == (
        "obs://bucket/pacs/", "obs://bucket/other/", "a.npy")


@pytest.mark.parametrize("words, told", [
    (["--train_url=obs://bucket/output/"], "--data_url is missing; expected a folder in OBS"),
    (["--data_url=obs://bucket/pacs/"], "--train_url is missing"),
    (["--data_url=pacs", "--train_url=obs://bucket/output/"], "data_url cannot be 'pacs'.*sees only OBS"),
    (["--data_url=/B/pacs/", "--train_url=obs://bucket/output/"], "data_url cannot be '/B/pacs/'"),
    (["--data_url=obs://bucket//x/", "--train_url=obs://bucket/output/"], "cannot be 'obs://bucket//x/'"),
])
def test_a_place_that_is_not_in_obs_is_refused(words, told):
    with pytest.raises(ConfigError, match=told):
        resolve_settings(words)


# -- the part `submit` of a file


def test_options_stand_in_a_part_of_the_file(write):
    file = write(f"seed: 3\nsubmit:\n  flavor: {FLAVOR.id}\n  max_hours: 4\n")
    assert {name: given.value for name, given in given_in_file([file]).items()} == {
        "flavor": FLAVOR.id, "max_hours": "4"}
    assert given_in_file([]) == {}


def test_a_run_skips_the_part(write):
    assert load_config([write("submit:\n  flavor: x\nseed: 3\n")]).config.training.seed == 3


@pytest.mark.parametrize("text, told", [
    ("submit:\n  flavour: x\n", "line 2: unknown key 'flavour' of submit; did you mean 'flavor'"),
    ("submit:\n  seed: 3\n", r"unknown key 'seed' of submit \(it is a setting, which belongs outside the part"),
    ("submit:\n  nodes: 1\n  nodes: 2\n", "line 3: nodes is given a second time, after .*line 2"),
    ("submit: x\n", "submit is a group"),
    ("training:\n  flavor: x\n", "unknown key 'flavor'"),
])
def test_a_mistake_in_the_part_is_told_to_a_run_as_well(write, text, told):
    with pytest.raises(ConfigError, match=told):
        load_config([write(text)])
