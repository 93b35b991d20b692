"""The options of the Ascend adapter: their names, types and values, by its releases.

The adapter silently ignores an option with an unknown name, and silently uses the default for a value in the wrong
field of its ``parameter_map``. So every option is checked here. Importing this module is cheap.
"""
from __future__ import annotations

import collections
import difflib
import json
import re
from typing import Any, Dict, Iterable, Mapping, NamedTuple, Optional, Tuple, Union

RELEASES = ("r1.5", "r1.9", "master")  # of the adapter, in which options were added
Value = Union[bool, int, str]  # of an option, in the type of its field
BOOLEANS = {"true": True, "1": True, "false": False, "0": False}


class Option(NamedTuple):
    """An option of the adapter.

    kind: field of ``parameter_map``, b, i or s. since: the first of ``RELEASES`` that knows it. values: the values that
    it takes; empty where it takes every value of its kind.
    """

    kind: str
    since: str = "r1.5"
    values: Tuple[str, ...] = ()


# The names of Ascend's precisions, and the release that introduced each. Adapters up to r1.10 do not check them.
PRECISION_MODES = collections.OrderedDict(
    [(mode, "r1.5") for mode in (
        "force_fp32", "allow_fp32_to_fp16", "force_fp16", "must_keep_origin_dtype", "allow_mix_precision")]
    + [(mode, "master") for mode in (
        "cube_fp16in_fp32out", "allow_mix_precision_fp16", "allow_mix_precision_bf16", "allow_fp32_to_bf16")])
# force_fp32 is not among them: by CANN's manual it gives the matrix unit float16 inputs, as cube_fp16in_fp32out does.
FLOAT32_MODES = ("must_keep_origin_dtype",)
FLOAT32_DOUBT = (
    "an Ascend 910 may not compute this in float32: CANN's operator lists have convolutions of this series only in "
    "float16 and int8, and its manuals say two things about must_keep_origin_dtype: that such an operation stays in "
    "float16, and that the mode cannot be used then. So either the compilation stops, or convolutions run in float16 "
    "while losses are not scaled. Use precision=mixed, the default on Ascend, which is allow_mix_precision with scaled "
    "losses; use float32 only to look for a difference")
# In these modes a list says which operations run in 16 bits. Some releases accept a list only in the first mode, and
# report that themselves.
LISTED_MODES = tuple(mode for mode in PRECISION_MODES if mode.startswith("allow_mix_precision"))

# Options that a user cannot set here, with the reason or the setting to use instead.
HELD = {
    "use_off_line": "the whole graph is always compiled",
    "graph_run_mode": "training needs mode 1",
    "iterations_per_loop": "each iteration is fed by the host",
    "enable_data_pre_proc": "each iteration is fed by the host",
    "hcom_parallel": "it follows from the number of ranks",
    "precision_mode": "use the setting precision_mode",
    "precision_mode_v2": "use the setting precision_mode",
    "modify_mixlist": "use the setting mix_list",
    "profiling_mode": "use the setting profile_dir",
    "profiling_options": "use the setting profile_dir",
    "enable_dump_debug": "use the setting overflow_dump_dir",
    "dump_debug_mode": "use the setting overflow_dump_dir",
    "op_compiler_cache_mode": "use the setting compile_cache_dir",
    "op_compiler_cache_dir": "use the setting compile_cache_dir",
    "session_device_id": "the platform sets ASCEND_DEVICE_ID to the card",
    "dynamic_input": "every shape is fixed", "dynamic_graph_execute_mode": "every shape is fixed",
    "dynamic_inputs_shape_range": "every shape is fixed", "input_shape": "every shape is fixed",
    "dynamic_dims": "every shape is fixed", "dynamic_node_type": "every shape is fixed",
    "job": "the platform assigns the ranks", "task_index": "the platform assigns the ranks",
    "local_rank_id": "the platform assigns the ranks", "local_device_list": "the platform assigns the ranks",
}

# Options that name a folder, which must exist when the adapter starts, and options that name a file.
FOLDERS = ("dump_path", "work_path", "debug_dir", "op_compiler_cache_dir", "graph_compiler_cache_dir")
FILES = ("modify_mixlist", "fusion_switch_file", "op_precision_mode", "customize_dtypes", "op_debug_config",
         "compress_weight_conf", "aoe_config_file", "insert_op_file")


def _table() -> Dict[str, Option]:
    names = {
        ("b", "r1.5"): "use_off_line enable_data_pre_proc mix_compile_mode hcom_parallel lower_functional_ops "
                       "dynamic_input enable_dump enable_dump_debug profiling_mode is_tailing_optimization "
                       "in_out_pair_flag variable_format_optimize enable_compress_weight hcom_multi_mode",
        ("i", "r1.5"): "graph_run_mode iterations_per_loop op_debug_level enable_exception_dump session_device_id "
                       "local_rank_id task_index dynamic_node_type enable_small_channel",
        ("s", "r1.5"): "precision_mode modify_mixlist op_select_implmode optypelist_for_implmode dump_path dump_step "
                       "dump_mode dump_debug_mode profiling_options graph_memory_max_size variable_memory_max_size "
                       "fusion_switch_file enable_scope_fusion_passes auto_tune_mode aoe_mode work_path "
                       "distribute_config job local_device_list input_shape dynamic_dims dynamic_graph_execute_mode "
                       "dynamic_inputs_shape_range op_compiler_cache_mode op_compiler_cache_dir debug_dir "
                       "buffer_optimize compress_weight_conf soc_config stream_max_parallel_num in_out_pair",
        ("i", "r1.9"): "hccl_timeout op_wait_timeout op_execute_timeout",
        ("s", "r1.9"): "op_precision_mode device_type",
        ("b", "master"): "frozen_variable external_weight enable_graph_parallel",
        ("i", "master"): "deterministic graph_exec_timeout static_memory_policy atomic_clean_policy topo_sorting_mode "
                         "stream_sync_timeout event_sync_timeout",
        ("s", "master"): "precision_mode_v2 customize_dtypes HCCL_algorithm op_debug_config variable_placement "
                         "jit_compile graph_compiler_cache_dir dump_data dump_layer aoe_config_file insert_op_file "
                         "resource_config_path graph_parallel_option_path es_cluster_config "
                         "experimental_logical_device_cluster_deploy_mode experimental_logical_device_id "
                         "experimental_model_deploy_mode experimental_model_deploy_devicelist",
    }
    values = {
        "dump_mode": ("input", "output", "all"), "dump_debug_mode": ("aicore_overflow", "atomic_overflow", "all"),
        "op_select_implmode": ("high_performance", "high_precision", "high_performance_for_all",
                               "high_precision_for_all"),
        "aoe_mode": ("1", "2", "4"),  # newer releases refuse 3
        "buffer_optimize": ("l2_optimize", "off_optimize"), "op_compiler_cache_mode": ("enable", "disable", "force"),
        "jit_compile": ("true", "false", "auto"), "enable_exception_dump": ("0", "1", "2"),
        "graph_run_mode": ("0", "1"), "dynamic_graph_execute_mode": ("lazy_recompile", "dynamic_execute"),
        "precision_mode": tuple(PRECISION_MODES),
    }
    return collections.OrderedDict(
        (name, Option(kind, since, values.get(name, ())))
        for (kind, since), listed in names.items() for name in listed.split())


OPTIONS = _table()


def mode_of(mixed: bool, precision_mode: Optional[str] = None) -> str:
    """The adapter's mode for a precision. precision_mode: a mode that was asked for by name, or None."""
    return precision_mode or ("allow_mix_precision" if mixed else FLOAT32_MODES[0])


class AscendSettings(NamedTuple):
    """What a user can ask of the adapter, besides its precision. Directories and files are local."""

    profile_dir: Optional[str] = None
    overflow_dump_dir: Optional[str] = None
    compile_cache_dir: Optional[str] = None
    mix_list: Optional[str] = None
    ascend_options: Tuple[str, ...] = ()  # ``name=value`` each


def read_options(texts: Iterable[str]) -> Dict[str, Value]:
    """``name=value`` texts as options and their values: mapping name → bool, int or text.

    Raises:
        ValueError: the problems, one sentence a line.
    """
    found, problems = collections.OrderedDict(), []
    for text in texts:
        name, equals, value = text.partition("=")
        try:
            if not equals:
                raise ValueError("expected name=value")
            if name in found:
                raise ValueError("given twice")
            if name in HELD:
                raise ValueError(f"this option cannot be set: {HELD[name]}")
            found[name] = converted(name, value)
        except ValueError as error:
            problems.append(f"ascend_options: {text!r}: {error}")
    if found.get("enable_dump") and "dump_path" not in found:
        problems.append("ascend_options: enable_dump needs dump_path as well: the adapter ends the process without it")
    if "enable_compress_weight" in found and "compress_weight_conf" in found:
        problems.append("ascend_options: enable_compress_weight and compress_weight_conf exclude each other, whatever "
                        "their values: the adapter ends the process; give only one of them")
    if "optypelist_for_implmode" in found and "op_select_implmode" not in found:
        problems.append("ascend_options: optypelist_for_implmode needs op_select_implmode as well")
    if problems:
        raise ValueError("\n".join(problems))
    return found


def converted(name: str, text: str) -> Value:
    """An option's text as a value of its type. Raises ValueError: an unknown option, or a value it does not take."""
    if name not in OPTIONS:
        near = difflib.get_close_matches(name, OPTIONS, n=1)
        raise ValueError("the adapter knows no such option"
                         + (f"; did you mean {near[0]!r}?" if near else ", and would silently ignore it"))
    option = OPTIONS[name]
    if option.values and text not in option.values:
        raise ValueError(f"expected one of {', '.join(option.values)}")
    if option.kind == "b":
        if text.lower() not in BOOLEANS:
            raise ValueError("expected true or false")
        return BOOLEANS[text.lower()]
    if option.kind == "i":
        if not re.match(r"[0-9]+\Z", text):
            raise ValueError("expected a whole number, at least 0")
        return int(text)
    if not text:
        raise ValueError("expected a value after the equals sign")
    return text


def parameters_of(settings: AscendSettings, precision_mode: str, ranks: int) -> Dict[str, Value]:
    """Every option that is passed to the adapter: mapping name → bool, int or text.

    Args:
        settings: ``AscendSettings``. precision_mode: one of ``PRECISION_MODES``. ranks: their number.

    Raises:
        ValueError: an option is wrong, or contradicts the precision.
    """
    found = collections.OrderedDict([
        ("use_off_line", True), ("graph_run_mode", 1), ("precision_mode", precision_mode)])
    if ranks > 1:
        # Averaging then overlaps with the computation after it; that is the default only from r1.12 on. A single rank
        # averages nothing and does not get the option.
        found["hcom_parallel"] = True
    if settings.profile_dir:
        found["profiling_mode"] = True
        found["profiling_options"] = json.dumps({
            "output": settings.profile_dir, "training_trace": "on", "task_trace": "on", "aicpu": "on",
            "fp_point": "", "bp_point": ""})
    if settings.overflow_dump_dir:
        found.update([("enable_dump_debug", True), ("dump_path", settings.overflow_dump_dir),
                      ("dump_debug_mode", "all")])
    if settings.compile_cache_dir:
        found.update([("op_compiler_cache_mode", "enable"), ("op_compiler_cache_dir", settings.compile_cache_dir)])
    if settings.mix_list:
        if precision_mode not in LISTED_MODES:
            raise ValueError(f"mix_list={settings.mix_list} changes which operations allow_mix_precision runs in 16 "
                             f"bits, but precision_mode is {precision_mode}; use --precision=mixed with it, or one of "
                             f"{', '.join(LISTED_MODES)}")
        found["modify_mixlist"] = settings.mix_list
    given = read_options(settings.ascend_options)
    twice = [name for name in given if name in found]
    if twice:
        raise ValueError(f"ascend_options: overflow_dump_dir already sets {', '.join(twice)}; give only one of them")
    found.update(given)
    return found


def write_parameters(parameter_map: Any, parameters: Mapping[str, Value]) -> None:
    """Write checked parameters into the ``parameter_map`` of a custom optimiser, each in its field."""
    for name, value in parameters.items():
        field = OPTIONS[name].kind
        setattr(parameter_map[name], field, value.encode("utf-8") if field == "s" else value)
