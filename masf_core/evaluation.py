"""Batched evaluation: the whole target domain and the sources' validation images, class by class.

Dimensions: E evaluation batch, S image side, C classes, N images of a set.
"""
from __future__ import annotations

from typing import Callable, Dict, List, NamedTuple, Optional

import numpy as np

from masf_core.method import losses
from masf_core.network.backbone import Backbone
from masf_core.network.dropout import no_dropout
from masf_core.ranks.one_rank import ONE_RANK, OneRank
from masf_core.tf1 import tf


# (rows int64 [n], predictions int32 [n], logits float32 [n, C])
OnImages = Callable[[np.ndarray, np.ndarray, np.ndarray], None]
# (rows int64 [n], labels int32 [n], predictions int32 [n], losses float32 [n])
OnLosses = Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray], None]


class EvaluationGraph(NamedTuple):
    """The forward pass at θ without dropout, for one padded batch."""

    images: "tf.Tensor"  # placeholder uint8 [E, S, S, 3] BGR
    labels: "tf.Tensor"  # placeholder int32 [E]
    features: "tf.Tensor"  # float32 [E, F], which the classifier sees; fetched by ``features_of`` alone
    logits: "tf.Tensor"  # float32 [E, C]
    losses: "tf.Tensor"  # float32 [E]
    predictions: "tf.Tensor"  # int32 [E]


class Evaluation(NamedTuple):
    """Result on one set of images."""

    loss: float  # mean cross-entropy
    accuracy: float  # per cent, over images
    confusion: np.ndarray  # int64 [C, C]: rows are true classes, columns predictions

    def per_class(self) -> np.ndarray:
        """Accuracy of each class, per cent; NaN where the set has no image of it. float64 [C]."""
        counts = self.confusion.sum(axis=1)
        with np.errstate(invalid="ignore", divide="ignore"):
            return 100.0 * np.diag(self.confusion) / counts


def build(backbone: Backbone, network: Dict[str, "tf.Variable"], batch: int) -> EvaluationGraph:
    """The evaluation graph over the variables ``network`` for batches of ``batch`` images."""
    side = backbone.image_size
    with tf.name_scope("evaluation"):
        images = tf.placeholder(tf.uint8, [batch, side, side, 3], name="images")
        labels = tf.placeholder(tf.int32, [batch], name="labels")
        features, logits = backbone.forward(backbone.preprocess(images), network, no_dropout)
        return EvaluationGraph(
            images=images, labels=labels, features=features, logits=logits, losses=losses.task_losses(logits, labels),
            predictions=tf.argmax(logits, axis=1, output_type=tf.int32))


def run_batch(session: "tf.Session", graph: EvaluationGraph, images: np.ndarray, labels: np.ndarray,
              with_logits: bool = False) -> List[np.ndarray]:
    """[losses float32 [E], predictions int32 [E]] of uint8 [E, S, S, 3] and int32 [E], and float32 logits [E, C] behind
    them if they are asked for."""
    return session.run([graph.losses, graph.predictions] + ([graph.logits] if with_logits else []),
                       {graph.images: images, graph.labels: labels})


def compile_early(session: "tf.Session", graph: EvaluationGraph) -> None:
    """Evaluate one batch of black images and drop the result, for a device that compiles what it runs first."""
    run_batch(session, graph, np.zeros(graph.images.shape.as_list(), np.uint8),
              np.zeros(graph.labels.shape.as_list(), np.int32))


def evaluate(session: "tf.Session", graph: EvaluationGraph, images: np.ndarray, labels: np.ndarray, rows: np.ndarray,
             num_classes: int, on_progress: Optional[Callable[[int, int], None]] = None,
             ranks: OneRank = ONE_RANK, on_images: Optional[OnImages] = None,
             on_losses: Optional[OnLosses] = None) -> Evaluation:
    """Loss, accuracy and confusion matrix on ``images[rows]``.

    The last batch is padded with copies of its first image, whose results are dropped: the graph only ever sees one
    shape, and every image counts once.

    Args:
        images: uint8 [n, S, S, 3] BGR, usually memory-mapped. labels: int32 [n]. rows: int64 [N] into both, N ≥ 1.
        on_progress: called with (images done, this rank's images); what it raises ends the evaluation.
        ranks: see ``ranks``; each evaluates its share of the rows, and the results are those of all.
        on_images: called for each batch with its rows, predictions and logits. Without it the logits stay on the
            device.
        on_losses: called for each batch with its rows, labels, predictions and losses, which are fetched anyway.
    """
    batch, side = graph.images.shape.as_list()[0], graph.images.shape.as_list()[1]
    buffer = np.empty((batch, side, side, 3), np.uint8)
    truth = np.zeros(batch, np.int32)
    confusion = np.zeros((num_classes, num_classes), np.int64)
    total, count = 0.0, len(rows)
    rows = rows[ranks.rank::ranks.size]
    for start in range(0, len(rows), batch):
        if on_progress:
            on_progress(start, len(rows))
        chunk = rows[start:start + batch]
        valid = len(chunk)
        padded = np.concatenate([chunk, np.full(batch - valid, chunk[0], chunk.dtype)])
        np.take(images, padded, axis=0, out=buffer)
        np.take(labels, padded, out=truth)
        values, predictions, *logits = run_batch(session, graph, buffer, truth, with_logits=on_images is not None)
        if on_images:
            on_images(chunk, predictions[:valid], logits[0][:valid])
        if on_losses:
            on_losses(chunk, truth[:valid], predictions[:valid], values[:valid])
        total += float(np.sum(values[:valid], dtype=np.float64))
        np.add.at(confusion, (truth[:valid], predictions[:valid]), 1)
    if on_progress:
        on_progress(len(rows), len(rows))
    parts = ranks.gather([total, confusion.tolist(), bool(ranks.stop.wanted())])
    ranks.stop.note(any(wanted for _, _, wanted in parts))
    total = sum(part for part, _, _ in parts)
    confusion = np.sum([part for _, part, _ in parts], axis=0, dtype=np.int64)
    return Evaluation(loss=total / count, accuracy=100.0 * float(np.trace(confusion)) / count, confusion=confusion)


def features_of(session: "tf.Session", graph: EvaluationGraph, images: np.ndarray, rows: np.ndarray,
                wanted: Callable[[], bool] = lambda: True) -> Optional[np.ndarray]:
    """The features of ``images[rows]``: float32 [N, F]. A device that compiles graphs compiles another one for it.

    Args:
        images: uint8 [n, S, S, 3] BGR. rows: int64 [N], N ≥ 1. wanted: asked before each batch; once it is false, the
            result is None.
    """
    batch, found = graph.images.shape.as_list()[0], []
    for start in range(0, len(rows), batch):
        if not wanted():
            return None
        chunk = rows[start:start + batch]
        padded = np.concatenate([chunk, np.full(batch - len(chunk), chunk[0], chunk.dtype)])
        features = session.run(graph.features, {graph.images: np.take(images, padded, axis=0)})
        found.append(np.asarray(features[:len(chunk)], np.float32))
    return np.concatenate(found)
