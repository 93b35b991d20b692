"""What programs import everything from. ``tf`` and ``os`` are among it, as in the real one."""
# ruff: noqa: F401
import os

import tensorflow.compat.v1 as tf
from hccl.manage.api import (
    create_group,
    destroy_group,
    get_group_rank_from_world_rank,
    get_local_rank_id,
    get_local_rank_size,
    get_rank_id,
    get_rank_size,
    get_world_rank_from_group_rank,
)
from hccl.split.api import set_split_strategy_by_idx, set_split_strategy_by_size
from tensorflow.core.protobuf import config_pb2, rewriter_config_pb2
from tensorflow.core.protobuf.rewriter_config_pb2 import RewriterConfig
from tensorflow.python.client import session
from tensorflow.python.keras import backend
from tensorflow.python.training import session_run_hook

from npu_bridge import npu_embedding
from npu_bridge.estimator import npu_ops
from npu_bridge.estimator.npu import keras_to_npu, npu_plugin, npu_rnn, npu_scope, npu_strategy, util
from npu_bridge.estimator.npu.npu_callbacks import NPUBroadcastGlobalVariablesCallback
from npu_bridge.estimator.npu.npu_config import (
    DumpConfig,
    DynamicInputConfig,
    MemoryConfig,
    NPURunConfig,
    ProfilingConfig,
    decorator_tf_session,
)
from npu_bridge.estimator.npu.npu_estimator import NPUEstimator, NPUEstimatorSpec
from npu_bridge.estimator.npu.npu_hook import (
    NPUBroadcastGlobalVariablesHook,
    NPUCheckpointSaverHook,
    NPUOutputTensorHook,
    SetIterationsVarHook,
    TellMeStepOrLossHook,
)
from npu_bridge.estimator.npu.npu_loss_scale_manager import ExponentialUpdateLossScaleManager, FixedLossScaleManager
from npu_bridge.estimator.npu.npu_loss_scale_optimizer import NPULossScaleOptimizer
from npu_bridge.estimator.npu.npu_optimizer import (
    KerasDistributeOptimizer,
    NPUDistributedOptimizer,
    NPUOptimizer,
    npu_allreduce,
    npu_distributed_optimizer_wrapper,
)
from npu_bridge.estimator.npu_unary_ops import npu_unary_ops
from npu_bridge.fake.not_run import not_run as _not_run
from npu_bridge.fake.releases import SINCE as _SINCE
from npu_bridge.fake.releases import at_least as _at_least
from npu_bridge.hccl import hccl_ops

experimental_options = {"disable_model_pruning": False}  # and TensorFlow's own, each as it is by default


def npu_config_proto(config_proto=None):
    config = config_proto if isinstance(config_proto, config_pb2.ConfigProto) else config_pb2.ConfigProto()
    rewrite = config.graph_options.rewrite_options
    if not any(each.name == "NpuOptimizer" for each in rewrite.custom_optimizers):
        rewrite.custom_optimizers.add().name = "NpuOptimizer"
        if _at_least("r1.7"):
            rewrite.memory_optimization = RewriterConfig.OFF
    config.allow_soft_placement = True
    config.log_device_placement = False
    rewrite.remapping = RewriterConfig.OFF
    config.graph_options.optimizer_options.global_jit_level = config_pb2.OptimizerOptions.OFF
    return config


def npu_hooks_append(hooks_list=()):
    # Of what is no list the real one takes nothing over, without a word.
    if hooks_list and not isinstance(hooks_list, list):
        raise TypeError(f"hooks_list is a {type(hooks_list).__name__}: the adapter would drop these hooks")
    return list(hooks_list) + [NPUBroadcastGlobalVariablesHook(0, int(os.getenv("RANK_ID", "0")))]


@_not_run
def npu_callbacks_append(callbacks_list=()):
    pass


def npu_graph_options(graph_options=None):
    options = graph_options if isinstance(graph_options, config_pb2.GraphOptions) else config_pb2.GraphOptions()
    npu_optimizer_options(options.optimizer_options)
    return options


def npu_optimizer_options(optimizer_options=None):
    options = (optimizer_options if isinstance(optimizer_options, config_pb2.OptimizerOptions)
               else config_pb2.OptimizerOptions())
    options.global_jit_level = config_pb2.OptimizerOptions.OFF
    return options


@_not_run
def npu_run_config_init(run_config=None):
    pass


@_not_run
def set_keras_session_npu_config(config=None):
    pass


@_not_run
def npu_clear_session(config=None):
    pass


@_not_run
def npu_keras_optimizer(opt):
    pass


def npu_tf_optimizer(opt):
    return NPUDistributedOptimizer(opt)


class NpuEmptyHook(session_run_hook.SessionRunHook):
    pass


def init_resource(config=None):
    util.global_dict_init()
    initialise, shutdown = npu_ops.initialize_system(), npu_ops.shutdown_system()
    config = npu_config_proto(config)
    config.graph_options.rewrite_options.memory_optimization = RewriterConfig.OFF
    opened = session.Session(config=config)
    opened.run(initialise)
    util.set_value("npu_rank_id", get_rank_id())
    util.set_value("npu_local_rank_id", get_local_rank_id())
    util.set_value("npu_rank_size", get_rank_size())
    util.set_value("npu_local_rank_size", get_local_rank_size())
    return opened, shutdown


def shutdown_resource(sess, npu_shutdown):
    sess.run(npu_shutdown)


def close_session(sess):
    sess.close()


def get_npu_rank_id():
    return util.get_value("npu_rank_id", 0)


def get_npu_local_rank_id():
    return util.get_value("npu_local_rank_id", 0)


def get_npu_rank_size():
    return util.get_value("npu_rank_size", 1)


def get_npu_local_rank_size():
    return util.get_value("npu_local_rank_size", 1)


for _name, _since in _SINCE.items():
    if not _at_least(_since):
        del globals()[_name]
