"""NpuOptimizer's parameter_map as the releases read it. The real one passes over what it does not know: this raises."""
import os
import re

from npu_bridge.fake.releases import RELEASES, release

# name.field of each, in the order in which the adapter's own source asks for them. In brackets is the first release
# that does, r1.5 where none is named; of those with a question mark only the interface of the newest is published.
READ = """
variable_format_optimize.b hcom_parallel.b graph_memory_max_size.s variable_memory_max_size.s
enable_dump.b enable_dump_debug.b dump_path.s dump_step.s dump_mode.s dump_debug_mode.s
stream_max_parallel_num.s is_tailing_optimization.b profiling_mode.b profiling_options.s auto_tune_mode.s
graph_run_mode.i op_debug_level.i enable_scope_fusion_passes.s aoe_mode.s work_path.s distribute_config.s
precision_mode.s precision_mode_v2.s[master]? soc_config.s enable_data_pre_proc.b use_off_line.b mix_compile_mode.b
iterations_per_loop.i lower_functional_ops.b job.s task_index.i
dynamic_input.b dynamic_graph_execute_mode.s dynamic_inputs_shape_range.s local_rank_id.i local_device_list.s
in_out_pair_flag.b in_out_pair.s enable_exception_dump.i op_select_implmode.s optypelist_for_implmode.s
input_shape.s dynamic_dims.s dynamic_node_type.i buffer_optimize.s enable_small_channel.i deterministic.i[master]
fusion_switch_file.s enable_compress_weight.b compress_weight_conf.s op_compiler_cache_mode.s op_compiler_cache_dir.s
debug_dir.s hcom_multi_mode.b session_device_id.i modify_mixlist.s
op_precision_mode.s[r1.9] device_type.s[r1.9] hccl_timeout.i[r1.9] op_wait_timeout.i[r1.9] op_execute_timeout.i[r1.9]
customize_dtypes.s[master] HCCL_algorithm.s[master] op_debug_config.s[master] graph_exec_timeout.i[master]
static_memory_policy.i[master] atomic_clean_policy.i[master]
experimental_logical_device_cluster_deploy_mode.s[master] experimental_logical_device_id.s[master]
experimental_model_deploy_mode.s[master] experimental_model_deploy_devicelist.s[master]
topo_sorting_mode.i[master] insert_op_file.s[master] resource_config_path.s[master]
graph_parallel_option_path.s[master] enable_graph_parallel.b[master] dump_data.s[master] dump_layer.s[master]
aoe_config_file.s[master] stream_sync_timeout.i[master] event_sync_timeout.i[master] external_weight.b[master]
es_cluster_config.s[master]? frozen_variable.b[master]? variable_placement.s[master]? jit_compile.s[master]?
graph_compiler_cache_dir.s[master]?
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
    """Name → (field of parameter_map, the release that it came with)."""
    return {name: (field, since or RELEASES[0])
            for name, field, since in re.findall(r"(\w+)\.([bis])(?:\[([\w.]+)\]\??)?", READ)}


def read(parameter_map):
    """Name → value of every option.

    Raises:
        ValueError: an option that this release does not know, or a field that it does not read it from.
    """
    until = RELEASES[:RELEASES.index(release()) + 1]
    known = {name: field for name, (field, since) in table().items() if since in until}
    options = {}
    for name, value in parameter_map.items():
        field = value.WhichOneof("value")
        if known.get(name) != field:
            raise ValueError("NpuOptimizer option {}.{}: {} {}".format(
                name, field, release(), "reads it from ." + known[name] if name in known else "knows no such option"))
        options[name] = getattr(value, field)
        if field == "s":
            options[name] = options[name].decode("utf-8")
    modes = [mode for each in until for mode in MODES.get(each, "").split()]
    if options.get("precision_mode", modes[0]) not in modes:
        raise ValueError("precision_mode {} is none of {}".format(options["precision_mode"], ", ".join(modes)))
    if options.get("graph_run_mode", 1) > 1:
        raise ValueError("graph_run_mode value must be 0 or 1")
    if "modify_mixlist" in options and not options.get("precision_mode", "").startswith("allow_mix_precision"):
        raise ValueError("modify_mixlist is assigned, please ensure that precision_mode is assigned to "
                         "'allow_mix_precision'.")
    if "enable_compress_weight" in options and "compress_weight_conf" in options:
        raise ValueError("enable_compress_weight can not use with compress_weight_conf.")
    for name, values in VALUES.items():
        if options.get(name, values[0]) not in values:
            raise ValueError("{} {} is none of {}".format(name, options[name], ", ".join(values)))
    for name in ("dump_path", "work_path"):
        if name in options and not os.path.isdir(options[name]):
            raise ValueError(f"the path {options[name]} is not directory.")
    for switch, needed in (("enable_dump", "dump_path"), ("enable_dump_debug", "dump_path"),
                           ("profiling_mode", "profiling_options")):
        if options.get(switch) and not options.get(needed):
            raise ValueError(f"{needed} must be set when {switch} is")
    return options
