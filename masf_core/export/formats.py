"""Writes the inference graph of a trained network in a format that other programs load.

Attributes that have their default value are left out of every graph: an older TensorFlow refuses a graph whose
operations have an attribute that it does not know, also if it only says the default.
"""
from __future__ import annotations

import collections
import os
import re
from typing import Any, Dict, List, Mapping, NamedTuple, Tuple

import numpy as np

from masf_core.errors import ExportError
from masf_core.export.choices import CKPT, ONNX, PB, SAVED_MODEL
from masf_core.export.graph import InferenceGraph, build, processor_session, with_constants
from masf_core.export.names import reference_name, reference_values
from masf_core.network.backbone import Backbone
from masf_core.records.files import sync
from masf_core.tf1 import native_stderr_held_back, tf

LARGEST_GRAPH = 2_000_000_000  # bytes; protobuf writes no larger message
OPSET = 13  # atc takes 11 to 15
GRAPH_FILE, ONNX_FILE = "model.pb", "model.onnx"
SIGNATURE = "serving_default"


class Export(NamedTuple):
    """A network to write.

    values: variable name → float32 array, of every variable of ``backbone``. metric: the same of the metric network,
    empty where it is not known; only checkpoints hold it. given: see ``graph.build``. iteration: of the training, 0
    where it is not known.
    """

    backbone: Backbone
    values: Mapping[str, np.ndarray]
    metric: Mapping[str, np.ndarray]
    given: str
    iteration: int = 0


def write(export: Export, kind: str, folder: str) -> Dict[str, Any]:
    """Write the files of the format ``kind`` into the empty directory ``folder``.

    Returns:
        ``InferenceGraph.describe`` of what was written.

    Raises:
        ExportError: the converter does not work. OSError: the local disk.
    """
    writer = {PB: _write_frozen, SAVED_MODEL: _write_saved_model, CKPT: _write_checkpoint, ONNX: _write_onnx}[kind]
    with native_stderr_held_back():  # remarks of TensorFlow about devices, and of tf2onnx about its progress
        try:
            return writer(export, folder)
        except (OSError, tf.errors.OpError) as error:  # TensorFlow's own writers have no other error for a disk
            failed = error  # raised below: an error of the disk says enough without those remarks
    raise failed if isinstance(failed, OSError) else _disk_error(failed)


def _disk_error(error: "tf.errors.OpError") -> OSError:
    """TensorFlow writes "/path/file; No space left on device", with its call stack around it."""
    cause = re.search(r"; (\w[\w -]*)$", error.message, re.MULTILINE)
    return OSError(cause.group(1) if cause else error.message)


def _write_frozen(export: Export, folder: str) -> Dict[str, Any]:
    graph_def, graph = frozen(export)
    _write_bytes(os.path.join(folder, GRAPH_FILE), graph_def.SerializeToString(deterministic=True))
    return graph.describe()


def frozen(export: Export) -> Tuple[Any, InferenceGraph]:
    """(``tf.GraphDef`` with the weights in it, its tensors). Raises ExportError if the weights are too large for it."""
    size = sum(export.values[name].nbytes for name in export.backbone.shapes())
    if size > LARGEST_GRAPH:
        raise ExportError(f"the weights have {size / 1e9:.1f} GB, and a frozen graph or an ONNX model holds 2 GB."
                          f" Export a {SAVED_MODEL} or a {CKPT}")
    return with_constants(export.backbone, export.values, export.given)


def _write_saved_model(export: Export, folder: str) -> Dict[str, Any]:
    with tf.Graph().as_default(), processor_session() as session:
        built, _ = _filled(export, session, {})
        signature = tf.saved_model.signature_def_utils.predict_signature_def(
            {"images": built.images}, {"probabilities": built.probabilities, "logits": built.logits})
        files = os.path.join(folder, "new")  # the builder wants to make its directory
        builder = tf.saved_model.builder.SavedModelBuilder(files)
        builder.add_meta_graph_and_variables(session, [tf.saved_model.tag_constants.SERVING],
                                             {SIGNATURE: signature}, strip_default_attrs=True)
        builder.save()
        for name in os.listdir(files):
            os.rename(os.path.join(files, name), os.path.join(folder, name))
        os.rmdir(files)
        return dict(built.describe(), signature=SIGNATURE)


def _write_checkpoint(export: Export, folder: str) -> Dict[str, Any]:
    with tf.Graph().as_default(), processor_session() as session:
        built, variables = _filled(export, session, export.metric)
        saver = tf.train.Saver(variables)
        # With the relative name in the file `checkpoint`, the folder can be moved.
        saver.save(session, os.path.join(folder, prefix(export)), latest_filename="checkpoint",
                   strip_default_attrs=True)
        tf.train.update_checkpoint_state(folder, prefix(export))
        return dict(built.describe(), prefix=prefix(export),
                    variables={variable.op.name: variable.shape.as_list() for variable in variables})


def prefix(export: Export) -> str:
    """The name of a checkpoint, such as ``model300``: the reference reads the iteration from it."""
    return f"model{export.iteration}"


def _write_onnx(export: Export, folder: str) -> Dict[str, Any]:
    try:
        from tf2onnx import optimizer, tf_loader
        from tf2onnx.tfonnx import process_tf_graph
    except Exception as error:  # also the AttributeError of a tf2onnx beside a NumPy that is too new for it
        raise ExportError(f"tf2onnx cannot be imported ({type(error).__name__}: {error}). Install versions that fit "
                          "each other, or export another format") from error
    graph_def, graph = frozen(export)
    inputs, outputs = [graph.images.name], [graph.logits.name, graph.probabilities.name]
    folded = tf_loader.tf_optimize(inputs, outputs, graph_def)
    with tf.Graph().as_default() as imported:
        tf.import_graph_def(folded, name="")
        with processor_session(imported):
            converted = process_tf_graph(imported, opset=OPSET, input_names=inputs, output_names=outputs)
    model = optimizer.optimize_graph(converted).make_model("masf")
    # tf2onnx calls tensors input:0; atc and the port's package know them without the number.
    renamed = {tensor: tensor.partition(":")[0] for tensor in inputs + outputs}
    _rename(model.graph, renamed)
    _write_bytes(os.path.join(folder, ONNX_FILE), model.SerializeToString(deterministic=True))
    told = graph.describe()
    for each in told.values():
        each["tensor"] = each["name"]
    return dict(told, opset=OPSET)


def _rename(graph: Any, names: Mapping[str, str]) -> None:
    """Give tensors of an ONNX graph other names."""
    for node in graph.node:
        for tensors in (node.input, node.output):
            tensors[:] = [names.get(tensor, tensor) for tensor in tensors]
    for value in list(graph.input) + list(graph.output) + list(graph.value_info):
        value.name = names.get(value.name, value.name)


def _filled(export: Export, session: "tf.Session", metric: Mapping[str, np.ndarray]
            ) -> Tuple[InferenceGraph, List["tf.Variable"]]:
    """The graph over variables of the reference's names, in the default graph, with their values."""
    values = reference_values({name: export.values[name] for name in export.backbone.shapes()}, metric)
    variables, fill, feed = collections.OrderedDict(), [], {}
    for name, value in values.items():
        initial = tf.placeholder(tf.float32, value.shape)
        # Reference variables: TensorFlow 1.15 refuses the resource variables that TensorFlow 2 writes.
        variables[name] = tf.Variable(initial, name=name, use_resource=False)
        fill.append(variables[name].initializer)
        feed[initial] = value
    weights = {name: variables[reference_name(name)] for name in export.backbone.shapes()}
    built = build(export.backbone, weights, export.given)
    session.run(fill, feed)
    return built, list(variables.values())


def _write_bytes(path: str, content: bytes) -> None:
    with open(path, "wb") as stream:
        stream.write(content)
        sync(stream)
