"""The adapter's own operations, as far as they are asked for by name."""
import types

import tensorflow.compat.v1 as tf

from npu_bridge.fake import collectives
from npu_bridge.fake import float_status
from npu_bridge.fake.recording import record
from npu_bridge.fake.releases import at_least


def get_gen_ops():
    """The module of generated operations."""
    names = {"npu_get_float_status_v2": float_status.get_status,
             "npu_clear_float_status_v2": lambda name=None: float_status.clear_status(name).op,
             "initialize_system": lambda name=None: _system(True, name),
             "shutdown_system": lambda name=None: _system(False, name)}
    if not at_least("r1.10"):
        names.update(
            npu_alloc_float_status=lambda name=None: tf.zeros(float_status.shape_and_type()[0], name=name),
            npu_get_float_status=lambda input, name=None: float_status.get_status(name),
            npu_clear_float_status=lambda input, name=None: float_status.clear_status(name))
        del names["npu_get_float_status_v2"], names["npu_clear_float_status_v2"]
    return types.SimpleNamespace(**names)


def _system(up, name):
    def switch():
        collectives.set_initialised(up)
        record("initialised", up=up)
        return True

    return tf.py_func(switch, [], tf.bool, stateful=True, name=name).op
