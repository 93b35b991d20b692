"""Initial values for every rank, and hooks for the loops of the estimator."""
import tensorflow.compat.v1 as tf

from npu_bridge.fake.not_run import not_run
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


class NPUCheckpointSaverHook(tf.train.SessionRunHook):
    @not_run
    def __init__(self, checkpoint_dir, save_secs=None, save_steps=None, saver=None, checkpoint_basename="model.ckpt",
                 scaffold=None, listeners=None):
        pass


class NPUOutputTensorHook(tf.train.SessionRunHook):
    @not_run
    def __init__(self, tensors, dependencies=None, output_fn=None, output_every_n_steps=0):
        pass


class SetIterationsVarHook(tf.train.SessionRunHook):
    @not_run
    def __init__(self, iterations_per_loop=None):
        pass


class TellMeStepOrLossHook(tf.train.SessionRunHook):
    @not_run
    def __init__(self, step=None, total_step=None, loss=None, final_loss=None):
        pass
