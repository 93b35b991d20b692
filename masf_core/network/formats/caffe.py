"""Reading a `.caffemodel`: Caffe's NetParameter, a protobuf message, with layers of either generation.

    NetParameter      name = 1, layers = 2 (old), input = 3, input_dim = 4, input_shape = 8, layer = 100
    LayerParameter    name = 1, type = 2 (text), blobs = 7
    V1LayerParameter  layer = 1 (older still), name = 4, type = 5 (number), blobs = 6
    BlobProto         num, channels, height, width = 1–4 (old), data = 5, diff = 6, shape = 7, double_data = 8
    BlobShape         dim = 1
"""
from __future__ import annotations

from typing import Any, Dict, List, NamedTuple, Tuple

import numpy as np

from masf_core.network.budget import Budget
from masf_core.network.formats import wire
from masf_core.network.formats.content import CAFFE, Content, Stored, elements, is_shape
from masf_core.network.plain_arrays import Unfit
from masf_core.words import shown

FIRST_BYTES = (b"\x0a", b"\x12", b"\x1a", b"\xa2\x06")  # of fields 1, 2, 3 and 100
_PARTS = (".weight", ".bias")  # what the first two blobs of a layer are
_INNER_PRODUCT = ("InnerProduct", 14)


class _Numbers(NamedTuple):
    """The numbers of the fields of a layer."""

    name: int
    type: int
    blobs: int


_LAYERS = {100: _Numbers(1, 2, 7), 2: _Numbers(4, 5, 6)}


def read(data: memoryview, budget: Budget) -> Content:
    """The arrays ``<layer>.weight`` and ``<layer>.bias`` of a model; further blobs are ``<layer>.2`` and so on.

    Raises Unfit, OverBudget.
    """
    arrays: Dict[str, Stored] = {}
    layers: List[str] = []
    for number, way, value in wire.fields(data, budget):
        if number not in _LAYERS or way != wire.BYTES:
            continue
        name, blobs = _layer(value, number, budget)
        if blobs and name in layers:
            raise Unfit(f"it has the layer {shown(name)} twice")
        layers.append(name)
        for index, blob in enumerate(blobs):
            arrays[name + (_PARTS[index] if index < len(_PARTS) else f".{index}")] = blob
    if not arrays:
        raise Unfit("it has no layers with weights; a Caffe model has, its .prototxt does not")
    return Content(CAFFE, arrays, layers)


def _layer(message: memoryview, generation: int, budget: Budget) -> Tuple[str, List[Stored]]:
    """(name, blobs) of a layer."""
    numbers = _LAYERS[generation]
    name, kind, blobs = "", None, []
    for number, way, value in wire.fields(message, budget):
        if number == numbers.name:
            name = wire.text(value)
        elif number == numbers.type:
            kind = wire.text(value) if way == wire.BYTES else value
        elif number == numbers.blobs and way == wire.BYTES:
            blobs.append(value)
        elif generation == 2 and number == 1 and way == wire.BYTES:
            raise Unfit("its layers are of Caffe's first generation (V0); Caffe's upgrade_net_proto_binary converts it")
    return name, [_blob(name, blob, kind, index, budget) for index, blob in enumerate(blobs)]


def _blob(layer: str, message: memoryview, kind: Any, index: int, budget: Budget) -> Stored:
    legacy: Dict[int, int] = {}
    shape = None
    pieces: List[Tuple[str, memoryview]] = []
    for number, way, value in wire.fields(message, budget):
        if number == 7 and way == wire.BYTES:
            shape = _dims(value, budget)
        elif number in (1, 2, 3, 4) and way == wire.VARINT:
            legacy[number] = value
        elif number in (5, 8):
            if way != wire.BYTES:
                raise Unfit(f"the numbers of layer {shown(layer)} are not packed, as Caffe writes them")
            pieces.append(("<f4" if number == 5 else "<f8", value))
    if len(pieces) != 1:
        raise Unfit(f"layer {shown(layer)} has {len(pieces)} lists of numbers where one is expected")
    (code, content), dtype = pieces[0], np.dtype(pieces[0][0])
    if shape is None:
        shape = tuple(legacy.get(number, 1) for number in (1, 2, 3, 4))
        if index == 1:  # biases, which were 1×1×1×n
            shape = shape[3:] if shape[:3] == (1, 1, 1) else shape
        elif kind in _INNER_PRODUCT and shape[:2] == (1, 1):
            shape = shape[2:]
    if not is_shape(shape) or elements(shape) * dtype.itemsize != len(content):
        raise Unfit(f"layer {shown(layer)} has an array of shape {shown(shape)} in {len(content):,} bytes")
    return Stored(shape, "float32" if code == "<f4" else "float64",
                  lambda: np.frombuffer(content, dtype).reshape(shape))


def _dims(message: memoryview, budget: Budget) -> Tuple[int, ...]:
    dims: List[int] = []
    for number, way, value in wire.fields(message, budget):
        if number == 1:
            dims.extend(wire.varints(value, budget) if way == wire.BYTES else [value])
    return tuple(dims)
