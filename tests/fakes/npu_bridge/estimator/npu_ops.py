"""The adapter's operations for the device."""
import tensorflow.compat.v1 as tf

from npu_bridge.fake.standing_for import standing_for
from npu_bridge.helper import helper


def initialize_system(name=None):
    return helper.get_gen_ops().initialize_system(name)


def shutdown_system(name=None):
    return helper.get_gen_ops().shutdown_system(name)


def dropout(x, keep_prob, noise_shape=None, seed=None, name=None):
    x = tf.convert_to_tensor(x, name="x")
    if not x.dtype.is_floating:
        raise ValueError(f"x must be a floating-point tensor, got a {x.dtype}")
    if not 0 < keep_prob <= 1:
        raise ValueError(f"keep_prob must be in (0, 1], got {keep_prob}")
    if keep_prob == 1:
        return x
    with tf.name_scope(name or "npu_dropout"):
        shape = x.shape.as_list() if noise_shape is None else noise_shape
        with standing_for("DropOutGenMask"):
            drawn = tf.random.uniform(shape, seed=seed)
        mask = tf.cast(drawn < keep_prob, x.dtype)
        return x * mask * (1.0 / keep_prob)
