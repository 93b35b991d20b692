"""The files that tell how a run went: eva.txt, metrics.jsonl and TensorBoard events.

eva.txt and metrics.jsonl are written again from the whole history at every interval. So the files of a resumed run are
those of a run that never stopped, whatever was lost between the last checkpoint and the crash.
"""
from __future__ import annotations

from typing import Any, Mapping, Optional, Sequence

import numpy as np

from masf_core.records.files import replace_text
from masf_core.records.scalars import interval_scalars
from masf_core.records.texts import eva_text, metrics_text
from masf_core.tf1 import tf

HISTOGRAM_BINS = 64


def write_eva(path: str, history: Sequence[Mapping[str, Any]]) -> None:
    """Write eva.txt: one line for each record, in the reference's words. Raises OSError."""
    replace_text(path, eva_text(history))


def write_metrics(path: str, history: Sequence[Mapping[str, Any]]) -> None:
    """Write metrics.jsonl: one line for each record, a JSON object. Raises OSError."""
    replace_text(path, metrics_text(history))


class ScalarWriter:
    """TensorBoard scalars, written from outside the graph: the iteration itself carries no summary op."""

    def __init__(self, directory: str) -> None:
        # Without a graph argument, which would store the whole definition of the graph in the events.
        self._writer = tf.summary.FileWriter(directory)

    def write(self, iteration: int, scalars: Mapping[str, Optional[float]]) -> None:
        """Append scalars (name → number; None is left out) at ``iteration``."""
        values = [tf.Summary.Value(tag=name, simple_value=value)
                  for name, value in scalars.items() if value is not None]
        self._writer.add_summary(tf.Summary(value=values), iteration)

    def write_histograms(self, iteration: int, arrays: Mapping[str, np.ndarray]) -> None:
        """Append a histogram of each array (name → float32 array) at ``iteration``, under ``weights/``."""
        self._writer.add_summary(tf.Summary(value=[
            tf.Summary.Value(tag="weights/" + name, histo=histogram(array)) for name, array in arrays.items()]),
            iteration)

    def write_interval(self, record: Mapping[str, Any]) -> None:
        """Append the accuracies, the loss and the speed of an interval's record."""
        self.write(record["iteration"], interval_scalars(record))
        self._writer.flush()

    def close(self) -> None:
        """Flush the events and close their file."""
        self._writer.close()


def histogram(array: np.ndarray, bins: int = HISTOGRAM_BINS) -> "tf.HistogramProto":
    """Histogram of the finite values of an array of any shape, in ``bins`` bins of equal width."""
    values = np.asarray(array, np.float64).ravel()
    values = values[np.isfinite(values)]
    counts, edges = np.histogram(values, bins)
    return tf.HistogramProto(
        min=values.min() if len(values) else 0.0, max=values.max() if len(values) else 0.0, num=len(values),
        sum=values.sum(), sum_squares=np.square(values).sum(), bucket_limit=edges[1:], bucket=counts)
