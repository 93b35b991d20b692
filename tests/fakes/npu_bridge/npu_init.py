"""What programs import everything from. ``tf`` and ``os`` are among it, as in the real one."""
# ruff: noqa: F401
import os

import tensorflow.compat.v1 as tf
from hccl.manage.api import get_local_rank_id, get_local_rank_size, get_rank_id, get_rank_size
from tensorflow.core.protobuf import config_pb2, rewriter_config_pb2
from tensorflow.core.protobuf.rewriter_config_pb2 import RewriterConfig
from tensorflow.python.client import session

from npu_bridge.estimator import npu_ops
from npu_bridge.estimator.npu import npu_plugin, npu_scope, util
from npu_bridge.estimator.npu.npu_config import MemoryConfig
from npu_bridge.estimator.npu.npu_hook import NPUBroadcastGlobalVariablesHook
from npu_bridge.estimator.npu.npu_loss_scale_manager import ExponentialUpdateLossScaleManager, FixedLossScaleManager
from npu_bridge.estimator.npu.npu_loss_scale_optimizer import NPULossScaleOptimizer
from npu_bridge.estimator.npu.npu_optimizer import (
    NPUDistributedOptimizer,
    NPUOptimizer,
    npu_allreduce,
    npu_distributed_optimizer_wrapper,
)
from npu_bridge.fake.releases import SINCE as _SINCE
from npu_bridge.fake.releases import at_least as _at_least
from npu_bridge.hccl import hccl_ops


def npu_config_proto(config_proto=None):
    config = config_proto if isinstance(config_proto, config_pb2.ConfigProto) else config_pb2.ConfigProto()
    rewrite = config.graph_options.rewrite_options
    if not any(each.name == "NpuOptimizer" for each in rewrite.custom_optimizers):
        rewrite.custom_optimizers.add().name = "NpuOptimizer"
        if _at_least("r1.9"):
            rewrite.memory_optimization = RewriterConfig.OFF
    config.allow_soft_placement = True
    config.log_device_placement = False
    rewrite.remapping = RewriterConfig.OFF
    config.graph_options.optimizer_options.global_jit_level = config_pb2.OptimizerOptions.OFF
    return config


def npu_hooks_append(hooks_list=()):
    return list(hooks_list or ()) + [NPUBroadcastGlobalVariablesHook(0, int(os.getenv("RANK_ID", "0")))]


def npu_tf_optimizer(opt):
    return NPUDistributedOptimizer(opt)


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


for _name, _since in _SINCE.items():
    if not _at_least(_since):
        del globals()[_name]
