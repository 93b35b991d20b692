"""The options of the Ascend adapter: their names, types and values, by its releases.

The adapter silently ignores an option with an unknown name, and silently uses the default for a value in the wrong
field of its ``parameter_map``. So every option is checked here. Importing this module is cheap. Source: the code that
reads the options in the published sources of the twelve releases.
"""
from __future__ import annotations

import collections
import difflib
import json
import re
from typing import Any, Dict, Iterable, List, Mapping, NamedTuple, Optional, Sequence, Tuple, Union

from masf_core.devices.ascend.releases import RELEASES, Adapter

Value = Union[bool, int, str]  # of an option, in the type of its field
BOOLEANS = {"true": True, "1": True, "false": False, "0": False}


class Span(NamedTuple):
    """Releases, from ``first`` to ``last``, that read an option from ``field`` of ``parameter_map``: b, i or s."""

    field: str
    first: str
    last: str = RELEASES[-1]

    def covers(self, release: str) -> bool:
        return RELEASES.index(self.first) <= RELEASES.index(release) <= RELEASES.index(self.last)


class Option(NamedTuple):
    """spans: the releases that read it. values: the values that it takes, all of the field's where there are none."""

    spans: Tuple[Span, ...]
    values: Tuple[str, ...] = ()

    def field_in(self, release: str) -> Optional[str]:
        """The field that this release reads, or None where it does not know the option."""
        return next((span.field for span in self.spans if span.covers(release)), None)

    def field_for(self, adapter: Adapter) -> str:
        """The field to write: that of the newest release that the adapter may be and that reads the option."""
        fields = [self.field_in(release) for release in adapter.releases]
        return next((field for field in reversed(fields) if field), self.spans[-1].field)


class Mode(NamedTuple):
    """A value of ``precision_mode``. maybe: the first release that may take it. surely: the first that is known to."""

    maybe: str
    surely: str


# The adapters up to r1.10 hand other values on unchecked, master refuses them, and of those between nothing is known.
PRECISION_MODES = collections.OrderedDict(
    [(mode, Mode("r1.5", "r1.5")) for mode in (
        "force_fp32", "allow_fp32_to_fp16", "force_fp16", "must_keep_origin_dtype", "allow_mix_precision")]
    + [(mode, Mode("r1.11", "master")) for mode in (
        "cube_fp16in_fp32out", "allow_mix_precision_fp16", "allow_mix_precision_bf16", "allow_fp32_to_bf16")])
# force_fp32 is not among them: by CANN's manual it gives the matrix unit float16 inputs, as cube_fp16in_fp32out does.
FLOAT32_MODES = ("must_keep_origin_dtype",)
NO_FLOAT32 = (
    "an Ascend 910 has no convolution in float32: CANN's list of its kernels has Conv2D and its gradients in float16 "
    "and int8 only")
FLOAT32_DOUBT = (
    f"{NO_FLOAT32}. With must_keep_origin_dtype either compilation fails, or convolutions are in float16 while losses "
    "are not scaled. Use precision=mixed (allow_mix_precision with scaled losses)")
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
    # Field and first release → the options that every release since then reads.
    names = {
        ("b", "r1.5"): "use_off_line enable_data_pre_proc mix_compile_mode hcom_parallel lower_functional_ops "
                       "dynamic_input enable_dump enable_dump_debug profiling_mode is_tailing_optimization "
                       "in_out_pair_flag variable_format_optimize enable_compress_weight hcom_multi_mode",
        ("i", "r1.5"): "graph_run_mode iterations_per_loop op_debug_level enable_exception_dump session_device_id "
                       "local_rank_id task_index dynamic_node_type enable_small_channel",
        ("s", "r1.5"): "precision_mode modify_mixlist op_select_implmode optypelist_for_implmode dump_path dump_step "
                       "dump_mode dump_debug_mode profiling_options graph_memory_max_size variable_memory_max_size "
                       "fusion_switch_file enable_scope_fusion_passes aoe_mode work_path distribute_config job "
                       "local_device_list input_shape dynamic_dims dynamic_graph_execute_mode "
                       "dynamic_inputs_shape_range op_compiler_cache_mode op_compiler_cache_dir debug_dir "
                       "buffer_optimize compress_weight_conf stream_max_parallel_num in_out_pair op_precision_mode",
        ("i", "r1.7"): "hccl_timeout op_wait_timeout op_execute_timeout",
        ("s", "r1.7"): "device_type",
        ("s", "r1.8"): "HCCL_algorithm soc_config",
        ("i", "r1.9"): "atomic_clean_policy graph_exec_timeout static_memory_policy",
        ("s", "r1.9"): "customize_dtypes op_debug_config experimental_logical_device_cluster_deploy_mode "
                       "experimental_logical_device_id",
        ("i", "r1.10"): "topo_sorting_mode",
        ("s", "r1.10"): "dump_data dump_layer resource_config_path",
        ("b", "r1.11"): "external_weight",
        ("s", "r1.11"): "aoe_config_file insert_op_file",
        ("b", "r1.12"): "enable_graph_parallel frozen_variable",
        ("i", "r1.12"): "deterministic event_sync_timeout stream_sync_timeout",
        ("s", "r1.12"): "experimental_model_deploy_devicelist experimental_model_deploy_mode "
                        "graph_parallel_option_path memory_optimization_policy variable_placement",
        ("s", "r1.13"): "es_cluster_config graph_compiler_cache_dir graph_slice precision_mode_v2",
        ("s", "r1.15"): "ac_parallel_enable experimental_accelerate_train_mode",
    }
    spans = {name: (Span(field, since),) for (field, since), listed in names.items() for name in listed.split()}
    # Two have a gap, and one of them another field behind it.
    spans["auto_tune_mode"] = Span("s", "r1.5", "r1.10"), Span("s", "r1.12")
    spans["jit_compile"] = Span("b", "r1.10", "r1.11"), Span("s", "r1.13")
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
    return {name: Option(read_by, values.get(name, ())) for name, read_by in spans.items()}


OPTIONS = _table()


def mode_of(precision: str, precision_mode: Optional[str] = None) -> str:
    """The adapter's mode for a precision: auto, mixed or float32. precision_mode: the mode that the user gave, or None.

    Raises:
        ValueError: float32, and no mode that forces it.
    """
    if precision == "float32" and precision_mode is None:
        raise ValueError(f"precision=float32: {NO_FLOAT32}. Use precision=mixed. To try float32 all the same, give the "
                         f"adapter's own mode: precision_mode={FLOAT32_MODES[0]}")
    return precision_mode or "allow_mix_precision"


class AscendSettings(NamedTuple):
    """What a user can ask of the adapter, besides its precision. Directories and files are local."""

    profile_dir: Optional[str] = None
    overflow_dump_dir: Optional[str] = None
    compile_cache_dir: Optional[str] = None
    mix_list: Optional[str] = None
    ascend_options: Tuple[str, ...] = ()  # ``name=value`` each
    adapter_release: str = "auto"  # one of ``RELEASES``, or auto: found out from what npu_init exports


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
    """An option's text as a value of the type that the newest release reads.

    Raises:
        ValueError: an option that no release knows, or a value that it does not take.
    """
    if name not in OPTIONS:
        near = difflib.get_close_matches(name, OPTIONS, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ", and would silently ignore it"
        raise ValueError(f"no release of the adapter knows this option{hint}")
    option = OPTIONS[name]
    if option.values and text not in option.values:
        raise ValueError(f"expected one of {', '.join(option.values)}")
    field = option.spans[-1].field
    if field == "b":
        if text.lower() not in BOOLEANS:
            raise ValueError("expected true or false")
        return BOOLEANS[text.lower()]
    if field == "i":
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


def unknown_to(adapter: Adapter, parameters: Mapping[str, Value]) -> Tuple[List[str], List[str]]:
    """What the adapter would ignore, or read otherwise than it is meant.

    Args:
        parameters: as ``parameters_of`` gives them.

    Returns:
        (problems, doubts): one sentence for each option that no release that the adapter may be reads, and for each
        that some of these releases do not read.
    """
    problems, doubts = [], []
    for name, value in parameters.items():
        option = OPTIONS[name]
        ignoring = [release for release in adapter.releases if option.field_in(release) is None]
        if len(ignoring) == len(adapter.releases):
            problems.append(
                f"option {name} is read by {_told(option.spans)} of the adapter npu_bridge; the one here is of "
                f"{adapter.about} and would silently ignore it. Remove the option, or give the right release "
                "with adapter_release")
            continue
        if ignoring:
            doubts.append(
                f"option {name} is read by {_told(option.spans)} of the adapter npu_bridge; the one here is of "
                f"{adapter.about}, and if it is of {' or '.join(ignoring)} it silently ignores the option. "
                "Give its release with adapter_release to be sure")
        if isinstance(value, str) and option.field_for(adapter) == "b" and value not in BOOLEANS:
            problems.append(f"option {name}={value}: the adapter npu_bridge here, of {adapter.about}, takes true or "
                            "false")
    mode = parameters["precision_mode"]
    known = PRECISION_MODES[mode]
    if adapter.is_before(known.maybe):
        taken = [name for name, since in PRECISION_MODES.items() if not adapter.is_before(since.maybe)]
        problems.append(f"precision_mode={mode} is unknown to the adapter npu_bridge here, of {adapter.about}; it "
                        f"takes {', '.join(taken)}")
    elif adapter.may_be_before(known.surely):
        doubts.append(f"precision_mode={mode} is certain to be known only to the newest adapter npu_bridge; the one "
                      f"here is of {adapter.about}. An older one passes the mode to the compiler unchecked: look in "
                      "CANN's log for the mode that the compiler took")
    return problems, doubts


def _told(spans: Sequence[Span]) -> str:
    """``r1.10 to r1.11 and every release from r1.13 on``."""
    return " and ".join(f"every release from {span.first} on" if span.last == RELEASES[-1]
                        else f"{span.first} to {span.last}" for span in spans)


def write_parameters(parameter_map: Any, parameters: Mapping[str, Value], adapter: Adapter) -> None:
    """Write checked parameters into the ``parameter_map`` of a custom optimiser, each in the field that the adapter
    reads."""
    for name, value in parameters.items():
        field = OPTIONS[name].field_for(adapter)
        if field == "s":
            value = value.encode("utf-8")
        elif field == "b" and isinstance(value, str):
            value = BOOLEANS[value]
        setattr(parameter_map[name], field, value)
