"""The device's status register for overflows: set by whatever overflows, until it is cleared.

The device computes matrix products and convolutions in float16 and saturates: no result is infinite. Here they are
float32, and those before the reading, gradients among them, are looked at: is one beyond float16's largest number?
"""
import os

import numpy as np
import tensorflow.compat.v1 as tf

from npu_bridge.fake.standing_for import standing_for

LARGEST = 65504.0
PRODUCTS = ("MatMul", "BatchMatMul", "BatchMatMulV2", "Conv2D", "Conv2DBackpropInput", "Conv2DBackpropFilter")
WIDTH = 8  # of the status, float32; all zeros say that nothing overflowed

_register = np.zeros(WIDTH, np.float32)
_readings = 0
_wanted = set()


def overflow_in(*readings):
    """Let the readings of these numbers, from 0 and counted from now on, find an overflow."""
    global _readings
    _readings = 0
    _wanted.clear()
    _wanted.update(readings)
    _register[:] = 0


def _of_this_card(wanted):
    """The numbers of "2,5@1" that are this card's: 2 is every card's, 5 that of rank 1 alone."""
    for entry in filter(None, wanted.split(",")):
        number, _, rank = entry.partition("@")
        if rank in ("", os.environ.get("RANK_ID", "0")):
            yield int(number)


overflow_in(*_of_this_card(os.environ.get("FAKE_NPU_OVERFLOW", "")))


def get_status(name=None):
    """The register as a float32 [8], read after everything that the reading depends on."""
    largest = [tf.reduce_max(tf.abs(output)) for output in _products_before()]
    overflowed = tf.greater(tf.reduce_max(tf.stack(largest)), LARGEST) if largest else tf.constant(False)
    return _on_device("NpuGetFloatStatus", _read, overflowed, name or "npu_get_float_status")


def clear_status(name=None):
    """Clear the register: zeros."""
    return _on_device("NpuClearFloatStatus", _clear, tf.constant(False), name or "npu_clear_float_status")


def _read(overflowed):
    global _readings
    if overflowed or _readings in _wanted:
        _register[:] = 1
    _readings += 1
    return _register.copy()


def _clear(_):
    _register[:] = 0
    return _register.copy()


def _on_device(op_type, function, value, name):
    with standing_for(op_type):
        status = tf.py_func(function, [value], tf.float32, stateful=True, name=name)
    status.set_shape([WIDTH])
    return status


def _products_before():
    """Every product that what is made next depends on."""
    probe = tf.no_op(name="before_status")
    found, waiting, seen = [], list(probe.control_inputs), set()
    while waiting:
        operation = waiting.pop()
        if operation not in seen:
            seen.add(operation)
            if operation.type in PRODUCTS:
                found.append(operation.outputs[0])
            waiting += operation.control_inputs
            waiting += [each.op for each in operation.inputs]
    return found
