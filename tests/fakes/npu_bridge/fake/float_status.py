"""The device's status register for overflows: set by whatever overflows, until it is cleared.

The device computes matrix products and convolutions in float16 and saturates: no result is infinite. Here they are
float32, and those before the reading, gradients among them, are looked at: is one beyond float16's largest number?
"""
import os

import numpy as np
import tensorflow.compat.v1 as tf

from npu_bridge.fake.releases import at_least
from npu_bridge.fake.standing_for import standing_for

LARGEST = 65504.0
PRODUCTS = ("MatMul", "BatchMatMul", "BatchMatMulV2", "Conv2D", "Conv2DBackpropInput", "Conv2DBackpropFilter")

_overflowed = False  # the register
_readings = 0
_wanted = set()


def shape_and_type():
    """Of the status: float32 [1] up to r1.9, int32 [8] since."""
    return ([8], tf.int32) if at_least("r1.10") else ([1], tf.float32)


def overflow_in(*readings):
    """Let the readings of these numbers, from 0 and counted from now on, find an overflow."""
    global _readings, _overflowed
    _readings, _overflowed = 0, False
    _wanted.clear()
    _wanted.update(readings)


def _of_this_card(wanted):
    """The numbers of "2,5@1" that are this card's: 2 is every card's, 5 that of rank 1 alone."""
    for entry in filter(None, wanted.split(",")):
        number, _, rank = entry.partition("@")
        if rank in ("", os.environ.get("RANK_ID", "0")):
            yield int(number)


overflow_in(*_of_this_card(os.environ.get("FAKE_NPU_OVERFLOW", "")))


def get_status(name=None):
    """The register, read after everything that the reading depends on; all zeros say that nothing overflowed."""
    largest = [tf.reduce_max(tf.abs(output)) for output in _products_before()]
    overflowed = tf.greater(tf.reduce_max(tf.stack(largest)), LARGEST) if largest else tf.constant(False)
    return _on_device(f"NpuGetFloatStatus{_version()}", _read, overflowed, name or "npu_get_float_status")


def clear_status(name=None):
    """Clear the register: zeros, of which newer releases give only the operation."""
    return _on_device(f"NpuClearFloatStatus{_version()}", _clear, tf.constant(False), name or "npu_clear_float_status")


def _version():
    return "V2" if at_least("r1.10") else ""


def _read(overflowed):
    global _readings, _overflowed
    _overflowed = bool(_overflowed or overflowed or _readings in _wanted)
    _readings += 1
    return _status()


def _clear(_):
    global _overflowed
    _overflowed = False
    return _status()


def _status():
    shape, dtype = shape_and_type()
    return np.full(shape, int(_overflowed), dtype.as_numpy_dtype)


def _on_device(op_type, function, value, name):
    with standing_for(op_type):
        status = tf.py_func(function, [value], shape_and_type()[1], stateful=True, name=name)
    status.set_shape(shape_and_type()[0])
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
