"""The forward pass of a trained network for deployment: one input, two outputs, any number of images.

It has TensorFlow's own operations only (``kernels.Kernels``), which every device and every converter knows; the faster
operations of a processor are for training. Dimensions: N images, S image side, C classes.
"""
from __future__ import annotations

import collections
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Set, Tuple

import numpy as np

from masf_core.export.choices import INPUTS, PREPROCESSED, RAW
from masf_core.graph_check.limits import constant_operations
from masf_core.network.backbone import Backbone
from masf_core.network.dropout import no_dropout
from masf_core.tf1 import tf

# The names of the port's inference package, and one more for the probabilities.
INPUT, LOGITS, PROBABILITIES = "input", "out", "probabilities"


class InferenceGraph(NamedTuple):
    """The tensors that a caller feeds and fetches.

    images: placeholder; ``RAW``: uint8 [N, S, S, 3] RGB; ``PREPROCESSED``: float32 [N, S, S, 3] BGR minus the mean
    colour, divided by the deviation. logits, probabilities: float32 [N, C].
    """

    images: "tf.Tensor"
    logits: "tf.Tensor"
    probabilities: "tf.Tensor"

    def describe(self) -> Dict[str, Any]:
        """Names, types and shapes, as a JSON document; N is None."""
        return collections.OrderedDict(
            (field, collections.OrderedDict([
                ("name", tensor.op.name), ("tensor", tensor.name), ("dtype", tensor.dtype.base_dtype.name),
                ("shape", tensor.shape.as_list())]))
            for field, tensor in self._asdict().items())


def build(backbone: Backbone, weights: Mapping[str, Any], given: str) -> InferenceGraph:
    """The graph, in the default graph.

    Args:
        weights: variable name → tensor or variable, as ``backbone.shapes`` names them.
        given: what the caller feeds, ``RAW`` or ``PREPROCESSED``.
    """
    side = backbone.image_size
    if given == RAW:
        images = tf.placeholder(tf.uint8, [None, side, side, 3], name=INPUT)
        with tf.name_scope("preprocessing"):
            # Split and concatenated: a card reverses an axis element by element, and few converters know how.
            red_green_blue = tf.split(tf.cast(images, tf.float32), 3, axis=3)
            inputs = backbone.preprocess(tf.concat(red_green_blue[::-1], axis=3))
    elif given == PREPROCESSED:
        inputs = images = tf.placeholder(tf.float32, [None, side, side, 3], name=INPUT)
    else:
        raise ValueError(f"given must be one of {', '.join(INPUTS)}, got {given!r}")
    with tf.name_scope("network"):
        _, logits = backbone.forward(inputs, weights, no_dropout)
    return InferenceGraph(images, tf.identity(logits, name=LOGITS), tf.nn.softmax(logits, name=PROBABILITIES))


def fed(backbone: Backbone, images: np.ndarray, given: str) -> np.ndarray:
    """What a caller feeds for ``images``, uint8 [N, S, S, 3] BGR as the decode cache holds them."""
    if given == RAW:
        return np.ascontiguousarray(images[..., ::-1])
    return ((images.astype(np.float32) - np.asarray(backbone.mean_bgr, np.float32))
            / np.asarray(backbone.deviation_bgr, np.float32))


def preprocessing(backbone: Backbone, given: str) -> Dict[str, Any]:
    """What the caller has to do with an image file, step by step, as a JSON document."""
    side = backbone.image_size
    steps = ["decode the image to 8-bit RGB; put transparent parts on white; ignore the EXIF orientation",
             f"resize it to {side} x {side} pixels, whatever its shape: bilinear with antialiasing, as "
             f"Pillow's image.resize(({side}, {side}), Image.BILINEAR)"]
    scales = tuple(backbone.deviation_bgr) != (1.0, 1.0, 1.0)
    if given == PREPROCESSED:
        steps += ["reverse the channels to blue, green, red", "convert to float32 and subtract mean_bgr; "
                  + ("then divide by deviation_bgr" if scales else "do not scale")]
    prepared = "[0, 255] minus mean_bgr" + (", divided by deviation_bgr" if scales else "")
    return collections.OrderedDict([
        ("input", given), ("image_size", side), ("layout", "NHWC"), ("channels", "RGB" if given == RAW else "BGR"),
        ("range", [0, 255] if given == RAW else prepared),
        ("mean_bgr", list(backbone.mean_bgr)), ("deviation_bgr", list(backbone.deviation_bgr)),
        ("mean_subtracted_in_graph", given == RAW), ("caller", steps)])


def with_constants(backbone: Backbone, values: Mapping[str, np.ndarray], given: str,
                   ) -> Tuple["tf.GraphDef", InferenceGraph]:
    """A graph that holds the weights themselves, and its tensors. values: variable name → float32 array.

    Whatever does not depend on the images is computed here: the halves of grouped filters, and filters with their batch
    normalisation. So no program that loads the graph has to compute it for each image, whether it folds constants or
    not.
    """
    graph = tf.Graph()
    with graph.as_default():
        built = build(backbone, {name: tf.constant(values[name], name=name) for name in backbone.shapes()}, given)
    fixed = _fixed(graph)
    with processor_session(graph) as session:
        arrays = session.run(fixed)
    graph_def = tf.train.export_meta_graph(graph=graph).graph_def
    # What the new constants replace is deleted first: with both, a large network would pass protobuf's 2 GB.
    kept = _kept(graph)
    for index in reversed(range(len(graph_def.node))):
        if graph_def.node[index].name not in kept:
            del graph_def.node[index]
    with tf.Graph().as_default() as folded:
        constants = {tensor.name: tf.constant(array, name=_name_of(tensor)) for tensor, array in zip(fixed, arrays)}
        tf.import_graph_def(graph_def, constants, name="")
    return tf.train.export_meta_graph(graph=folded, strip_default_attrs=True).graph_def, built


def processor_session(graph: Optional["tf.Graph"] = None) -> "tf.Session":
    """A session that leaves GPUs to others. graph: the default graph if None."""
    return tf.Session(graph=graph, config=tf.ConfigProto(device_count={"GPU": 0}))


def _fixed(graph: "tf.Graph") -> List["tf.Tensor"]:
    """The tensors that are computed from constants alone and that operations on the images take."""
    constant = constant_operations(graph)
    taken = (tensor for op in graph.get_operations() if op not in constant for tensor in op.inputs)
    return list(collections.OrderedDict(
        (tensor.name, tensor) for tensor in taken if tensor.op in constant and tensor.op.type != "Const").values())


def _kept(graph: "tf.Graph") -> Set[str]:
    """Names of the operations on the images, and of the constants that these take as they are."""
    constant = constant_operations(graph)
    moving = [op for op in graph.get_operations() if op not in constant]
    return {op.name for op in moving} | {
        tensor.op.name for op in moving for tensor in op.inputs if tensor.op.type == "Const"}


def _name_of(tensor: "tf.Tensor") -> str:
    """The name of the constant in the place of a tensor; the operation's own name is taken."""
    return "folded/" + tensor.name.replace(":", "_")
