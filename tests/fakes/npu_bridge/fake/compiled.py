"""What is compiled for the device of one session: which operations are there, and which shapes they were fed."""
import re

import numpy as np
import tensorflow.compat.v1 as tf

from npu_bridge.fake.partition import partition
from npu_bridge.fake.recording import record
from npu_bridge.fake.releases import at_least

FORBIDDEN = (
    (re.compile(r"(Ref)?(Enter|Exit|NextIteration)|LoopCond|(Stateless)?While|For"), "a loop"),
    (re.compile(r"\w*Queue\w*|\w*Reader\w*"), "queue input"),
)
# These never reach the device, nor do those inside without_npu_compile_scope.
ON_HOST = re.compile(r"\w*Summary\w*|SaveV2|RestoreV2|\w*Dataset\w*|\w*Iterator\w*|PyFunc|StringJoin")
NO_TYPES = (tf.float64, tf.complex64, tf.complex128, tf.variant)
CHECKED_SHAPES = (tf.float16, tf.float32, tf.uint8)


class NotForTheDevice(Exception):
    """The device has no such operation. The real adapter leaves it to the host, or fails to compile."""


class Compiled:
    """The graphs of a session: each set of fetches and feeds is one."""

    def __init__(self, options):
        self._options = options
        self._shapes = {}  # (fetches, feeds) → shapes that were fed

    def run(self, graph, fetches, feed_dict):
        """Check a run before it happens.

        Raises:
            NotForTheDevice: an operation that it would need.
            tf.errors.InternalError: other shapes than the first time, up to r1.10.
        """
        wanted = [_element(graph, each) for each in tf.nest.flatten(fetches)]
        fed = {_element(graph, key): np.shape(value) for key, value in (feed_dict or {}).items()}
        key = tuple(sorted(each.name for each in wanted)), tuple(sorted(tensor.name for tensor in fed))
        shapes = {tensor.name: list(shape) for tensor, shape in fed.items()}
        before = self._shapes.get(key)
        if before == shapes:
            return
        if before is not None and not at_least("r1.11"):
            changed = next(name for name in sorted(shapes) if shapes[name] != before[name])
            raise tf.errors.InternalError(None, None, f"The input shape of {changed} is dynamic, please ensure that "
                                                      "npu "
                                          "option[dynamic_input] is set")
        self._shapes[key] = shapes
        operations = _needed(wanted, fed)
        for operation in operations:
            _check(operation)
        graphs, host = partition(operations, self._options.get("mix_compile_mode", False))
        record("graph", on_card=graphs, on_host=host,
               fetches=sorted(each.name for each in wanted), feeds=shapes, anew=before is not None,
               types=sorted({operation.type for operation in operations}))


def _element(graph, each):
    return graph.as_graph_element(each, allow_tensor=True, allow_operation=True)


def _needed(wanted, fed):
    """The operations that a run carries out."""
    waiting = [each if isinstance(each, tf.Operation) else each.op for each in wanted if each not in fed]
    seen = set()
    while waiting:
        operation = waiting.pop()
        if operation not in seen:
            seen.add(operation)
            waiting += operation.control_inputs
            waiting += [tensor.op for tensor in operation.inputs if tensor not in fed]
    return seen


def _check(operation):
    if ON_HOST.match(operation.type) or _marked(operation):
        return
    for pattern, what in FORBIDDEN:
        if pattern.fullmatch(operation.type):
            raise NotForTheDevice(f"{operation.name} ({operation.type}): {what}")
    tensors = list(operation.inputs) + list(operation.outputs)
    for tensor in tensors:
        dtype = tensor.dtype.base_dtype
        if dtype == tf.string or dtype in NO_TYPES:
            raise NotForTheDevice(f"{operation.name} ({operation.type}): {tensor.name} of type {dtype.name}")
    if operation.type != "Placeholder":
        for tensor in operation.outputs:
            if tensor.dtype.base_dtype in CHECKED_SHAPES and not tensor.shape.is_fully_defined():
                raise NotForTheDevice(f"{operation.name} ({operation.type}): shape {tensor.shape} is not known")


def _marked(operation):
    try:
        return operation.get_attr("_without_npu_compile")
    except ValueError:
        return False
