"""Configuration files and the platform's word: precedence, spelling, every mistake with its line."""

from __future__ import annotations

import pytest

from job.config.loading import ConfigError, load_config
from job.config.settings import Config, values_of


def written(folder, text, name="settings.yaml"):
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return f"--config={path}"


def problem_of(*arguments):
    with pytest.raises(ConfigError) as caught:
        load_config(arguments)
    assert len(caught.value.problems) == 1, caught.value.problems
    return caught.value.problems[0]


def test_a_file_counts_more_than_defaults_and_less_than_flags(tmp_path):
    config, provenance = load_config([written(tmp_path, "seed: 5\nmargin: 2\n"), "--margin=3"])
    assert (config.training.seed, config.training.margin) == (5, 3.0)
    assert provenance["seed"].endswith("settings.yaml, line 1")
    assert provenance["margin"] == "--margin=3"


def test_a_file_can_be_flat_or_in_groups(tmp_path):
    flat = written(tmp_path, "seed: 5\ntarget_domain: sketch\n", "flat.yaml")
    grouped = written(tmp_path, "training:\n  seed: 5\ndata:\n  target_domain: sketch\nnetwork:\n", "grouped.yaml")
    assert load_config([flat]).config == load_config([grouped]).config != Config()


def test_scalars_of_a_file_are_taken_as_written(tmp_path):
    """PyYAML alone would make a string of 1e-5, False of no, and 8 of 010."""
    text = "inner_lr: 1e-4\nresume: no\nrun_name: 010\nlabel_base: 1\nweights_path: none\nnum_classes: null\n"
    values = values_of(load_config([written(tmp_path, text)]).config)
    assert values["inner_lr"] == 1e-4
    assert values["resume"] == "never"
    assert values["run_name"] == "010"
    assert values["label_base"] == "1"
    assert values["weights_path"] == "none"
    assert values["num_classes"] is None


@pytest.mark.parametrize("text", [
    "domains: [a, b, cartoon]", "domains: a,b,cartoon", "domains:\n- a\n- b\n- cartoon\n"])
def test_several_names_are_a_list_or_separated_by_commas(tmp_path, text):
    assert load_config([written(tmp_path, text)]).config.data.domains == ("a", "b", "cartoon")


@pytest.mark.parametrize("text, line, problem", [
    ("seed: 1\ninner_rl: 1\n", 2, "unknown key 'inner_rl'; did you mean 'inner_lr'?"),
    ("num_gpus: 1\n", 1, "unknown key 'num_gpus'"),
    ("config: other.yaml\n", 1, "unknown key 'config'"),
    ("seed: 1\nmargin: 2\nseed: 1\n", 3, "seed is given a second time, after "),
    ("seed: 1\ntraining:\n  seed: 1\n", 3, "seed is given a second time, after "),
    ("data:\n  seed: 1\n", 2, "seed belongs to the group training, not data"),
    ("training: 5\n", 1, "training is a group; expected settings below it, indented"),
    ("seed:\n  value: 5\n", 1, "seed: expected one value, not a structure"),
    ("seed: [1, 2]\n", 1, "seed cannot be ['1', '2']; expected a whole number"),
    ("seed: null\n", 1, "seed cannot be nothing; expected a whole number"),
    ("? [a, b]\n: 1\n", 1, "expected a name before the colon"),
    ("margin: wide\n", 1, "margin cannot be 'wide'; expected a number, at least 0"),
])
def test_a_mistake_in_a_file_names_file_and_line(tmp_path, text, line, problem):
    told = problem_of(written(tmp_path, text))
    assert told.startswith("{}, line {}: {}".format(tmp_path / "settings.yaml", line, problem)), told


@pytest.mark.parametrize("text, problem", [
    ("seed: [1\n", "not YAML"),
    ("- seed\n", "expected lines of the form `name: value`"),
    ("seed: !!python/object/apply:os.getcwd []\n", "seed cannot be []"),
    ("a: 1\n---\nb: 2\n", "not YAML"),
    ("seed: \x01\n", "not YAML: unacceptable character #x0001: special characters are not allowed"),
    pytest.param("seed: " + "[" * 100000, "nests too deep; expected settings, flat or in one level of groups", id="["),
    pytest.param("[" * 100000 + "]" * 100000, "nests too deep", id="[]"),
    pytest.param("a: {" * 50000, "nests too deep", id="{"),
    ("seed: &a [*a]\n", "seed: expected one value, not a structure"),
])
def test_a_file_that_is_not_a_mapping_is_refused(tmp_path, text, problem):
    assert problem in problem_of(written(tmp_path, text))


def test_a_file_that_is_not_text_is_refused(tmp_path):
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00\x80")
    assert "cannot be read" in problem_of("--config={}".format(tmp_path / "binary.yaml"))


def test_an_empty_file_changes_nothing(tmp_path):
    assert load_config([written(tmp_path, "# nothing\n")]).config == Config()


def test_a_missing_file_is_told_with_where_it_was_looked_for(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert problem_of("--config=nowhere.yaml").startswith("--config=nowhere.yaml: there is no such file; looked for ./")


def test_a_file_of_the_code_is_found_from_another_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert load_config(["--config=configs/pacs_sketch.yaml"]).config.data.target_domain == "sketch"


def test_a_bad_value_in_a_file_is_told_though_a_flag_overrides_it(tmp_path):
    assert "margin cannot be 'x'" in problem_of(written(tmp_path, "margin: x\n"), "--margin=1")


# -- what the platform says

def test_the_platform_counts_only_where_nobody_gave_a_value():
    says = {"data_url": ("/inputs", "environment variable data_url")}
    config, provenance = load_config([], says)
    assert (config.data.data_url, provenance["data_url"]) == ("/inputs", "environment variable data_url")
    assert load_config(["--data_url=obs://b/x/"], says).config.data.data_url == "obs://b/x/"
