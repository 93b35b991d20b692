"""Initial values for every rank."""
import tensorflow.compat.v1 as tf

from npu_bridge.fake.releases import at_least
from npu_bridge.hccl import hccl_ops


def _broadcast(root_rank):
    # Trainable variables alone: neither moments nor a loss scale are among them.
    return tf.group(*[tf.assign(variable, hccl_ops.broadcast([variable], root_rank)[0])
                      for variable in tf.trainable_variables()])


if at_least("r1.9"):
    def broadcast_global_variables(root_rank):
        return _broadcast(root_rank)
else:
    def broadcast_global_variables(root_rank, index):
        return _broadcast(root_rank)


class NPUBroadcastGlobalVariablesHook(tf.train.SessionRunHook):
    def __init__(self, root_rank=None, index=None):
        self._root_rank = root_rank
        self._operation = None

    def begin(self):
        self._operation = _broadcast(self._root_rank)

    def after_create_session(self, session, coord):
        session.run(self._operation)
