"""NpuOptimizer's parameter_map as the releases read it. The real one passes over what it does not know: this raises."""
import os

from npu_bridge.fake.releases import RELEASES, release

# Release → field of parameter_map → the options that came with it.
KNOWN = {
    "r1.5": {
        "b": "use_off_line enable_data_pre_proc mix_compile_mode hcom_parallel lower_functional_ops dynamic_input "
             "enable_dump enable_dump_debug profiling_mode is_tailing_optimization in_out_pair_flag "
             "variable_format_optimize enable_compress_weight hcom_multi_mode",
        "i": "graph_run_mode iterations_per_loop op_debug_level enable_exception_dump session_device_id local_rank_id "
             "task_index dynamic_node_type enable_small_channel",
        "s": "precision_mode modify_mixlist op_select_implmode optypelist_for_implmode dump_path dump_step dump_mode "
             "dump_debug_mode profiling_options graph_memory_max_size variable_memory_max_size fusion_switch_file "
             "enable_scope_fusion_passes auto_tune_mode aoe_mode work_path distribute_config job local_device_list "
             "input_shape dynamic_dims dynamic_graph_execute_mode dynamic_inputs_shape_range op_compiler_cache_mode "
             "op_compiler_cache_dir debug_dir buffer_optimize compress_weight_conf soc_config stream_max_parallel_num "
             "in_out_pair"},
    "r1.9": {"i": "hccl_timeout op_wait_timeout op_execute_timeout", "s": "op_precision_mode device_type"},
    "master": {
        "b": "frozen_variable external_weight enable_graph_parallel",
        "i": "deterministic graph_exec_timeout static_memory_policy atomic_clean_policy topo_sorting_mode "
             "stream_sync_timeout event_sync_timeout",
        "s": "precision_mode_v2 customize_dtypes HCCL_algorithm op_debug_config variable_placement jit_compile "
             "graph_compiler_cache_dir dump_data dump_layer aoe_config_file insert_op_file resource_config_path "
             "graph_parallel_option_path"},
}
MODES = {"r1.5": "force_fp32 allow_fp32_to_fp16 force_fp16 must_keep_origin_dtype allow_mix_precision",
         "master": "cube_fp16in_fp32out allow_mix_precision_fp16 allow_mix_precision_bf16 allow_fp32_to_bf16"}


def read(parameter_map):
    """Name → value of every option.

    Raises:
        ValueError: an option that this release does not know, or a field that it does not read it from.
    """
    until = RELEASES[:RELEASES.index(release()) + 1]
    known = {name: field for each in until for field, names in KNOWN[each].items() for name in names.split()}
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
    if "modify_mixlist" in options and options.get("precision_mode") != "allow_mix_precision":
        raise ValueError("modify_mixlist is assigned, please ensure that precision_mode is assigned to "
                         "'allow_mix_precision'.")
    for name in ("dump_path", "work_path"):
        if name in options and not os.path.isdir(options[name]):
            raise ValueError("the path {} is not directory.".format(options[name]))
    for switch, needed in (("enable_dump", "dump_path"), ("enable_dump_debug", "dump_path"),
                           ("profiling_mode", "profiling_options")):
        if options.get(switch) and not options.get(needed):
            raise ValueError("{} must be set when {} is".format(needed, switch))
    return options
