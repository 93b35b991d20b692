"""Options of the Ascend adapter: what the adapter would silently ignore is an error here."""
from __future__ import annotations

import importlib

import pytest

from masf_core.devices.ascend.options import HELD, OPTIONS, PRECISION_MODES, AscendSettings, parameters_of, read_options
from masf_core.tf1 import tf
from tests.masf_core.devices.ascend import stand_in


def test_every_option_that_is_held_back_is_one():
    assert set(HELD) <= set(OPTIONS)


def test_the_table_has_as_many_as_the_adapters_first_release():
    assert len([name for name, option in OPTIONS.items() if option.since == "r1.5"]) == 54


def test_values_become_those_of_their_options_types():
    assert dict(read_options(["mix_compile_mode=True", "hccl_timeout=07", "debug_dir=/a=b c"])) == {
        "mix_compile_mode": True, "hccl_timeout": 7, "debug_dir": "/a=b c"}


@pytest.mark.parametrize("text, problem", [
    ("op_debug_levle=1", "the adapter knows no such option; did you mean 'op_debug_level'?"),
    ("zzz=1", "the adapter knows no such option, and would silently ignore it"),
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


def test_every_kind_is_a_field_of_tensorflows_message():
    fields = tf.ConfigProto().graph_options.rewrite_options.custom_optimizers.add().parameter_map["x"]
    assert all(hasattr(fields, option.kind) for option in OPTIONS.values())

# -- against what is published

# By field, as published with the adapter; r1.5 has 54.
PUBLISHED = {
    "b": "use_off_line enable_data_pre_proc mix_compile_mode hcom_parallel lower_functional_ops dynamic_input "
         "enable_dump enable_dump_debug profiling_mode is_tailing_optimization in_out_pair_flag "
         "variable_format_optimize enable_compress_weight hcom_multi_mode frozen_variable external_weight "
         "enable_graph_parallel",
    "i": "graph_run_mode iterations_per_loop op_debug_level enable_exception_dump session_device_id local_rank_id "
         "task_index dynamic_node_type enable_small_channel deterministic hccl_timeout op_wait_timeout "
         "op_execute_timeout graph_exec_timeout static_memory_policy atomic_clean_policy topo_sorting_mode "
         "stream_sync_timeout event_sync_timeout",
    "s": "precision_mode precision_mode_v2 modify_mixlist op_precision_mode op_select_implmode optypelist_for_implmode "
         "dump_path dump_step dump_mode dump_debug_mode dump_data dump_layer profiling_options graph_memory_max_size "
         "variable_memory_max_size fusion_switch_file enable_scope_fusion_passes auto_tune_mode aoe_mode work_path job "
         "local_device_list input_shape dynamic_dims dynamic_graph_execute_mode dynamic_inputs_shape_range "
         "op_compiler_cache_mode op_compiler_cache_dir debug_dir buffer_optimize compress_weight_conf customize_dtypes "
         "soc_config device_type HCCL_algorithm op_debug_config variable_placement jit_compile stream_max_parallel_num "
         "graph_compiler_cache_dir in_out_pair",
}
# Of the adapter's source alone: no list of options has them.
UNLISTED = {
    "distribute_config": "s", "aoe_config_file": "s", "insert_op_file": "s", "resource_config_path": "s",
    "graph_parallel_option_path": "s", "es_cluster_config": "s", "experimental_logical_device_cluster_deploy_mode": "s",
    "experimental_logical_device_id": "s", "experimental_model_deploy_mode": "s",
    "experimental_model_deploy_devicelist": "s"}


@pytest.fixture
def read_by_the_adapter(monkeypatch):
    """Name → (field, since)."""
    with stand_in.npu_bridge(monkeypatch):
        return importlib.import_module("npu_bridge.fake.options").table()


def test_the_stand_in_reads_what_is_published_from_the_field_that_is(read_by_the_adapter):
    published = {name: field for field, names in PUBLISHED.items() for name in names.split()}
    assert {name: field for name, (field, _) in read_by_the_adapter.items()} == dict(published, **UNLISTED)
    assert sum(since == "r1.5" for _, since in read_by_the_adapter.values()) == 54
    for name in ("hccl_timeout", "jit_compile", "op_debug_config", "deterministic"):
        assert read_by_the_adapter[name][1] != "r1.5"


def test_our_options_are_those_that_the_adapter_reads(read_by_the_adapter):
    assert {name: (option.kind, option.since) for name, option in OPTIONS.items()} == read_by_the_adapter


def test_our_values_are_those_that_the_adapter_takes(monkeypatch):
    with stand_in.npu_bridge(monkeypatch):
        taken = importlib.import_module("npu_bridge.fake.options").VALUES
    for name, values in taken.items():
        assert set(OPTIONS[name].values) == set(values), name
