"""The arithmetic and memory traffic of an iteration, counted from the shapes in its graph, and the time they predict.

Products (convolutions, dense layers) are counted exactly: two operations for each term of each sum. All other
operations are counted by convention, one operation an element (``PER_ELEMENT`` lists those that take more). Bytes are
those of every operation's inputs and outputs, in the types of the graph, as if nothing were fused and nothing cached:
more than a device moves.

The prediction is a roofline: it adds up, over the groups, the longer of arithmetic and traffic. It was not measured on
a card. Peak rates of an Ascend 910:

    256 TFLOP/s  float16 products in 32 cores                       Huawei at Hot Chips 31 (2019), and on its launch
      4 TFLOP/s  float32 anything else: 2048 bits a cycle and core  the same talk; 1 GHz follows from the 256
    1.2 TB/s     memory, 4 stacks of HBM2, 32 GB                    as commonly given; Huawei's own figure was not found

``GOOD`` is what sound kernels reach of these: 40 % of the products' rate, 70 % of the others'.
"""
from __future__ import annotations

import collections
from typing import Any, Dict, Iterable, Mapping, NamedTuple

from masf_core.graph_check.limits import constant_operations, needed, type_of
from masf_core.tf1 import tf


class Device(NamedTuple):
    """Rates of a device: operations a second in products and in others, bytes a second."""

    products: float
    others: float
    memory: float


PEAK = Device(256e12, 4e12, 1.2e12)  # the first is published in float16; the others are assumed
GOOD = Device(0.4 * PEAK.products, 0.7 * PEAK.others, 0.7 * PEAK.memory)

# From benchmarks/host.py, at 378 images. Images are drawn while the device computes; the call of the session is not
# overlapped.
DRAWING = 12.4e-3 / 378  # seconds an image
CALL = 1.5e-3  # seconds an iteration

PRODUCTS = ("convolutions", "dense")
GROUPS = collections.OrderedDict([
    ("convolutions", ("Conv2D", "Conv2DBackpropInput", "Conv2DBackpropFilter")),
    ("dense", ("MatMul", "BatchMatMul", "BatchMatMulV2")),
    ("normalisation", ("LRN", "LRNGrad")),
    ("pools", ("MaxPool", "MaxPoolGrad", "AvgPool", "AvgPoolGrad")),
    ("reductions", ("Sum", "Mean", "Max", "Min", "Any", "All", "L2Loss", "BiasAddGrad", "ArgMax")),
    ("random numbers", ("StatelessRandomUniform", "StatelessRandomUniformV2")),
    ("moving data", ("ConcatV2", "Split", "Slice", "StridedSlice", "StridedSliceGrad", "Pad", "Transpose", "ReverseV2",
                     "Tile", "Pack", "Unpack", "Cast", "Fill", "GatherV2", "MatrixDiag", "MatrixDiagV3")),
    ("collectives", ("HcomAllReduce", "HcomBroadcast")),
    ("updates", ("ApplyAdam", "Assign", "AssignAdd", "AssignSub")),
    ("elementwise", ()),  # all other types
])
# Types without arithmetic that move nothing.
FREE = frozenset((
    "Const", "VariableV2", "Placeholder", "Identity", "StopGradient", "PreventGradient", "Reshape", "Squeeze",
    "ExpandDims", "Shape", "ShapeN", "NoOp"))
PER_ELEMENT = {"ApplyAdam": 12, "Softmax": 5, "SparseSoftmaxCrossEntropyWithLogits": 6, "L2Loss": 2}


class Cost(NamedTuple):
    """Cost of a group of operations: their number, floating-point operations, bytes."""

    count: int
    flops: int
    bytes: int

    @property
    def intensity(self) -> float:
        """Operations a byte."""
        return self.flops / self.bytes if self.bytes else 0.0


def costs(graph: tf.Graph, fetches: Iterable[Any]) -> Dict[str, Cost]:
    """Group → ``Cost`` of what must run for these fetches, without empty groups."""
    constant = constant_operations(graph)
    found = collections.OrderedDict((group, Cost(0, 0, 0)) for group in GROUPS)
    for op in sorted(needed(fetches), key=lambda op: op.name):
        if op.type not in FREE and op not in constant:
            group, before = group_of(type_of(op)), found[group_of(type_of(op))]
            found[group] = Cost(before.count + 1, before.flops + flops_of(op), before.bytes + bytes_of(op))
    return collections.OrderedDict((group, cost) for group, cost in found.items() if cost.count)


def total(found: Mapping[str, Cost]) -> Cost:
    """The ``Cost`` of all groups."""
    return Cost(*map(sum, zip(*found.values()))) if found else Cost(0, 0, 0)


def seconds_of(group: str, cost: Cost, device: Device) -> float:
    """Seconds of a group: the longer of arithmetic and memory traffic."""
    rate = device.products if group in PRODUCTS else device.others
    return max(cost.flops / rate, cost.bytes / device.memory)


def predict(found: Mapping[str, Cost], device: Device, images: int) -> float:
    """Seconds of an iteration on ``images`` images: device and call, or drawing the images if that takes longer."""
    computing = sum(seconds_of(group, cost, device) for group, cost in found.items())
    return max(computing + CALL, DRAWING * images)


def group_of(op_type: str) -> str:
    """The entry of ``GROUPS`` that a type of operations belongs to."""
    return next((group for group, types in GROUPS.items() if op_type in types), "elementwise")


def flops_of(op: tf.Operation) -> int:
    """Floating-point operations: exact for products, by convention for others, 0 for what only moves data."""
    group, inputs, outputs = group_of(type_of(op)), list(map(_elements, op.inputs)), list(map(_elements, op.outputs))
    if op.type == "Conv2D":
        return 2 * outputs[0] * _terms(op.inputs[1])
    if op.type == "Conv2DBackpropInput":  # sizes, filters, ∂y
        return 2 * inputs[2] * _terms(op.inputs[1])
    if op.type == "Conv2DBackpropFilter":  # x, sizes, ∂y
        return 2 * inputs[2] * _terms(op.outputs[0])
    if op.type == "MatMul":
        return 2 * outputs[0] * op.inputs[0].shape.as_list()[0 if op.get_attr("transpose_a") else 1]
    if group == "dense":
        return 2 * outputs[0] * op.inputs[0].shape.as_list()[-2 if op.get_attr("adj_x") else -1]
    if group in ("moving data", "random numbers", "collectives"):
        return 0
    if group == "normalisation":  # a sum of squares, a power and a product; its gradient has one sum more
        window = 2 * op.get_attr("depth_radius") + 1
        return outputs[0] * (2 * window + 3 if op.type == "LRN" else 4 * window + 8)
    if group == "pools":
        return _product(op.get_attr("ksize")) * min(inputs + outputs)
    if group == "reductions":
        return PER_ELEMENT.get(op.type, 1) * inputs[0]
    if group == "updates":
        return PER_ELEMENT.get(op.type, 0) * inputs[0]
    if op.type == "AddN":
        return (len(inputs) - 1) * outputs[0]
    return PER_ELEMENT.get(op.type, 1) * max(outputs, default=0)


def bytes_of(op: tf.Operation) -> int:
    """Bytes read and written; a variable that is updated counts as both."""
    changed = sum(_bytes(tensor) for tensor in op.inputs if tensor.dtype._is_ref_dtype)
    if group_of(op.type) == "updates":
        return changed + sum(map(_bytes, op.inputs))
    return sum(map(_bytes, op.inputs)) + sum(map(_bytes, op.outputs))


def _terms(filters: tf.Tensor) -> int:
    """Terms in the sum that gives one output of a convolution."""
    return _product(filters.shape.as_list()[:-1])


def _elements(tensor: tf.Tensor) -> int:
    """0 where the shape is not known."""
    return tensor.shape.num_elements() or 0


def _bytes(tensor: tf.Tensor) -> int:
    return _elements(tensor) * tensor.dtype.base_dtype.size


def _product(sides: Iterable[int]) -> int:
    result = 1
    for side in sides:
        result *= side
    return result
