"""The files that tell how a run went: eva.txt, metrics.jsonl and TensorBoard events.

eva.txt and metrics.jsonl are written anew from the history at every interval, so a resumed run's files read as if it
had never stopped, whatever was lost between its last checkpoint and the crash.
"""
from __future__ import annotations

import numpy as np

from masf_core.records.files import replace_text
from masf_core.records.texts import eva_text, metrics_text
from masf_core.tf1 import tf

HISTOGRAM_BINS = 64


def write_eva(path, history):
    """One line an evaluation, in the reference's words."""
    replace_text(path, eva_text(history))


def write_metrics(path, history):
    """One JSON object a line, one line an interval."""
    replace_text(path, metrics_text(history))


class ScalarWriter:
    """TensorBoard scalars, written from outside the graph: the iteration itself carries no summary op."""

    def __init__(self, directory):
        # The writer takes no part in the graph; a graph argument would store the whole definition in the events.
        self._writer = tf.summary.FileWriter(directory)

    def write(self, iteration, scalars):
        """Append scalars (name → number, None is left out) at ``iteration``."""
        values = [tf.Summary.Value(tag=name, simple_value=value)
                  for name, value in scalars.items() if value is not None]
        self._writer.add_summary(tf.Summary(value=values), iteration)

    def write_histograms(self, iteration, arrays):
        """Append a histogram of each array (name → float32 array) at ``iteration``, under ``weights/``."""
        self._writer.add_summary(tf.Summary(value=[
            tf.Summary.Value(tag="weights/" + name, histo=histogram(array)) for name, array in arrays.items()]),
            iteration)

    def write_interval(self, record):
        """Append what an interval's record says."""
        scalars = {"target/accuracy": record["target_accuracy"], "target/loss": record["target_loss"],
                   "validation/mean_accuracy": record["validation_accuracy"],
                   "speed/seconds_per_iteration": record["seconds_per_iteration"]}
        for name, value in record["target_per_class"].items():
            scalars["target_class/" + name] = value
        for domain, result in record["validation"].items():
            scalars["validation/" + domain] = result["accuracy"]
        self.write(record["iteration"], scalars)
        self._writer.flush()

    def close(self):
        self._writer.close()


def histogram(array, bins=HISTOGRAM_BINS):
    """``tf.HistogramProto`` of an array's finite values, in ``bins`` of equal width."""
    values = np.asarray(array, np.float64).ravel()
    values = values[np.isfinite(values)]
    counts, edges = np.histogram(values, bins)
    return tf.HistogramProto(
        min=values.min() if len(values) else 0.0, max=values.max() if len(values) else 0.0, num=len(values),
        sum=values.sum(), sum_squares=np.square(values).sum(), bucket_limit=edges[1:], bucket=counts)
