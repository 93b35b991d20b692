"""The method's graphs through the stand-in of the Ascend adapter: each takes what the device has, and computes the
same as on a processor."""
from __future__ import annotations

import numpy as np
import pytest

from masf_core.devices.ascend.kernels import AscendKernels
from masf_core.devices.choice import make_device
from masf_core.method import meta_step
from masf_core.model import Model
from masf_core.network.dropout import no_dropout
from masf_core.tf1 import tf
from tests.masf_core import toy
from tests.masf_core.devices.ascend import stand_in

METHODS = {
    "reference": {}, "joint": dict(update="joint"), "deepall": dict(method="deepall"),
    "not episodic": dict(episodic=False), "no global loss": dict(beta1=0.0), "no local loss": dict(beta2=0.0),
    "task loss of the meta-test domain": dict(meta_task=1.0), "separate group": dict(group_pass="separate"),
    "embeddings of length one": dict(metric_normalise=True)}


@pytest.fixture
def fake(monkeypatch):
    with stand_in.npu_bridge(monkeypatch) as installed:
        yield installed


def on_ascend(**changes):
    here = make_device("ascend", precision_mode="must_keep_origin_dtype", intra_op_threads=1, inter_op_threads=1)
    backbone = toy.TinyBackbone(toy.CLASSES, kernels=here.kernels())
    model = Model(backbone, toy.settings(**changes), 8, here.session_config(), 5,
                  taking=here.gradients())
    model.initialise()
    return model


@pytest.mark.parametrize("method", sorted(METHODS))
def test_every_method_trains_and_evaluates_in_one_shape_each(fake, method):
    part = toy.evaluation_set(count=21)  # the last batch of 8 is not full

    def trained(model):
        with model:
            losses = [model.step(toy.sampler().draw(step)) for step in range(3)]
            evaluated = model.evaluate(part.images, part.labels, part.rows)
            model.load(model.snapshot())
        return losses + [{"loss": evaluated.loss, "accuracy": evaluated.accuracy}]

    changes = dict(METHODS[method], keep_probability=1.0)
    found = trained(on_ascend(**changes))
    for here, there in zip(found, trained(toy.model(**changes))):
        assert here == pytest.approx(there, rel=1e-4, abs=1e-5)
    fed = [sorted(entry["feeds"]) for entry in fake.records("graph") if entry["feeds"]]
    assert ["evaluation/images:0", "evaluation/labels:0"] in fed and ["dropout_seed:0", "images:0", "labels:0"] in fed
    assert not any(entry["anew"] for entry in fake.records("graph"))


def test_in_mixed_precision_losses_and_updates_are_marked_to_stay_float32_and_products_are_not(fake):
    here = make_device("ascend", "mixed")
    with tf.Graph().as_default() as graph:
        meta_step.build(toy.TinyBackbone(toy.CLASSES, kernels=here.kernels()), toy.settings(), here.gradients())
        kept = {operation.name: "_keep_dtype" in operation.node_def.attr for operation in graph.get_operations()}
        kinds = {operation.name: operation.type for operation in graph.get_operations()}
    for kind in ("SparseSoftmaxCrossEntropyWithLogits", "ApplyAdam", "Log"):
        found = [name for name, its in kinds.items() if its == kind]
        assert found and all(kept[name] for name in found), kind
    assert all(kept[name] for name in kinds if name.startswith("inner_step/"))
    # Of the gradients' own operations a scope knows nothing; they follow what they are computed from.
    products = [name for name, kind in kinds.items() if kind in ("MatMul", "Conv2D", "Conv2DBackpropFilter")]
    assert products and not any(kept[name] for name in products if "loss" not in name)


def test_dropout_is_the_adapters(fake):
    kernels = AscendKernels()
    assert kernels.dropout(1.0, None, 0) is no_dropout
    config = make_device("ascend", precision_mode="must_keep_origin_dtype").session_config()
    with tf.Graph().as_default(), tf.Session(config=config) as session:
        drop = kernels.dropout(0.5, None, 0)
        first, second = session.run([drop(tf.ones([200]), 0), drop(tf.ones([200]), 1)])
    assert set(np.unique(first)) == {0.0, 2.0} and not np.array_equal(first, second)
    with on_ascend(keep_probability=0.5) as model:
        model.step(toy.sampler().draw(0))
    types = fake.records("graph")[-1]["types"]
    assert "RandomUniform" in types and "StatelessRandomUniform" not in types
