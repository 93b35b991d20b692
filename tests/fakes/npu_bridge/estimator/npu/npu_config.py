"""Groups of options for the estimator, and sessions that are the adapter's by a decorator."""
from npu_bridge.fake.not_run import not_run


class NPURunConfig:
    """Its arguments, an option each, differ with the release and are not checked."""

    @not_run
    def __init__(self, *arguments, **keywords):
        pass


class ProfilingConfig:
    @not_run
    def __init__(self, enable_profiling=False, profiling_options=None):
        pass


class MemoryConfig:
    """Its presence tells releases apart. Its arguments differ with the release and are not checked."""

    @not_run
    def __init__(self, *arguments, **keywords):
        pass


class DumpConfig:
    """Its arguments differ with the release and are not checked."""

    @not_run
    def __init__(self, *arguments, **keywords):
        pass


class DynamicInputConfig:
    @not_run
    def __init__(self, input_shape, dynamic_dims, dynamic_node_type):
        pass


@not_run
def decorator_tf_session(func):
    pass
