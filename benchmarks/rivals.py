"""Two common ways to feed the same files, for comparison: a tf.data pipeline, and PyTorch's DataLoader.

Both decode every image in every epoch, and prepare batches ahead. So a whole epoch is timed from its start, before
which they have nothing ready.

They do the least that training needs (decode, mirror, shuffle, batch): no resizing, as PACS has 227×227 already, and no
conversion to float. A second tf.data pipeline does all of that, as the reference does.
"""
from __future__ import annotations

from typing import Any, Sequence, Tuple

import numpy as np

PARALLEL_MAPS = 8
SHUFFLED = 1000  # images
WORKERS = 2
FLIP_PROBABILITY = 0.0625
SIDE = 227
MEAN_RGB = (123.68, 116.78, 103.94)


class TfData:
    """A ``tf.data`` pipeline; a context manager that holds its session.

    Args:
        paths, labels: of the files.
        batch: images.
        as_reference: whether it also does what the reference's loader does: resize (to the size that an image has),
            convert to float32, subtract the mean, swap to BGR. Otherwise the batches are uint8, as in this job.
    """

    def __init__(self, paths: Sequence[str], labels: Sequence[int], batch: int, as_reference: bool):
        from masf_core.tf1 import tf

        def read(path, label):
            image = tf.image.decode_png(tf.io.read_file(path), channels=3)  # the kernel tells JPEG from PNG itself
            if as_reference:
                image = tf.image.resize_images(image, [SIDE, SIDE])
                image = tf.reverse(image - tf.constant(MEAN_RGB), axis=[2])
            else:
                image.set_shape([SIDE, SIDE, 3])
            mirrored = tf.random.uniform([]) < FLIP_PROBABILITY
            return tf.cond(mirrored, lambda: tf.reverse(image, axis=[1]), lambda: image), label

        self._at_the_end = tf.errors.OutOfRangeError
        graph = tf.Graph()
        with graph.as_default():
            data = tf.data.Dataset.from_tensor_slices((np.array(paths), np.array(labels, np.int32)))
            data = data.map(read, num_parallel_calls=PARALLEL_MAPS).shuffle(SHUFFLED).batch(batch)
            iterator = tf.data.make_initializable_iterator(data)
            self._initialise, self._tensors = iterator.initializer, iterator.get_next()
        config = tf.ConfigProto()
        config.device_count["GPU"] = 0
        self._session = tf.Session(graph=graph, config=config)

    def __enter__(self) -> "TfData":
        return self

    def __exit__(self, *_: object) -> None:
        self._session.close()

    def epoch(self) -> None:
        """Takes all batches of an epoch."""
        self._session.run(self._initialise)
        try:
            while True:
                self._session.run(self._tensors)
        except self._at_the_end:
            pass


class ImageFiles:
    """A map-style data set for ``torch.utils.data``: decodes with Pillow, mirrors, returns uint8."""

    def __init__(self, paths: Sequence[str], labels: Sequence[int]):
        self._paths = paths
        self._labels = labels

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, row: int) -> Tuple[np.ndarray, int]:
        from PIL import Image

        with Image.open(self._paths[row]) as image:
            pixels = np.array(image.convert("RGB"))
        if np.random.random_sample() < FLIP_PROBABILITY:
            pixels = np.ascontiguousarray(pixels[:, ::-1])
        return pixels, self._labels[row]


def torch_loader(paths: Sequence[str], labels: Sequence[int], batch: int) -> Any:
    """A DataLoader with two persistent worker processes; None if PyTorch is not installed."""
    try:
        from torch.utils.data import DataLoader
    except ImportError:
        return None
    # Spawned: a forked process of a program with TensorFlow's threads may hang.
    return DataLoader(ImageFiles(paths, labels), batch_size=batch, shuffle=True, num_workers=WORKERS,
                      persistent_workers=True, multiprocessing_context="spawn")
