"""NpuOptimizer's parameter_map as the releases read it. The real one passes over what it does not know: this raises."""
import os
import re

from npu_bridge.fake.releases import RELEASES, at_least, release

# name.field of each option, and in brackets the releases that read it there, where not every one does: r1.9+ is every
# release from r1.9 on. Compiled from the option readers in the adapter's published code, release by release.
READ = """
HCCL_algorithm.s[r1.8+] ac_parallel_enable.s[r1.15+] aoe_config_file.s[r1.11+] aoe_mode.s atomic_clean_policy.i[r1.9+]
auto_tune_mode.s[r1.5-r1.10] auto_tune_mode.s[r1.12+] buffer_optimize.s compress_weight_conf.s
customize_dtypes.s[r1.9+] debug_dir.s deterministic.i[r1.12+] device_type.s[r1.7+] distribute_config.s
dump_data.s[r1.10+] dump_debug_mode.s dump_layer.s[r1.10+] dump_mode.s dump_path.s dump_step.s dynamic_dims.s
dynamic_graph_execute_mode.s dynamic_input.b dynamic_inputs_shape_range.s dynamic_node_type.i enable_compress_weight.b
enable_data_pre_proc.b enable_dump.b enable_dump_debug.b enable_exception_dump.i enable_graph_parallel.b[r1.12+]
enable_scope_fusion_passes.s enable_small_channel.i es_cluster_config.s[r1.13+] event_sync_timeout.i[r1.12+]
experimental_accelerate_train_mode.s[r1.15+] experimental_logical_device_cluster_deploy_mode.s[r1.9+]
experimental_logical_device_id.s[r1.9+] experimental_model_deploy_devicelist.s[r1.12+]
experimental_model_deploy_mode.s[r1.12+] external_weight.b[r1.11+] frozen_variable.b[r1.12+] fusion_switch_file.s
graph_compiler_cache_dir.s[r1.13+] graph_exec_timeout.i[r1.9+] graph_memory_max_size.s
graph_parallel_option_path.s[r1.12+] graph_run_mode.i graph_slice.s[r1.13+] hccl_timeout.i[r1.7+] hcom_multi_mode.b
hcom_parallel.b in_out_pair.s in_out_pair_flag.b input_shape.s insert_op_file.s[r1.11+] is_tailing_optimization.b
iterations_per_loop.i jit_compile.b[r1.10-r1.11] jit_compile.s[r1.13+] job.s local_device_list.s local_rank_id.i
lower_functional_ops.b memory_optimization_policy.s[r1.12+] mix_compile_mode.b modify_mixlist.s
op_compiler_cache_dir.s op_compiler_cache_mode.s op_debug_config.s[r1.9+] op_debug_level.i op_execute_timeout.i[r1.7+]
op_precision_mode.s op_select_implmode.s op_wait_timeout.i[r1.7+] optypelist_for_implmode.s precision_mode.s
precision_mode_v2.s[r1.13+] profiling_mode.b profiling_options.s resource_config_path.s[r1.10+] session_device_id.i
soc_config.s[r1.8+] static_memory_policy.i[r1.9+] stream_max_parallel_num.s stream_sync_timeout.i[r1.12+] task_index.i
topo_sorting_mode.i[r1.10+] use_off_line.b variable_format_optimize.b variable_memory_max_size.s
variable_placement.s[r1.12+] work_path.s
"""
MODES = {"r1.5": "force_fp32 allow_fp32_to_fp16 force_fp16 must_keep_origin_dtype allow_mix_precision",
         "master": "cube_fp16in_fp32out allow_mix_precision_fp16 allow_mix_precision_bf16 allow_fp32_to_bf16"}
# What else it ends the process or the session at; of tunings those that every release takes.
VALUES = {
    "aoe_mode": ("1", "2", "4"), "dump_mode": ("input", "output", "all"),
    "dump_debug_mode": ("aicore_overflow", "atomic_overflow", "all"),
    "op_select_implmode": ("high_precision", "high_performance", "high_precision_for_all",
                           "high_performance_for_all"),
    "buffer_optimize": ("l2_optimize", "off_optimize"),
    "dynamic_graph_execute_mode": ("lazy_recompile", "dynamic_execute"), "jit_compile": ("true", "false", "auto")}


def table():
    """Name → list of (field of parameter_map, first release, last release) that read it."""
    found = {}
    for name, field, first, last in re.findall(r"(\w+)\.([bis])(?:\[([\w.]+)(\+|-[\w.]+)\])?", READ):
        last = last[1:] if last.startswith("-") else RELEASES[-1]
        found.setdefault(name, []).append((field, first or RELEASES[0], last))
    return found


def known_to(wanted):
    """Name → field of every option that this release reads."""
    place = RELEASES.index
    return {name: field for name, spans in table().items() for field, first, last in spans
            if place(first) <= place(wanted) <= place(last)}


def read(parameter_map):
    """Name → value of every option.

    Raises:
        ValueError: an option that this release does not know, a field that it does not read it from, or a value at
            which the real one ends the process or the session.
    """
    options = _values(parameter_map)
    _check_values(options)
    _check_combinations(options)
    return options


def _values(parameter_map):
    known = known_to(release())
    options = {}
    for name, value in parameter_map.items():
        field = value.WhichOneof("value")
        if known.get(name) != field:
            told = f"reads it from .{known[name]}" if name in known else "knows no such option"
            raise ValueError(f"NpuOptimizer option {name}.{field}: {release()} {told}")
        options[name] = getattr(value, field)
        if field == "s":
            options[name] = options[name].decode("utf-8")
    return options


def _check_values(options):
    modes = [mode for since, names in MODES.items() if at_least(since) for mode in names.split()]
    if options.get("precision_mode", modes[0]) not in modes:
        raise ValueError(f"precision_mode {options['precision_mode']} is none of {', '.join(modes)}")
    if options.get("graph_run_mode", 1) > 1:
        raise ValueError("graph_run_mode value must be 0 or 1")
    for name, values in VALUES.items():
        if options.get(name, values[0]) not in values:
            raise ValueError(f"{name} {options[name]} is none of {', '.join(values)}")
    for name in ("dump_path", "work_path"):
        if name in options and not os.path.isdir(options[name]):
            raise ValueError(f"the path {options[name]} is not directory.")


def _check_combinations(options):
    if "modify_mixlist" in options and not options.get("precision_mode", "").startswith("allow_mix_precision"):
        raise ValueError("modify_mixlist is assigned, please ensure that precision_mode is assigned to "
                         "'allow_mix_precision'.")
    if "enable_compress_weight" in options and "compress_weight_conf" in options:
        raise ValueError("enable_compress_weight can not use with compress_weight_conf.")
    for switch, needed in (("enable_dump", "dump_path"), ("enable_dump_debug", "dump_path"),
                           ("profiling_mode", "profiling_options")):
        if options.get(switch) and not options.get(needed):
            raise ValueError(f"{needed} must be set when {switch} is")
