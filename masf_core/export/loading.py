"""Runs an export with the loader that a stranger would take, who has the folder and nothing of this project."""
from __future__ import annotations

import os
from typing import Any, List, Tuple

import numpy as np

from masf_core.export.choices import CKPT, ONNX, PB, SAVED_MODEL
from masf_core.export.formats import GRAPH_FILE, ONNX_FILE, SIGNATURE
from masf_core.export.graph import INPUT, LOGITS, PROBABILITIES, processor_session
from masf_core.tf1 import VERSION, tf

Results = Tuple[np.ndarray, np.ndarray]  # logits, probabilities: float32 [N, C]


def run(kind: str, folder: str, images: np.ndarray) -> Results:
    """Logits and probabilities. kind: see ``choices``. images: as the export takes them (``graph.fed``)."""
    return {PB: _run_frozen, SAVED_MODEL: _run_saved_model, CKPT: _run_checkpoint, ONNX: _run_onnx}[kind](
        folder, images)


def loader(kind: str) -> str:
    """The program that ``run`` uses, with its version."""
    if kind != ONNX:
        return f"TensorFlow {VERSION}"
    import onnxruntime

    return f"ONNX Runtime {onnxruntime.__version__}"


def _run_frozen(folder: str, images: np.ndarray) -> Results:
    graph_def = tf.GraphDef()
    with open(os.path.join(folder, GRAPH_FILE), "rb") as stream:
        graph_def.ParseFromString(stream.read())
    with tf.Graph().as_default(), processor_session() as session:
        tf.import_graph_def(graph_def, name="")
        return _fetch(session, images, [LOGITS, PROBABILITIES])


def _run_saved_model(folder: str, images: np.ndarray) -> Results:
    with tf.Graph().as_default(), processor_session() as session:
        found = tf.saved_model.loader.load(session, [tf.saved_model.tag_constants.SERVING], folder)
        signature = found.signature_def[SIGNATURE]
        outputs = [signature.outputs[name].name for name in ("logits", "probabilities")]
        return tuple(session.run(outputs, {signature.inputs["images"].name: images}))


def _run_checkpoint(folder: str, images: np.ndarray) -> Results:
    with tf.Graph().as_default(), processor_session() as session:
        prefix = tf.train.latest_checkpoint(folder)
        tf.train.import_meta_graph(prefix + ".meta").restore(session, prefix)
        return _fetch(session, images, [LOGITS, PROBABILITIES])


def _run_onnx(folder: str, images: np.ndarray) -> Results:
    import onnxruntime

    session = onnxruntime.InferenceSession(os.path.join(folder, ONNX_FILE), providers=["CPUExecutionProvider"])
    return tuple(session.run([LOGITS, PROBABILITIES], {INPUT: images}))


def _fetch(session: "tf.Session", images: np.ndarray, names: List[str]) -> Any:
    return tuple(session.run([name + ":0" for name in names], {INPUT + ":0": images}))
