"""Settings: declared well, resolved by precedence, every mistake told with its place."""

from __future__ import annotations

import json
import re

import pytest

from job.config import loading
from job.config.contradictions import doubts
from job.config.foreign_flags import PORT_FLAGS
from job.config.loading import ConfigError, load_config, replace_settings, to_yaml, warn_of_unknown
from job.config.settings import GROUPS, Config, config_of, settings, values_of

PUBLISHED = """
    data_url train_url target_domain dataroot filelist_root weights_path logdir num_classes train_iterations
    meta_batch_size inner_lr outer_lr metric_lr margin gradients_clip_value summary_interval print_interval
    test_print_interval resume precision_mode
""".split()


def problems_of(*arguments):
    with pytest.raises(ConfigError) as caught:
        load_config(arguments)
    return caught.value.problems


def problem_of(*arguments):
    problems = problems_of(*arguments)
    assert len(problems) == 1, problems
    return problems[0]


# -- the declarations

def test_published_names_are_settings():
    assert {name for name, each in settings().items() if each.published} == set(PUBLISHED)


def test_every_default_is_a_value_of_its_own_kind():
    for each in settings().values():
        assert each.kind.convert(each.default) == each.default, each.name


def test_every_setting_has_help_and_says_what_it_expects():
    for each in settings().values():
        assert each.help and each.kind.expected, each.name


def test_what_only_moves_or_speeds_up_a_run_does_not_make_it_another():
    harmless = {"data_url", "train_url", "work_dir", "logdir", "resume", "train_iterations", "print_interval",
                "keep_checkpoints", "keep_every", "transfer_workers", "log_level", "storage", "device",
                "profile_dir"}
    changing = {"target_domain", "domains", "seed", "inner_lr", "outer_lr", "metric_lr", "margin", "meta_batch_size",
                "width", "keep_probability", "weights_path", "selection", "precision", "label_base", "mix_list"}
    affecting = {name for name, each in settings().items() if each.affects_result}
    assert not harmless & affecting
    assert changing <= affecting


def test_defaults_are_the_published_settings():
    training = Config().training
    assert (training.train_iterations, training.meta_batch_size, training.margin) == (300, 126, 10.0)
    assert (training.inner_lr, training.outer_lr, training.metric_lr) == (1e-5, 1e-5, 1e-5)
    assert training.flip_probability == 0.5 * 0.25 * 0.5
    assert (training.crop_scale_min, training.colour_jitter, training.grey_probability) == (1.0, 0.0, 0.0)


# -- flags

def test_no_arguments_give_the_defaults():
    config, provenance = load_config([])
    assert config == Config()
    assert set(provenance.values()) == {"default"}


@pytest.mark.parametrize("arguments", [
    ["--margin=3", "--target_domain=sketch"],
    ["--margin", "3", "--target_domain", "sketch"],
    ["--margin=7", "--target-domain", "sketch", "--margin=3.0"],
])
def test_flags_are_read_in_every_usual_spelling(arguments):
    config, provenance = load_config(arguments)
    assert config.training.margin == 3.0
    assert config.data.target_domain == "sketch"
    assert provenance["margin"].startswith("--margin=3")
    assert provenance["seed"] == "default"


def test_flags_of_the_platform_are_ignored_and_logged(caplog):
    with caplog.at_level("INFO", logger="job"):
        config, _ = load_config(["--num_gpus", "1", "--seed=4", "--init_method=tcp://h:1", "--task-index"])
    assert config == replace_settings(Config(), seed=4)
    assert "--num_gpus 1 --init_method=tcp://h:1 --task-index" in caplog.text


def test_an_unknown_flag_is_an_error_and_all_of_them_are_told():
    assert problems_of("--use_npu", "1", "--seed=4", "--metabatch=3") == [
        "unknown flag --use_npu", "unknown flag --metabatch; did you mean --meta_batch_size?"]


def test_where_unknown_flags_are_tolerated_the_rest_is_taken_and_they_are_warned_of(caplog):
    arguments = ["--use_npu", "--seed=4", "--mystery", "a", "b"]
    assert load_config(arguments, tolerant=True).config.training.seed == 4
    warn_of_unknown(arguments)
    assert "unknown flags have no effect: --use_npu --mystery a b." in caplog.text


def test_a_slip_is_an_error_even_where_unknown_flags_are_tolerated():
    with pytest.raises(ConfigError, match="did you mean --seed"):
        load_config(["--SEED=4"], tolerant=True)


@pytest.mark.parametrize("flag, here", [
    ("--train=False", "python -m job evaluate"), ("--dataset=pacs", "--data_url"),
    ("--clipNorm=True", "--gradients_clip_value"), ("--log=True", "--summary_interval"),
    ("--save_interval=20", "--test_print_interval"), ("--data_path=/d", "--data_url"),
    ("--output_path=/o", "--train_url"), ("--profiling=True", "--profile_dir"),
    ("--over_dump=True", "--overflow_dump_dir"), ("--data_dump_flag=True", "--ascend_options"),
])
def test_a_flag_of_the_published_port_is_answered_with_its_name_here(flag, here):
    told = problem_of(flag)
    assert told.startswith("unknown flag {}, of the published port: ".format(flag.split("=")[0]))
    assert here in told and here.lstrip("-").split(" ")[0] in set(settings()) | {"python"}
    with pytest.raises(ConfigError):
        load_config([flag], tolerant=True)


def test_the_answers_of_the_port_name_settings_that_there_are():
    assert not set(PORT_FLAGS) & set(settings())
    for told in PORT_FLAGS.values():
        assert set(re.findall(r"--(\w+)", told)) <= set(settings()), told


def test_what_the_port_called_otherwise_is_answered_in_a_file_too(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("clipNorm: true\n")
    assert "line 1: unknown key 'clipNorm', of the published port: " in problem_of(f"--config={path}")


@pytest.mark.parametrize("flag, meant", [
    ("--sed=1", "--seed"),  # one letter is missing
    ("--seeds=1", "--seed"),  # one too many
    ("--sede=1", "--seed"),  # two exchanged
    ("--log_dir=x", "--logdir"),
    ("--target_domian=x", "--target_domain"),
    ("--traget_domian=x", "--target_domain"),  # two slips in a long name
    ("--confg=x", "--config"),
])
def test_a_flag_that_is_a_slip_away_is_an_error(flag, meant):
    assert problem_of(flag) == "unknown flag {}; did you mean {}?".format(flag.split("=")[0], meant)


def test_two_slips_in_a_short_name_are_another_flag():
    assert load_config(["--said=1"], tolerant=True).config == Config()


def test_the_value_behind_a_misspelled_flag_is_not_a_second_problem():
    assert problem_of("--sed", "1") == "unknown flag --sed; did you mean --seed?"


def test_a_flag_without_its_value_is_an_error():
    assert problem_of("--seed", "--margin=1") == "--seed needs a value, as in --seed=VALUE"


def test_a_bare_word_is_an_error():
    assert problem_of("cartoon") == "unexpected argument 'cartoon'; expected --name=value"


def test_a_negative_value_can_stand_behind_its_flag():
    assert "margin cannot be '-1'; expected a number, at least 0" in problem_of("--margin", "-1")


# -- values

@pytest.mark.parametrize("flag, name, value", [
    ("--inner_lr=1e-3", "inner_lr", 0.001),
    ("--max_pixels=1_000", "max_pixels", 1000),
    ("--domains=a,b, c ,cartoon", "domains", ("a", "b", "c", "cartoon")),
    ("--domains=all", "domains", None),
    ("--num_classes=auto", "num_classes", None),
    ("--num_classes=", "num_classes", None),
    ("--num_classes=7", "num_classes", 7),
    ("--weights_path=none", "weights_path", "none"),
    ("--weights_path=", "weights_path", None),
    ("--resume=True", "resume", "auto"),
    ("--resume=no", "resume", "never"),
    ("--resume=always", "resume", "always"),
    ("--device=CPU", "device", "cpu"),
    ("--label_base=1", "label_base", "1"),
    ("--frozen_layers=fc6,conv?, fc6", "frozen_layers", ("conv?", "fc6")),
    ("--ascend_options=op_debug_level=1 dump_path=/d", "ascend_options", ("op_debug_level=1", "dump_path=/d")),
    ("--data_url=obs://b/ä b/", "data_url", "obs://b/ä b/"),
])
def test_values_are_read(flag, name, value):
    assert values_of(load_config([flag]).config)[name] == value


@pytest.mark.parametrize("flag, expected", [
    ("--margin=wide", "a number, at least 0"),
    ("--margin=nan", "a number, at least 0"),
    ("--margin=1e999", "a number, at least 0"),
    ("--temperature=0", "a number, above 0"),
    ("--flip_probability=1.5", "a number, at least 0, at most 1"),
    ("--crop_scale_min=0", "a number, above 0, at most 1"),
    ("--colour_jitter=1.1", "a number, at least 0, at most 1"),
    ("--meta_batch_size=2", "a whole number, at least 3"),
    ("--meta_batch_size=12.5", "a whole number, at least 3"),
    ("--seed=2147483648", "a whole number, from 0 to 2147483647"),
    ("--selection=best", "one of source_val, oracle, last"),
    ("--precision_mode=mixed_float16", "one of force_fp32, allow_fp32_to_fp16, force_fp16, must_keep_origin_dtype, "
                                       "allow_mix_precision, cube_fp16in_fp32out, "),
    ("--ascend_options=op_debug_level", "name=value, several separated by blanks or as a list"),
    ("--target_domain=../secrets", "the name of one folder, without slashes"),
    ("--target_domain=..", "the name of one folder, without slashes"),
    ("--run_name=../other", "up to 64 letters or digits"),
    ("--run_name=.hidden", "up to 64 letters or digits"),
    ("--domains=a,b,a", "folder names separated by commas, each once"),
    ("--domains=a,,b", "folder names separated by commas, each once"),
    ("--data_url=a\nb", "obs://bucket/folder/, s3://bucket/folder/ or a local path"),
    ("--dataroot=", "one line of text"),
    ("--resume=maybe", "one of auto, never, always (true = auto, false = never)"),
])
def test_a_bad_value_names_flag_value_and_what_was_expected(flag, expected):
    name, _, value = flag[2:].partition("=")
    problem = problem_of(flag)
    assert problem.startswith(f"{flag}: {name} cannot be {value!r}; expected ")
    assert expected in problem


def test_all_problems_are_told_at_once():
    problems = problems_of("--sed=1", "--margin=x", "--width=0")
    assert len(problems) == 3
    assert str(ConfigError(problems)).startswith("3 problems in the configuration:\n  - unknown flag --sed")


@pytest.mark.parametrize("arguments, problem", [
    (["--domains=a,b,c"], "target_domain 'cartoon' is not among domains a,b,c; add it there"),
    (["--domains=a,cartoon"], "domains: 2 given; expected at least 3, the target domain and 2 source domains"),
    (["--precision_mode=force_fp16", "--device=cpu"],
     "precision_mode=force_fp16 is an option of the Ascend adapter, but device=cpu; use precision instead"),
    (["--precision_mode=force_fp16", "--precision=float32"],
     "precision_mode=force_fp16 contradicts precision=float32; give only one of them"),
    (["--keep_every=50"],
     "keep_every=50: there is a checkpoint every 20 iterations (test_print_interval); expected a multiple of 20, such "
     "as 60, or 0"),
    (["--frozen_layers=conv1,layer1.*"],
     "frozen_layers: pattern 'layer1.*' matches no layer of AlexNet of width 1, conv1 (11, 11, 3, 96), fc6 (9216, "
     "4096). Layers: conv1, conv2, conv3, conv4, conv5, fc6, fc7"),
    (["--frozen_layers=fc*"], "frozen_layers: pattern 'fc*' matches fc8, the classifier, which has to be trained"),
    (["--ascend_options=hccl_timeout=long"],
     "ascend_options: 'hccl_timeout=long': expected a whole number, at least 0"),
])
def test_values_that_contradict_each_other_are_an_error(arguments, problem):
    assert problem_of(*arguments) == problem


@pytest.mark.parametrize("arguments, told", [
    (["--meta_lr=1e-6"], []), (["--update=joint"], []), (["--meta_lr=1e-6", "--beta1=0", "--beta2=0",
                                                         "--meta_task=1"], []),
    (["--meta_lr=1e-6", "--update=joint"],
     ["meta_lr=1e-06 has no effect: update=joint has no Adam of its own for the meta losses"]),
    (["--meta_lr=1e-6", "--method=deepall"], ["meta_lr=1e-06 has no effect: method=deepall has no meta losses"]),
    (["--meta_lr=1e-6", "--beta1=0", "--beta2=0"],
     ["meta_lr=1e-06 has no effect: beta1, beta2 and meta_task are 0, so there are no meta losses"]),
    (["--frozen_layers=conv1", "--weights_path=a.npy"], []),
    (["--frozen_layers=conv1", "--weights_path=none"],
     ["frozen_layers with weights_path=none: the frozen layers keep random values"]),
])
def test_what_has_no_effect_or_hardly_can_be_meant_is_told(arguments, told):
    assert doubts(load_config(arguments).config) == told


def test_precision_mode_is_accepted_where_it_can_count():
    load_config(["--precision_mode=force_fp32", "--device=ascend"])
    load_config(["--precision_mode=allow_mix_precision", "--precision=mixed"])


# -- kept forms

def unusual():
    return replace_settings(
        Config(), data_url="obs://b/a: b #c/", domains=("no", "cartoon", "ünï", "1e3"), run_name="010", inner_lr=3e-7,
        label_base="0", dataroot="a'b\"c\\d", num_classes=5, work_dir="null", max_pixels=7, resume="never", logdir="~")


def test_the_printed_configuration_resolves_to_itself(tmp_path):
    text = to_yaml(unusual(), {"inner_lr": "--inner_lr=3e-7", "seed": "default"})
    assert "inner_lr: 3.0e-07" in text
    assert "# --inner_lr=3e-7" in text
    assert "# default" not in text
    (tmp_path / "printed.yaml").write_text(text, encoding="utf-8")
    assert load_config(["--config={}".format(tmp_path / "printed.yaml")]).config == unusual()


def test_the_printed_configuration_says_the_same_to_any_yaml_reader():
    import yaml

    assert yaml.safe_load(to_yaml(unusual())) == loading.to_dict(unusual())


def test_the_saved_configuration_survives_json():
    saved = json.loads(json.dumps(loading.to_dict(unusual())))
    assert loading.from_dict(saved) == unusual()
    assert list(saved) == list(GROUPS)


def test_an_older_saved_configuration_gets_the_defaults_of_newer_settings():
    saved = loading.to_dict(unusual())
    del saved["training"]["beta2"], saved["interval"]
    assert loading.from_dict(saved) == unusual()


def test_a_saved_configuration_with_an_unknown_setting_is_refused():
    saved = loading.to_dict(Config())
    saved["training"]["beta3"] = 1
    with pytest.raises(ConfigError, match="unknown setting 'beta3'; did you mean 'beta1'"):
        loading.from_dict(saved)


def test_differences_are_those_that_change_the_result():
    before = Config()
    now = replace_settings(before, seed=3, margin=2.0, work_dir="/elsewhere", train_iterations=5)
    assert loading.differences(before, now) == [("margin", 10.0, 2.0), ("seed", 0, 3)]
    assert loading.differences(before, replace_settings(before, log_level="debug")) == []


def test_replaced_settings_are_checked():
    with pytest.raises(ConfigError) as caught:
        replace_settings(Config(), seed=True, wdth=1, margin="x")
    assert len(caught.value.problems) == 3


def test_the_run_is_named_after_its_target():
    assert Config().run_name == "masf_cartoon"
    assert replace_settings(Config(), run_name="mine").run_name == "mine"
    assert replace_settings(Config(), target_domain="my domain").run_name == "masf_my-domain"


def test_a_derived_run_name_is_always_a_valid_one():
    derived = config_of({"target_domain": "x" * 100}).run_name
    assert replace_settings(Config(), run_name=derived).run_name == derived


def test_help_lists_every_setting_with_its_default():
    told = loading.settings_help()
    for name, each in settings().items():
        default = "" if each.default in (None, ()) else str(each.default)
        assert f"--{name}={default.lower()}\n" in told


@pytest.mark.parametrize("columns, longest", [("60", 60), ("500", 120)])
def test_help_is_wrapped_to_the_terminal(monkeypatch, columns, longest):
    monkeypatch.setenv("COLUMNS", columns)
    lines = [line for line in loading.settings_help().splitlines() if line.startswith("      ")]
    assert longest - 30 < max(map(len, lines)) <= longest
