"""What runs in 16 bits on a processor, and what does not: looked up in the graph that grappler made."""
from __future__ import annotations

import numpy as np
import pytest

from masf_core.devices.cpu import Cpu
from masf_core.model import Model
from masf_core.network.resnet import ResNet18
from masf_core.tf1 import tf
from tests.masf_core import toy

pytestmark = pytest.mark.usefixtures("bfloat16")

# Names of operations that are the method's arithmetic, not the network's.
EXACT = ("inner_step/", "Softmax", "softmax", "Log", "Square", "Sum", "clip_by", "Adam", "adam", "ScalarMul")


def narrowed(narrow, network_class=toy.TinyBackbone):
    """Names and types of the operations that compute in bfloat16, in an iteration of a small network.

    narrow: what the kernels are told.
    """
    here = Cpu("mixed", 1, 1)
    kernels = here.kernels()
    kernels.narrow = narrow
    backbone = network_class(toy.CLASSES, kernels=kernels)
    with Model(backbone, toy.settings(margin=1.0), 8, here.session_config(), 5) as model:
        model.initialise()
        graph, metadata = model.training, tf.RunMetadata()
        episode, shape = toy.sampler().draw(0), graph.images.shape.as_list()
        model.session.run(
            [graph.scalars, graph.train],
            {graph.images: np.resize(episode.images, shape), graph.labels: episode.labels, graph.dropout_seed: [0, 0]},
            options=tf.RunOptions(output_partition_graphs=True), run_metadata=metadata)
    return {node.name: node.op for part in metadata.partition_graphs for node in part.node
            if node.attr["T"].type == tf.bfloat16.as_datatype_enum and node.op != "Cast"}


def test_products_run_in_16_bits_and_the_inner_step_losses_and_updates_do_not():
    found = narrowed(True)
    assert sum("MatMul" in op for op in found.values()) > 10
    assert [name for name in found if any(word in name for word in EXACT)] == []


class TwoBlocks(ResNet18):
    """The first block and the last, at tiny width."""

    image_size = 32
    blocks = (1, 0, 0, 1)

    def __init__(self, num_classes, kernels):
        super().__init__(num_classes, 0.1, kernels)


def test_a_resnet_convolves_in_16_bits_with_filters_that_were_normalised_in_32():
    found = narrowed(True, TwoBlocks)
    # Six convolutions at θ and at θ'; each has a gradient of its filters, and all but the first one of their inputs.
    assert sum("Conv2D" in op for op in found.values()) >= 2 * (6 + 6 + 5)
    of_filters = ("Rsqrt", "Mul", "Sub", "Sum")  # not AddV2, which also adds the shortcut of a block to its branch
    assert [name for name, op in found.items() if op in of_filters and "Mean_grad" not in name] == []


def test_without_fences_the_inner_step_would_be_narrowed():
    assert [name for name in narrowed(False) if name.startswith("inner_step/")]
