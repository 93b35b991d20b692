"""Optimisers that average gradients over the ranks."""
import tensorflow.compat.v1 as tf

from npu_bridge.estimator.npu.npu_common import NPUBasics
from npu_bridge.estimator.npu.npu_loss_scale_optimizer import overall_finite
from npu_bridge.estimator.npu.util import get_ranksize
from npu_bridge.fake.not_run import not_run
from npu_bridge.hccl import hccl_ops


def allreduce(tensor, average=True):
    size = NPUBasics("").size()
    total = hccl_ops.allreduce(tensor, "sum")
    return total / tf.cast(size, tensor.dtype) if average else total


def npu_allreduce(values, reduction="mean", fusion=1, fusion_id=-1, group="hccl_world_group"):
    """The reduction over the ranks of a tensor, or of each in a list."""
    if int(get_ranksize()) <= 1:
        return values

    def reduced(value):
        total = hccl_ops.allreduce(value, "sum" if reduction == "mean" else reduction, fusion, fusion_id, group)
        return total / tf.cast(int(get_ranksize()), value.dtype) if reduction == "mean" else total

    return [reduced(value) for value in values] if isinstance(values, (list, tuple)) else reduced(values)


class NPUDistributedOptimizer(tf.train.Optimizer):
    def __init__(self, optimizer, is_weight_update_sharding=False, name=None):
        super().__init__(use_locking=False, name=name or "Distributed" + type(optimizer).__name__)
        self._optimizer = optimizer

    def compute_gradients(self, *args, **kwargs):
        pairs = self._optimizer.compute_gradients(*args, **kwargs)
        if int(get_ranksize()) <= 1:
            return pairs
        return [(None if gradient is None else allreduce(gradient), variable) for gradient, variable in pairs]

    def apply_gradients(self, grads_and_vars, global_step=None, name=None):
        return self._optimizer.apply_gradients(grads_and_vars, global_step, name)


def npu_distributed_optimizer_wrapper(optimizer):
    return NPUDistributedOptimizer(optimizer)


class KerasDistributeOptimizer:
    @not_run
    def __init__(self, optimizer, name="NpuKerasOptimizer", **kwargs):
        pass


class NPUOptimizer(tf.train.Optimizer):
    def __init__(self, opt, loss_scale_manager=None, is_distributed=False, is_loss_scale=False,
                 is_tailing_optimization=False, name=None):
        if is_loss_scale and loss_scale_manager is None:
            raise ValueError("is_loss_scale is True, loss_scale_manager can not be None")
        super().__init__(use_locking=False, name=name or "NPUOptimizer" + type(opt).__name__)
        self._opt = opt
        self._loss_scale_manager = loss_scale_manager
        self._is_distributed = is_distributed
        self._is_loss_scale = is_loss_scale

    def compute_gradients(self, loss, *args, **kwargs):
        scale = self._loss_scale_manager.get_loss_scale() if self._is_loss_scale else tf.constant(1.0)
        pairs = self._opt.compute_gradients(loss * tf.cast(scale, loss.dtype), *args, **kwargs)
        if self._is_distributed:
            pairs = [(None if gradient is None else allreduce(gradient), variable) for gradient, variable in pairs]
        return [(None if gradient is None else gradient * (1.0 / scale), variable) for gradient, variable in pairs]

    def apply_gradients(self, grads_and_vars, global_step=None, name=None):
        grads_and_vars = list(grads_and_vars)
        if not self._is_loss_scale:
            return self._opt.apply_gradients(grads_and_vars, global_step, name)
        finite = overall_finite([gradient for gradient, _ in grads_and_vars if gradient is not None],
                                self._is_distributed)
        update = tf.cond(finite, lambda: self._opt.apply_gradients(grads_and_vars, global_step, name), tf.no_op)
        return tf.group(update, self._loss_scale_manager.update_loss_scale(finite))
