"""Resources of the device for a process that has no session."""
from npu_bridge.fake.recording import record


def npu_resource_init(graph_run_mode=1, op_debug_level=0, enable_profiling=False, profiling_options=None,
                      auto_tune_mode=None, precision_mode=None, **further):
    """further: options that differ with the release, and are not checked."""
    record("resources", graph_run_mode=graph_run_mode, op_debug_level=op_debug_level, precision_mode=precision_mode)


def npu_resource_shutdown():
    record("resources", graph_run_mode=None)
