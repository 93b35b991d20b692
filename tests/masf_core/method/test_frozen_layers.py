"""Frozen layers: no backward pass, no state of an optimiser, and one forward pass for both parts of an iteration."""
from __future__ import annotations

import numpy as np
import pytest

from masf_core.graph_check.limits import needed
from masf_core.method import meta_step
from masf_core.network.backbone import Backbone, make_backbone
from masf_core.network.kernels import processor_kernels
from masf_core.tf1 import tf
from tests.masf_core import toy
from tests.masf_core.method.test_iteration_of_resnet import CLASSES, SETTINGS, ShortResNet18


def test_frozen_layers_cost_no_backward_pass_and_one_forward_pass():
    """Counted in the operations that an iteration needs: of both passes, at θ and at θ'."""
    counts = []
    for frozen in ((), ("conv1", "layer1.*", "layer2.*")):
        with tf.Graph().as_default():
            graph = meta_step.build(ShortResNet18(CLASSES, width=0.05), toy.settings(**SETTINGS, frozen_layers=frozen))
            types = [op.type for op in needed([graph.train])]
        counts.append(tuple(types.count(each) for each in (
            "Conv2D", "Conv2DBackpropFilter", "Conv2DBackpropInput", "MaxPoolGrad", "ApplyAdam")))
    # 12 convolutions, 6 of them in layer3 and layer4; the inputs of the images, or of layer3's two first, need none.
    everything, upper = (2 * 12, 2 * 12, 2 * 11, 2, 2 * 38 + 2 * 4), (6 + 2 * 6, 2 * 6, 2 * 4, 0, 2 * 20 + 2 * 4)
    assert counts == [everything, upper]


@pytest.mark.parametrize("name, frozen, stages", [
    ("alexnet", ("conv1", "conv2"), 2), ("alexnet", ("conv?",), 4), ("alexnet", ("conv?", "fc6"), 5),
    ("alexnet", ("conv1", "conv4"), 1), ("alexnet", ("conv2",), 0), ("alexnet", (), 0),
    ("squeezenet", ("conv1", "fire[2-5]/*"), 5), ("squeezenet", ("conv1", "fire2/conv1*"), 1),
    ("resnet18", ("conv1", "layer1.*"), 3), ("resnet50", ("conv1", "layer1.0.conv?"), 1)])
def test_the_first_stages_that_are_frozen_are_found(name, frozen, stages):
    backbone = make_backbone(name, CLASSES, 0.05)
    assert backbone.frozen_stages(backbone.trained(frozen)) == stages


def test_one_pass_through_what_is_frozen_changes_no_number(monkeypatch):
    found = []
    for shared in (True, False):
        if not shared:
            monkeypatch.setattr(Backbone, "frozen_stages", lambda self, trained: 0)
        backbone = make_backbone("alexnet", CLASSES, 0.05, processor_kernels())
        with toy.model(backbone=backbone, **dict(
                SETTINGS, meta_batch_size=3, frozen_layers=("conv?",), group_pass="separate")) as model:
            graph, random = model.training, np.random.RandomState(4)
            found.append(model.session.run(dict(graph.gradients, losses=graph.scalars), {
                graph.images: random.randint(0, 256, graph.images.shape.as_list()).astype(np.uint8),
                graph.labels: random.randint(0, CLASSES, graph.labels.shape.as_list()), graph.dropout_seed: [3, 5]}))
    for group, values in found[0].items():
        for name, value in values.items():
            np.testing.assert_allclose(value, found[1][group][name], rtol=1e-4, atol=1e-6, err_msg=f"{group} {name}")
