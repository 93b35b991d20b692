"""How far the logits of a network are from those of itself, read from a file of each format.

  python -m tests.masf_core.network.formats.same_network    at full width; takes minutes, and 3 GB of memory
"""
from __future__ import annotations

import os
import sys
import tempfile
from typing import Callable, Dict, Iterator, NamedTuple

import numpy as np

from masf_core.export import formats
from masf_core.export.graph import fed
from masf_core.network import converted
from masf_core.network.backbone import Backbone, make_backbone
from masf_core.network.dropout import no_dropout
from masf_core.network.formats.content import CAFFE, KERAS, SAFETENSORS, TORCH
from masf_core.network.pretrained import read_weights
from masf_core.tf1 import tf
from tests.masf_core.network import torch_resnet
from tests.masf_core.network.formats import writers

CLASSES = 7
MEAN, DEVIATION = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])  # torchvision's
CHANNELS_FIRST = {
    ".caffemodel": (CAFFE, writers.caffemodel),
    ".caffemodel, old": (CAFFE, lambda arrays: writers.caffemodel(arrays, legacy=True)),
    ".pth": (TORCH, writers.torch_archive), ".pth, old": (TORCH, writers.torch_sequence),
    ".safetensors": (SAFETENSORS, writers.safetensors)}
CAFFES = {"alexnet": "AlexNet with Caffe's names", "squeezenet": "SqueezeNet v1.0 with Caffe's names"}


class Difference(NamedTuple):
    """logits: the largest difference, absolute. largest: logit of the network itself."""

    form: str
    logits: float
    largest: float


def differences(name: str, width: float, folder: str) -> Iterator[Difference]:
    """A ``Difference`` for each format that the network's files have, on two images."""
    backbone = make_backbone(name, CLASSES, width)
    values = torch_resnet.values(backbone.shapes())
    side = backbone.image_size
    images = np.random.RandomState(5).randint(0, 256, (2, side, side, 3)).astype(np.uint8)
    prepared = fed(backbone, images, "preprocessed")
    with tf.Graph().as_default(), tf.Session() as session:
        inputs = tf.placeholder(tf.float32, prepared.shape)
        weights = {key: tf.placeholder(tf.float32, value.shape) for key, value in values.items()}
        _, logits = backbone.forward(inputs, weights, no_dropout)

        def run(values: Dict[str, np.ndarray], fed_images: np.ndarray) -> np.ndarray:
            return session.run(logits, {inputs: fed_images, **{weights[key]: value for key, value in values.items()}})

        expected = run(values, prepared)
        for form, write in _writers(backbone, name, values).items():
            path, there = write(os.path.join(folder, "weights")), expected
            if form.startswith("torchvision"):  # this network of the file takes other images
                there = run(values, (images[..., ::-1] / 255.0 - MEAN) / DEVIATION)
            found = backbone.from_pretrained(read_weights(path).layers, path, with_classifier=True)
            yield Difference(form, float(np.abs(run(found, prepared) - there).max()), float(np.abs(there).max()))


def _writers(backbone: Backbone, name: str, values: Dict[str, np.ndarray]) -> Dict[str, Callable[[str], str]]:
    """Format → function that writes the network as a path's file, and returns what to read."""
    turned = writers.channels_first(values, {"fc6": 36} if name == "alexnet" else None)
    found = {}
    told = CAFFES.get(name, f"torchvision's {name}")
    for form, (kind, write) in CHANNELS_FIRST.items():
        if name in CAFFES or kind != CAFFE:
            found[form] = _to_file(write, writers.named(turned, told, kind))
    if name == "squeezenet":
        as_convolution = dict(turned, **{"conv_final/weights": turned["conv_final/weights"][:, :, None, None]})
        found["torchvision's .pth"] = _to_file(
            writers.torch_archive, writers.named(as_convolution, "torchvision's squeezenet1_0", TORCH))
    if name in CAFFES:
        found[".h5"] = lambda path: writers.keras_file(path, writers.named(values, told, KERAS)) or path

    def checkpoint(path: str) -> str:
        os.makedirs(path + ".ckpt")
        formats.write(formats.Export(backbone, values, {}, "raw"), "ckpt", path + ".ckpt")
        return os.path.join(path + ".ckpt", "model0.index")

    def npz(path: str) -> str:
        weights = read_weights(checkpoint(path + "-source"))
        converted.write_converted(path, converted.fit(weights, path, name, backbone.width).arrays, {})
        return path

    found.update({"TensorFlow checkpoint": checkpoint, "convert-weights": npz})
    return found


def _to_file(write: Callable[[Dict[str, np.ndarray]], bytes], arrays: Dict[str, np.ndarray]) -> Callable[[str], str]:
    def to_file(path: str) -> str:
        with open(path, "wb") as stream:
            stream.write(write(arrays))
        return path

    return to_file


def main() -> None:
    for name in sys.argv[1:] or ("alexnet", "squeezenet", "resnet18", "resnet50"):
        with tempfile.TemporaryDirectory() as folder:
            for found in differences(name, 1.0, folder):
                print(f"{name}, {found.form}: {found.logits:.1e} of logits up to {found.largest:.3g}", flush=True)


if __name__ == "__main__":
    main()
