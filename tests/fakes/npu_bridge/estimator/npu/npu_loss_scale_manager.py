"""Loss scales: one that stays, and one that follows what overflows."""
import tensorflow.compat.v1 as tf


class FixedLossScaleManager:
    def __init__(self, loss_scale, enable_overflow_check=True):
        if loss_scale < 1:
            raise ValueError("loss scale must be at least 1.")
        self._loss_scale = tf.convert_to_tensor(loss_scale, dtype=tf.float32)
        self._enable_overflow_check = enable_overflow_check

    def get_loss_scale(self):
        return self._loss_scale

    def update_loss_scale(self, finite_grads):
        return tf.no_op()

    def get_enable_overflow_check(self):
        return self._enable_overflow_check


class ExponentialUpdateLossScaleManager:
    def __init__(self, init_loss_scale, incr_every_n_steps, decr_every_n_nan_or_inf=2, incr_ratio=2, decr_ratio=0.8):
        self._incr_every_n_steps = incr_every_n_steps
        self._decr_every_n_nan_or_inf = decr_every_n_nan_or_inf
        self._incr_ratio = incr_ratio
        self._decr_ratio = decr_ratio
        self._loss_scale = _variable("loss_scale", float(init_loss_scale), tf.float32)
        self._num_good_steps = _variable("good_steps", 0, tf.int32)
        self._num_bad_steps = _variable("bad_steps", 0, tf.int32)

    def get_loss_scale(self):
        return self._loss_scale

    def update_loss_scale(self, finite_grads):
        return tf.cond(finite_grads, self._after_good, self._after_bad)

    def _after_good(self):
        def grow():
            scale = tf.where(self._loss_scale < 3.4e38 / self._incr_ratio, self._loss_scale * self._incr_ratio,
                             tf.identity(self._loss_scale))
            return self._set(scale)

        return tf.cond(self._num_good_steps + 1 >= self._incr_every_n_steps, grow,
                       lambda: tf.group(tf.assign_add(self._num_good_steps, 1)))

    def _after_bad(self):
        def shrink():
            return self._set(tf.maximum(1.0, self._loss_scale * self._decr_ratio))

        def count():
            return tf.group(tf.assign_add(self._num_bad_steps, 1), tf.assign(self._num_good_steps, 0))

        return tf.cond(self._num_bad_steps + 1 >= self._decr_every_n_nan_or_inf, shrink, count)

    def _set(self, scale):
        return tf.group(tf.assign(self._loss_scale, scale), tf.assign(self._num_good_steps, 0),
                        tf.assign(self._num_bad_steps, 0))


def _variable(name, value, dtype):
    return tf.Variable(tf.constant(value, dtype), name=name, trainable=False, use_resource=False)
