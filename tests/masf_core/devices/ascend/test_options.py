"""Options of the Ascend adapter: what the adapter would silently ignore is an error here."""
from __future__ import annotations

import importlib

import pytest

from masf_core.devices.ascend.adapter import load_adapter
from masf_core.devices.ascend.options import (
    HELD,
    OPTIONS,
    PRECISION_MODES,
    AscendSettings,
    parameters_of,
    read_options,
    unknown_to,
    write_parameters,
)
from masf_core.devices.ascend.releases import RELEASES, Adapter, dated_by
from masf_core.tf1 import tf
from tests.masf_core.devices.ascend import stand_in


def test_every_option_that_is_held_back_is_one():
    assert set(HELD) <= set(OPTIONS)


def test_values_become_those_of_their_options_types():
    assert dict(read_options(["mix_compile_mode=True", "hccl_timeout=07", "debug_dir=/a=b c"])) == {
        "mix_compile_mode": True, "hccl_timeout": 7, "debug_dir": "/a=b c"}


@pytest.mark.parametrize("text, problem", [
    ("op_debug_levle=1", "no release of the adapter knows this option; did you mean 'op_debug_level'?"),
    ("zzz=1", "no release of the adapter knows this option, and would silently ignore it"),
    ("op_debug_level=high", "expected a whole number, at least 0"),
    ("op_debug_level=-1", "expected a whole number, at least 0"),
    ("mix_compile_mode=on", "expected true or false"),
    ("jit_compile=1", "expected one of true, false, auto"),
    ("aoe_mode=3", "expected one of 1, 2, 4"),
    ("debug_dir=", "expected a value after the equals sign"),
    ("op_debug_level", "expected name=value"),
    ("precision_mode=force_fp16", "this option cannot be set: use the setting precision_mode"),
    ("dynamic_input=true", "this option cannot be set: every shape is fixed"),
])
def test_a_mistake_says_what_was_expected(text, problem):
    with pytest.raises(ValueError) as caught:
        read_options([text])
    assert str(caught.value) == f"ascend_options: {text!r}: {problem}"


def test_all_mistakes_are_told_at_once():
    with pytest.raises(ValueError) as caught:
        read_options(["zzz=1", "op_debug_level=1", "op_debug_level=2", "enable_dump=true"])
    assert len(str(caught.value).splitlines()) == 3


def test_options_that_need_one_another():
    with pytest.raises(ValueError, match="needs dump_path"):
        read_options(["enable_dump=1"])
    with pytest.raises(ValueError, match="needs op_select_implmode"):
        read_options(["optypelist_for_implmode=Pow"])
    read_options(["enable_dump=1", "dump_path=/d"])


def test_options_that_exclude_one_another():
    with pytest.raises(ValueError, match="enable_compress_weight and compress_weight_conf exclude each other"):
        read_options(["enable_compress_weight=false", "compress_weight_conf=/c"])
    read_options(["enable_compress_weight=true"])


def test_one_folder_cannot_be_given_twice():
    settings = AscendSettings(overflow_dump_dir="/o", ascend_options=("dump_path=/d",))
    with pytest.raises(ValueError, match="overflow_dump_dir already sets dump_path"):
        parameters_of(settings, "force_fp32", 1)


def test_every_mode_of_precision_is_one_for_the_adapter():
    assert OPTIONS["precision_mode"].values == tuple(PRECISION_MODES)


def test_every_field_is_one_of_tensorflows_message():
    fields = tf.ConfigProto().graph_options.rewrite_options.custom_optimizers.add().parameter_map["x"]
    assert all(hasattr(fields, span.field) for option in OPTIONS.values() for span in option.spans)


# -- an adapter of several releases, or of one

def judged(adapter, *texts):
    """(problems, doubts) of options given to an adapter of these releases."""
    parameters = parameters_of(AscendSettings(ascend_options=texts), "allow_mix_precision", 1)
    return unknown_to(adapter, parameters)


def test_an_option_that_no_possible_release_reads_is_a_problem():
    problems, doubts = judged(Adapter("r1.6", "r1.7"), "deterministic=1")
    assert doubts == []
    assert problems == [
        "option deterministic is read by every release from r1.12 on of the adapter npu_bridge; the one here is of "
        "r1.6 to r1.7 and would silently ignore it. Remove the option, or give the right release with "
        "adapter_release"]


def test_an_option_that_some_possible_releases_read_is_a_doubt():
    problems, doubts = judged(Adapter("r1.10", "r1.12"), "deterministic=1")
    assert problems == [] and len(doubts) == 1 and "if it is of r1.10 or r1.11 it silently ignores" in doubts[0]


def test_an_option_that_every_possible_release_reads_is_neither():
    assert judged(Adapter("r1.12", "master"), "deterministic=1", "hccl_timeout=60") == ([], [])


def test_an_option_with_a_gap_is_unknown_in_the_gap_alone():
    for release, known in [("r1.10", True), ("r1.11", False), ("r1.12", True)]:
        problems, _ = judged(Adapter(release, release), "auto_tune_mode=GA")
        assert (problems == []) == known


@pytest.mark.parametrize("release, text, written", [
    ("r1.9", "true", None), ("r1.10", "true", ("b", True)), ("r1.11", "false", ("b", False)), ("r1.11", "auto", None),
    ("r1.12", "true", None), ("r1.13", "true", ("s", b"true")), ("master", "auto", ("s", b"auto"))])
def test_jit_compile_is_written_in_the_field_that_the_release_reads(release, text, written):
    adapter = Adapter(release, release)
    parameters = parameters_of(AscendSettings(ascend_options=(f"jit_compile={text}",)), "allow_mix_precision", 1)
    problems, _ = unknown_to(adapter, parameters)
    assert bool(problems) == (written is None)
    if written:
        optimizer = tf.ConfigProto().graph_options.rewrite_options.custom_optimizers.add()
        write_parameters(optimizer.parameter_map, parameters, adapter)
        found = optimizer.parameter_map["jit_compile"]
        assert (found.WhichOneof("value"), getattr(found, written[0])) == written


@pytest.mark.parametrize("adapter, problems, doubts", [
    (Adapter("r1.5", "r1.5"), 1, 0), (Adapter("r1.10", "r1.12"), 0, 1), (Adapter("master", "master"), 0, 0)])
def test_a_mode_of_newer_releases_is_a_problem_for_old_ones_and_a_doubt_between(adapter, problems, doubts):
    found = unknown_to(adapter, parameters_of(AscendSettings(), "cube_fp16in_fp32out", 1))
    assert tuple(map(len, found)) == (problems, doubts)


# -- against what is published

# Option: field, first and last release, of each stretch of releases that reads it. From the option readers in the
# adapter's published code, release by release.
PUBLISHED = """
HCCL_algorithm: s r1.8 master; ac_parallel_enable: s r1.15 master; aoe_config_file: s r1.11 master;
aoe_mode: s r1.5 master; atomic_clean_policy: i r1.9 master; auto_tune_mode: s r1.5 r1.10, s r1.12 master;
buffer_optimize: s r1.5 master; compress_weight_conf: s r1.5 master; customize_dtypes: s r1.9 master;
debug_dir: s r1.5 master; deterministic: i r1.12 master; device_type: s r1.7 master;
distribute_config: s r1.5 master; dump_data: s r1.10 master; dump_debug_mode: s r1.5 master;
dump_layer: s r1.10 master; dump_mode: s r1.5 master; dump_path: s r1.5 master; dump_step: s r1.5 master;
dynamic_dims: s r1.5 master; dynamic_graph_execute_mode: s r1.5 master; dynamic_input: b r1.5 master;
dynamic_inputs_shape_range: s r1.5 master; dynamic_node_type: i r1.5 master; enable_compress_weight: b r1.5 master;
enable_data_pre_proc: b r1.5 master; enable_dump: b r1.5 master; enable_dump_debug: b r1.5 master;
enable_exception_dump: i r1.5 master; enable_graph_parallel: b r1.12 master;
enable_scope_fusion_passes: s r1.5 master; enable_small_channel: i r1.5 master; es_cluster_config: s r1.13 master;
event_sync_timeout: i r1.12 master; experimental_accelerate_train_mode: s r1.15 master;
experimental_logical_device_cluster_deploy_mode: s r1.9 master; experimental_logical_device_id: s r1.9 master;
experimental_model_deploy_devicelist: s r1.12 master; experimental_model_deploy_mode: s r1.12 master;
external_weight: b r1.11 master; frozen_variable: b r1.12 master; fusion_switch_file: s r1.5 master;
graph_compiler_cache_dir: s r1.13 master; graph_exec_timeout: i r1.9 master; graph_memory_max_size: s r1.5 master;
graph_parallel_option_path: s r1.12 master; graph_run_mode: i r1.5 master; graph_slice: s r1.13 master;
hccl_timeout: i r1.7 master; hcom_multi_mode: b r1.5 master; hcom_parallel: b r1.5 master;
in_out_pair: s r1.5 master; in_out_pair_flag: b r1.5 master; input_shape: s r1.5 master;
insert_op_file: s r1.11 master; is_tailing_optimization: b r1.5 master; iterations_per_loop: i r1.5 master;
jit_compile: b r1.10 r1.11, s r1.13 master; job: s r1.5 master; local_device_list: s r1.5 master;
local_rank_id: i r1.5 master; lower_functional_ops: b r1.5 master; memory_optimization_policy: s r1.12 master;
mix_compile_mode: b r1.5 master; modify_mixlist: s r1.5 master; op_compiler_cache_dir: s r1.5 master;
op_compiler_cache_mode: s r1.5 master; op_debug_config: s r1.9 master; op_debug_level: i r1.5 master;
op_execute_timeout: i r1.7 master; op_precision_mode: s r1.5 master; op_select_implmode: s r1.5 master;
op_wait_timeout: i r1.7 master; optypelist_for_implmode: s r1.5 master; precision_mode: s r1.5 master;
precision_mode_v2: s r1.13 master; profiling_mode: b r1.5 master; profiling_options: s r1.5 master;
resource_config_path: s r1.10 master; session_device_id: i r1.5 master; soc_config: s r1.8 master;
static_memory_policy: i r1.9 master; stream_max_parallel_num: s r1.5 master; stream_sync_timeout: i r1.12 master;
task_index: i r1.5 master; topo_sorting_mode: i r1.10 master; use_off_line: b r1.5 master;
variable_format_optimize: b r1.5 master; variable_memory_max_size: s r1.5 master;
variable_placement: s r1.12 master; work_path: s r1.5 master
"""


@pytest.fixture
def published():
    """Option → list of (field, first release, last release)."""
    found = {}
    for entry in PUBLISHED.replace("\n", " ").split(";"):
        name, _, stretches = entry.partition(":")
        found[name.strip()] = [tuple(stretch.split()) for stretch in stretches.split(",")]
    return found


def test_our_options_are_those_that_are_published(published):
    assert {name: [tuple(span) for span in option.spans] for name, option in OPTIONS.items()} == published
    assert len(published) == 91
    assert sum(option.field_in("r1.5") is not None for option in OPTIONS.values()) == 54


def test_the_stand_in_reads_the_options_that_are_published(published, monkeypatch):
    with stand_in.npu_bridge(monkeypatch):
        options = importlib.import_module("npu_bridge.fake.options")
        assert options.table() == published
        for release in RELEASES:
            assert options.known_to(release) == {
                name: option.field_in(release) for name, option in OPTIONS.items() if option.field_in(release)}


def test_our_values_are_those_that_the_adapter_takes(monkeypatch):
    with stand_in.npu_bridge(monkeypatch):
        taken = importlib.import_module("npu_bridge.fake.options").VALUES
    for name, values in taken.items():
        assert set(OPTIONS[name].values) == set(values), name


# -- dating

@pytest.mark.parametrize("release, oldest, newest", [
    ("r1.5", "r1.5", "r1.5"), ("r1.6", "r1.6", "r1.7"), ("r1.7", "r1.6", "r1.7"), ("r1.8", "r1.8", "r1.8"),
    ("r1.9", "r1.9", "r1.9"), ("r1.10", "r1.10", "r1.12"), ("r1.11", "r1.10", "r1.12"), ("r1.12", "r1.10", "r1.12"),
    ("r1.13", "r1.13", "r1.14"), ("r1.14", "r1.13", "r1.14"), ("r1.15", "r1.15", "master"),
    ("master", "r1.15", "master")])
def test_an_adapter_is_dated_by_what_it_exports(monkeypatch, release, oldest, newest):
    with stand_in.npu_bridge(monkeypatch, release):
        assert load_adapter() == Adapter(oldest, newest)
        assert load_adapter("r1.7") == Adapter("r1.7", "r1.7")


def test_an_adapter_without_any_mark_may_be_of_any_release():
    assert dated_by(()) == Adapter("r1.5", "master")
