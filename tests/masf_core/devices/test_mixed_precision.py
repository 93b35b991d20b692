"""What runs in 16 bits on a processor, and what does not: looked up in the graph that grappler made."""
from __future__ import annotations

import pytest

from masf_core.devices.cpu import Cpu
from masf_core.model import Model
from masf_core.tf1 import tf
from tests.masf_core import toy

pytestmark = pytest.mark.usefixtures("bfloat16")

# Names of operations that are the method's arithmetic, not the network's.
EXACT = ("inner_step/", "Softmax", "softmax", "Log", "Square", "Sum", "clip_by", "Adam", "adam", "ScalarMul")


def narrowed(narrow):
    """Names of the operations that compute in bfloat16, in an iteration of the toy; narrow: what the kernels are told.
    """
    here = Cpu("mixed", 1, 1)
    kernels = here.kernels()
    kernels.narrow = narrow
    backbone = toy.TinyBackbone(toy.CLASSES, kernels=kernels)
    with Model(backbone, toy.settings(margin=1.0), 8, here.session_config(), 5) as model:
        model.initialise()
        episode, graph, metadata = toy.sampler().draw(0), model.training, tf.RunMetadata()
        model.session.run(
            [graph.scalars, graph.train],
            {graph.images: episode.images, graph.labels: episode.labels, graph.dropout_seed: [0, 0]},
            options=tf.RunOptions(output_partition_graphs=True), run_metadata=metadata)
    return {node.name: node.op for part in metadata.partition_graphs for node in part.node
            if node.attr["T"].type == tf.bfloat16.as_datatype_enum and node.op != "Cast"}


def test_products_run_in_16_bits_and_the_inner_step_losses_and_updates_do_not():
    found = narrowed(True)
    assert sum("MatMul" in op for op in found.values()) > 10
    assert [name for name in found if any(word in name for word in EXACT)] == []


def test_without_fences_the_inner_step_would_be_narrowed():
    assert [name for name in narrowed(False) if name.startswith("inner_step/")]
