"""From the file of a study to its runs."""
from __future__ import annotations

import re
from types import SimpleNamespace

import pytest

from job.config.files import Given
from job.config.loading import result_settings
from job.config.run_names import study_name, variant_in
from job.errors import ConfigError, NoSuchFolder
from job.sweep.draws import Draw, drawn
from job.sweep.plan import repeated
from job.sweep.study_file import read_study
from job.sweep.text import plan_text
from tests.job.sweep.studies import BASE, VARIANTS, planned, write_study

RANDOM = """\
random:
  samples: 3
  settings:
    outer_lr: {log_uniform: [1e-6, 1e-4]}
    margin: {choice: [5, 20]}
"""


def names(runs):
    return [run.name for run in runs]


def test_a_run_name_tells_variant_target_and_seed_and_every_one_is_another(tmp_path):
    runs, _ = planned(tmp_path)
    assert [re.sub("-[0-9a-f]{8}$", "", name) for name in names(runs)] == [
        "masf-cartoon-s0", "deepall-cartoon-s0", "masf-sketch-s0", "deepall-sketch-s0",
        "masf-cartoon-s1", "deepall-cartoon-s1", "masf-sketch-s1", "deepall-sketch-s1"]
    assert len(set(names(runs))) == 8
    assert runs[1].config.training.method == "deepall" and runs[1].config.training.seed == 0
    assert runs[1].config.run_name == runs[1].name and runs[1].url.endswith("/out/" + runs[1].name)


def test_a_setting_that_changes_the_result_changes_the_name_and_another_does_not(tmp_path):
    before = names(planned(tmp_path)[0])
    assert set(before).isdisjoint(names(planned(tmp_path, BASE.replace("0.125", "0.25") + VARIANTS)[0]))
    for same in (BASE.replace("30", "60"), BASE.replace("data_url: pacs", "data_url: other")):
        assert names(planned(tmp_path, same + VARIANTS)[0]) == before


def test_a_variant_is_read_from_the_name_of_its_run():
    for variant in ("masf", "beta2-high", "masf-r07"):
        for domain in ("cartoon", "Real World", "画", "a" * 60):
            name = study_name(variant, domain, 12, "0123abcd")
            assert len(name) <= 64
            assert variant_in(name, domain, 12) in ((variant,) if len(domain) < 60 else (variant, None))
    assert variant_in("masf_cartoon", "cartoon", 0) is None
    assert variant_in("masf-cartoon-s1-0123abcd", "sketch", 1) is None


def test_the_command_line_overrides_the_settings_of_the_file(tmp_path):
    runs, _ = planned(tmp_path, flags={"width": Given("0.5", "--width=0.5")})
    assert {run.config.network.width for run in runs} == {0.5}


@pytest.mark.parametrize("name, told", [
    ("method", "sets method for single variants"), ("seed", "the sweep chooses seed for each run"),
    ("target_domain", "the sweep chooses target_domain for each run")])
def test_a_flag_that_would_undo_the_study_is_refused(tmp_path, name, told):
    with pytest.raises(ConfigError, match=told):
        planned(tmp_path, flags={name: Given("1", f"--{name}=1")})


def test_a_variant_can_take_its_settings_from_a_configuration_file(tmp_path):
    _, kinds = planned(tmp_path, BASE + "variants:\n  global: {config: configs/table3/global.yaml, margin: 5}\n")
    assert (kinds[0].config.training.episodic, kinds[0].config.training.margin) == (False, 5.0)


def test_every_sample_has_its_own_settings_and_name(tmp_path):
    runs, kinds = planned(tmp_path, BASE + VARIANTS + RANDOM)
    assert len(runs) == 24 and len(set(names(runs))) == 24
    assert {run.label for run in runs if run.variant == "masf"} == {"masf-r00", "masf-r01", "masf-r02"}
    assert all(1e-6 <= kind.config.training.outer_lr <= 1e-4 for kind in kinds)
    assert {kind.config.training.margin for kind in kinds} <= {5.0, 20.0}
    assert kinds[0].drawn == kinds[3].drawn, "all variants get the same samples"


def test_more_samples_leave_the_first_ones_as_they_are(tmp_path):
    few = names(planned(tmp_path, BASE + VARIANTS + RANDOM)[0])
    assert set(few) < set(names(planned(tmp_path, BASE + VARIANTS + RANDOM.replace("3", "5"))[0]))


def test_draws_are_spread_over_their_range_and_are_the_same_in_every_python():
    draw = Draw("outer_lr", "log_uniform", ("1e-6", "1e-4"), "")
    values = [float(drawn(draw, 0, sample)) for sample in range(200)]
    assert sum(value < 1e-5 for value in values) in range(80, 121)
    assert drawn(draw, 0, 0) == drawn(draw, 0, 0) != drawn(draw, 1, 0)
    assert drawn(Draw("margin", "choice", ("5", "10", "20"), ""), 0, 1) in ("5", "10", "20")


def test_two_runs_of_one_variant_differ_in_nothing_but_target_and_seed(tmp_path):
    runs, _ = planned(tmp_path)
    first, other = (result_settings(run.config) for run in (runs[0], runs[6]))
    assert {name for name in first if first[name] != other[name]} == {"target_domain", "seed"}


@pytest.mark.parametrize("text, told", [
    ("variants: {masf: {margni: 3}}", "line 1: unknown key 'margni'; did you mean 'margin'?"),
    ("variant: {}", "line 1: unknown key 'variant'; did you mean 'variants'?"),
    ("variants: {masf: {margin: many}}", "line 1: margin cannot be 'many'"),
    ("variants: {masf: {seed: 3}}", "line 1: seed cannot stand here: .* each run; list the seeds below `seeds`$"),
    ("variants: {masf: {target_domain: photo}}", "target_domain cannot stand here: .* below `targets`$"),
    ("variants: {a: {margin: 3}, b: {margin: 3}, c: }", "the variants a and b have the same settings"),
    ("submit: {name: foo}", "line 1: name cannot stand here: each job is called after its run"),
    ("submit: {follow: true}", "line 1: follow cannot stand here: the sweep itself waits for the jobs"),
    ("variants: {masf: {print_interval: 3}}", "print_interval cannot stand here: the runs of a study differ only in"),
    ("variants: {-x: {}}", "a variant cannot be called '-x'"),
    ("variants:\n  a: {}\n  a: {}", "line 3: variant a is given a second time"),
    ("variants: []", "variants: expected names below it"),
    ("settings: {run_name: x}", "run_name cannot stand here: the sweep chooses it for each run"),
    ("settings: {resume: never}", "resume=never would start every run again"),
    ("seeds: [0, zero]", "seeds: expected a list of whole numbers"),
    ("seeds: [1, 1]", "seeds: 1 is given a second time"),
    ("seeds: []", "seeds: the list is empty"),
    ("targets: [a/b]", "targets: expected all, or a list of domains"),
    ("targets: cartoon,photo", "line 1: targets: expected all, or a list of domains"),
    ("targets: [cartoon, 'photo,sketch']", "line 1: targets: expected all, or a list of domains"),
    ("runner: [local, modelarts]", "line 1: runner: expected local or modelarts"),
    ("runner: {local: 1}", "line 1: runner: expected local or modelarts"),
    ("random: {samples: [3, 5], settings: {margin: {choice: [5, 10]}}}", "samples: expected a whole number from 1 to"),
    ("random: {samples: 3, seed: [1, 2], settings: {margin: {choice: [5, 10]}}}", "seed: expected a whole number"),
    ("config: configs/no_such.yaml", "there is no such file"),
    ("config: [a]", "expected the path of a configuration file"),
    ("random: {samples: 2}", "random: expected samples, a number, and settings"),
    ("random: {samples: 2, settings: {outer_lr: {log_uniform: [0, 1]}}}", "above 0"),
    ("random: {samples: 2, settings: {outer_lr: {uniform: [2, 1]}}}", r"expected two numbers, \[lowest, highest\]"),
    ("random: {samples: 2, settings: {outer_lr: {normal: [0, 1]}}}", "expected one of log_uniform, uniform, choice"),
    ("random: {samples: 2, settings: {metric_hidden: {uniform: [1, 2.5]}}}", "for whole numbers or words use choice"),
    ("random: {samples: 2, settings: {meta_batch_size: {uniform: [3, 9]}}}",
     "line 1: meta_batch_size: uniform draws fractions, .* a whole number, at least 3; for whole numbers or words use"),
    ("random: {samples: 2, settings: {outer_lr: {uniform: [-1, 1]}}}", "the setting takes a number, at least 0$"),
    ("random: {samples: 2, settings: {outer_lr: {uniform: [null, 1]}}}", "the setting takes a number, at least 0$"),
    ("random: {samples: 2, settings: {frozen_layers: {choice: [[conv1, conv2], []]}}}",
     "line 1: frozen_layers: choice: .* write several names as one text, such as 'conv1,conv2', and none as ''$"),
    ("random: {samples: 2, settings: {margin: {choice: [null]}}}", "line 1: margin: cannot be nothing"),
    ("random: {samples: 2, settings: {margin: {choice: [wide]}}}", "cannot be 'wide'"),
    ("variants: {a: {margin: 3}}\nrandom: {samples: 2, settings: {margin: {choice: [1]}}}", "variant a sets it in"),
    ("settings: {width: 0.1}\nrandom: {samples: 3, settings: {frozen_layers: {choice: [conv9]}}}",
     "study.yaml, line 2: frozen_layers: pattern 'conv9' matches no layer"),
    ("variants:\n  a: {domains: 'a,b'}", "study.yaml, line 2: domains: 2 given; expected at least 3"),
    ("settings: {domains: [a, b/c]}", "line 1: domains cannot be "),
    ("a: [", "not YAML"),
    ("just words", "expected the file of a study"),
])
def test_a_mistake_in_the_file_is_one_sentence_that_names_the_place(tmp_path, text, told):
    with pytest.raises(ConfigError, match=told) as error:
        planned(tmp_path, text)
    assert "study.yaml" in str(error.value) or "resume=never" in told
    assert len(error.value.problems) == 1


def test_a_file_that_does_not_exist_is_named(tmp_path):
    with pytest.raises(NoSuchFolder, match="there is no file .*nowhere.yaml"):
        read_study(str(tmp_path / "nowhere.yaml"))


@pytest.mark.parametrize("text", ["config: nofile.yaml", "variants: {masf: {config: nofile.yaml}}"])
def test_a_configuration_file_that_does_not_exist_has_the_exit_code_of_storage(tmp_path, text):
    with pytest.raises(NoSuchFolder, match="line 1: config: nofile.yaml: there is no such file"):
        planned(tmp_path, text)
    with pytest.raises(ConfigError) as error:
        planned(tmp_path, text + "\nseeds: []")
    assert len(error.value.problems) == 2 and not isinstance(error.value, NoSuchFolder)


def test_variants_that_differ_only_in_the_iterations_and_equal_samples_are_no_mistake(tmp_path):
    planned(tmp_path, BASE + "variants: {short: {train_iterations: 10}, long: {train_iterations: 20}}\n")
    planned(tmp_path, BASE + "random: {samples: 3, settings: {margin: {choice: [5]}}}\n")


def test_the_domains_of_a_study_need_not_hold_the_default_target(tmp_path):
    runs, _ = planned(tmp_path, "settings: {domains: [photo, sketch, art]}\ntargets: [sketch, art]\n")
    assert [(run.target, run.config.data.target_domain) for run in runs] == [("sketch", "sketch"), ("art", "art")]


def test_a_choice_can_be_nothing_and_several_names(tmp_path):
    _, kinds = planned(tmp_path, BASE + "random: {samples: 12, settings: {meta_lr: {choice: [1e-3, null]}, "
                                        "frozen_layers: {choice: ['conv1,conv2', '']}}}\n")
    assert {kind.config.training.meta_lr for kind in kinds} == {1e-3, None}
    assert {kind.config.network.frozen_layers for kind in kinds} == {("conv1", "conv2"), ()}


def test_samples_that_draw_the_same_are_told_and_the_plan_shows_what_is_drawn(tmp_path):
    runs, kinds = planned(tmp_path, BASE + "random: {samples: 3, settings: {margin: {choice: [5]}}}\n")
    assert repeated(kinds) == ["masf-r00, masf-r01, masf-r02 train the same: their settings are the same. Leave out "
                               "all but one of them, or give fewer samples"]
    assert "\n  masf-r01: margin=5\n" in plan_text(SimpleNamespace(kinds=kinds, runs=runs))
    assert repeated(planned(tmp_path, BASE + RANDOM)[1]) == []


@pytest.mark.parametrize("update, count", [("joint", 1), ("reference", 0)])
def test_variants_that_differ_only_in_a_meta_lr_without_effect_are_told(tmp_path, update, count):
    told = repeated(planned(tmp_path, BASE + (
        f"variants: {{a: {{update: {update}}}, b: {{update: {update}, meta_lr: 1e-6}}, c: {{margin: 3}}}}\n"))[1])
    assert len(told) == count
    assert not told or told[0].startswith("a, b train the same: meta_lr has no effect, because update=joint")


def test_without_variants_seeds_and_targets_the_study_is_masf_on_all_domains(tmp_path):
    study = read_study(str(write_study(tmp_path, "settings: {width: 0.5}\n")))
    assert (study.targets, study.seeds, list(study.variants)) == (None, (0,), ["masf"])
