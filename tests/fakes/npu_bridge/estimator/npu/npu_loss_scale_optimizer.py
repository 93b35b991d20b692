"""An optimiser that applies only what did not overflow, by the device's status."""
import tensorflow.compat.v1 as tf

from npu_bridge.estimator.npu.npu_loss_scale_manager import FixedLossScaleManager
from npu_bridge.fake import float_status, releases
from npu_bridge.hccl import hccl_ops


def overall_finite(gradients, is_distributed):
    """Whether nothing overflowed, in any rank; the register is cleared after it was read."""
    with tf.control_dependencies(gradients):
        status = float_status.get_status()
    with tf.control_dependencies([status]):
        cleared = float_status.clear_status()
    if is_distributed:
        status = hccl_ops.allreduce([status], "sum", fusion=0)
    with tf.control_dependencies([cleared]):
        return tf.reduce_all(tf.equal(status, tf.zeros_like(status)))


class NPULossScaleOptimizer(tf.train.Optimizer):
    def __init__(self, opt, loss_scale_manager, is_distributed=False):
        super().__init__(use_locking=False, name="NPULossScaleOptimizer")
        self._opt = opt
        self._loss_scale_manager = loss_scale_manager
        self._is_distributed = is_distributed
        self._allocated = releases.at_least("r1.10")  # since r1.10 there is nothing to allocate

    def compute_gradients(self, loss, *arguments, **keywords):
        self._allocated = True
        scale = self._loss_scale_manager.get_loss_scale()
        pairs = self._opt.compute_gradients(loss * tf.cast(scale, loss.dtype), *arguments, **keywords)
        return [(None if gradient is None else gradient * (1.0 / scale), variable) for gradient, variable in pairs]

    def apply_gradients(self, grads_and_vars, global_step=None, name=None):
        if not self._allocated:
            raise RuntimeError("apply_gradients without compute_gradients: no status register has been allocated, so "
                               "that overflows would be applied")
        grads_and_vars = list(grads_and_vars)
        manager = self._loss_scale_manager
        if isinstance(manager, FixedLossScaleManager) and not manager.get_enable_overflow_check():
            finite = tf.constant(True)
        else:
            finite = overall_finite([gradient for gradient, _ in grads_and_vars if gradient is not None],
                                    self._is_distributed)
        update = tf.cond(finite, lambda: self._opt.apply_gradients(grads_and_vars, global_step, name), tf.no_op)
        return tf.group(update, manager.update_loss_scale(finite))
