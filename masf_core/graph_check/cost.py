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

Three kinds of operations are known to be slower than that, and are counted by how CANN computes them:

- A reverse of the last axis moves every element by itself in the scalar units of the cores (CANN's ``reverse_v2_d.py``,
  lines 138-139 and 603-634). For 378 images of 227×227×3 these are 51,529 blocks and 58.4 million moves, which were
  estimated at 25 ms (the peak rate here) to 50 ms.
- A dropout mask is drawn on AICPU, the device's ARM cores. MindSpore publishes that kernel
  (``drop_out_gen_mask_kernels.cc``): 128 numbers take about 70 vector instructions, so one core of 2 GHz (assumed)
  draws at most 3.7 billion numbers a second. Realistic is a quarter of that (assumed).
- The kernels of LRN and LRNGrad take NCHW only, so CANN transforms the layout of an input and of the output. Each of
  these transforms reads and writes the tensor.
"""
from __future__ import annotations

import collections
from typing import Any, Dict, Iterable, Mapping, NamedTuple

from masf_core.graph_check.limits import (
    MASKS, NORMALISATIONS, constant_operations, needed, reverses_last_axis, type_of,
)
from masf_core.tf1 import tf


class Device(NamedTuple):
    """Rates of a device, each in a second.

    products, others: floating-point operations. memory: bytes. scalar_moves: elements that the scalar units move one by
    one. drawn: random numbers that AICPU draws.
    """

    products: float
    others: float
    memory: float
    scalar_moves: float
    drawn: float


PEAK = Device(256e12, 4e12, 1.2e12, 58.4e6 / 25e-3, 3.7e9)  # the first is published in float16; the others are assumed
GOOD = Device(0.4 * PEAK.products, 0.7 * PEAK.others, 0.7 * PEAK.memory, 0.5 * PEAK.scalar_moves, 0.25 * PEAK.drawn)

# From benchmarks/host.py, at 378 images. Images are drawn while the device computes; the call of the session is not
# overlapped.
DRAWING = 12.4e-3 / 378  # seconds an image
CALL = 1.5e-3  # seconds an iteration

PRODUCTS = ("convolutions", "dense")
GROUPS = collections.OrderedDict([
    ("convolutions", ("Conv2D", "Conv2DBackpropInput", "Conv2DBackpropFilter")),
    ("dense", ("MatMul", "BatchMatMul", "BatchMatMulV2")),
    ("normalisation", NORMALISATIONS),
    ("pools", ("MaxPool", "MaxPoolGrad", "AvgPool", "AvgPoolGrad")),
    ("reductions", ("Sum", "Mean", "Max", "Min", "Any", "All", "L2Loss", "BiasAddGrad", "ArgMax")),
    ("random numbers", ("StatelessRandomUniform", "StatelessRandomUniformV2", "DropOutGenMask")),
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
    """Cost of a group of operations: their number, floating-point operations, bytes; the others as in ``Device``."""

    count: int
    flops: int
    bytes: int
    scalar_moves: int = 0
    drawn: int = 0

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
            group = group_of(type_of(op))
            cost = Cost(1, flops_of(op), bytes_of(op), scalar_moves_of(op), drawn_of(op))
            found[group] = Cost(*map(sum, zip(found[group], cost)))
    return collections.OrderedDict((group, cost) for group, cost in found.items() if cost.count)


def total(found: Mapping[str, Cost]) -> Cost:
    """The ``Cost`` of all groups."""
    return Cost(*map(sum, zip(*found.values()))) if found else Cost(0, 0, 0)


def seconds_of(group: str, cost: Cost, device: Device) -> float:
    """Seconds of a group: the longer of arithmetic and memory traffic, and the work in scalar units and on AICPU."""
    seconds = _seconds(group, cost, device)
    return max(seconds["arithmetic"], seconds["memory"]) + seconds["scalar units"] + seconds["AICPU"]


def bound_of(group: str, cost: Cost, device: Device) -> str:
    """What takes the longest in a group: ``memory``, ``arithmetic``, ``scalar units`` or ``AICPU``."""
    seconds = _seconds(group, cost, device)
    return max(seconds, key=seconds.get)


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
    """Bytes read and written, those of layout transforms included; a variable that is updated counts as both."""
    changed = sum(_bytes(tensor) for tensor in op.inputs if tensor.dtype._is_ref_dtype)
    if group_of(op.type) == "updates":
        return changed + sum(map(_bytes, op.inputs))
    transformed = [op.inputs[0], op.outputs[0]] if op.type in NORMALISATIONS else []
    return sum(map(_bytes, op.inputs)) + sum(map(_bytes, op.outputs)) + 2 * sum(map(_bytes, transformed))


def scalar_moves_of(op: tf.Operation) -> int:
    """Elements that the scalar units move one by one."""
    return _elements(op.outputs[0]) if reverses_last_axis(op) else 0


def drawn_of(op: tf.Operation) -> int:
    """Random numbers that AICPU draws: one for each bit of the adapter's mask, or each element of TensorFlow's."""
    if not MASKS.fullmatch(type_of(op)):
        return 0
    return (8 if op.outputs[0].dtype == tf.uint8 else 1) * _elements(op.outputs[0])


def _seconds(group: str, cost: Cost, device: Device) -> Dict[str, float]:
    return collections.OrderedDict([  # of equal ones the first counts as the bound
        ("memory", cost.bytes / device.memory),
        ("arithmetic", cost.flops / (device.products if group in PRODUCTS else device.others)),
        ("scalar units", cost.scalar_moves / device.scalar_moves),
        ("AICPU", cost.drawn / device.drawn)])


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
