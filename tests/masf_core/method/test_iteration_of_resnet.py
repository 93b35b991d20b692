"""One whole iteration on small ResNets against its re-derivation in NumPy: what moves, by which gradients."""
from __future__ import annotations

import numpy as np
import pytest

from masf_core.data.episodes import Episode
from masf_core.network.kernels import processor_kernels
from masf_core.network.resnet import ResNet18, ResNet50
from tests.masf_core import toy
from tests.masf_core.method import numpy_iteration
from tests.masf_core.method.numpy_reference import adam, clip
from tests.masf_core.network import numpy_resnet, torch_resnet

CLASSES, SOURCES, BATCH, SIDE = 3, 3, 5, 36
RATES = dict(inner_lr=0.1, outer_lr=0.004, metric_lr=0.03)
SETTINGS = dict(
    RATES, meta_batch_size=BATCH, source_domains=SOURCES, gradients_clip_value=1.5, margin=1.0, temperature=0.2,
    beta1=0.6, beta2=0.3, metric_hidden=5, metric_embedding=3)


class ShortResNet18(ResNet18):
    """Blocks of two convolutions, with and without a convolution on the shortcut."""

    image_size = SIDE
    blocks = (1, 1, 1, 1)


class ShortResNet50(ResNet50):
    """Bottlenecks."""

    image_size = SIDE
    blocks = (1, 1, 1, 1)


class InNumPy:
    """As ``numpy_iteration.TinyNetwork``. values: of all variables; θ stands in for some of them."""

    def __init__(self, values):
        self._values = values

    def forward(self, theta, images):
        _, features, logits, _ = numpy_resnet.run(dict(self._values, **theta), images)
        return features, logits

    def summed_gradient(self, theta, images, labels):
        tape, _, logits, backward = numpy_resnet.run(dict(self._values, **theta), images)
        backward(numpy_iteration.slope_of_logits(logits, labels))
        return {name: tape.gradients[name] for name in theta}


@pytest.fixture(scope="module", params=[
    (ShortResNet18, {}), (ShortResNet50, {}),
    (ShortResNet18, {"train_batch_norm": False, "frozen_layers": ("conv1", "layer1.*")})],
    ids=["resnet18", "resnet50", "resnet18-frozen"])
def done(request):
    """What the graph did in its first iteration, and what it should have started from."""
    network_class, changes = request.param
    random = np.random.RandomState(2)
    patches = random.randint(0, 140, (SOURCES, BATCH, 4, 4, 3)).repeat(9, axis=2).repeat(9, axis=3)
    patches = patches + 30 * np.arange(SOURCES).reshape(-1, 1, 1, 1, 1)  # each domain has its brightness
    episode = Episode((patches + random.randint(0, 56, patches.shape)).astype(np.uint8),
                      np.array([[0, 1, 0, 2, 1], [1, 0, 2, 1, 0], [0, 1, 2, 0, 1]], np.int32), ("a", "b", "c"), 0)
    with toy.model(backbone=network_class(CLASSES, width=0.05, kernels=processor_kernels()),
                   **dict(SETTINGS, **changes)) as model:
        graph = model.training
        model.load(torch_resnet.values(model.backbone.shapes()))
        before = model.session.run([graph.network, graph.metric])
        gradients, scalars, _ = model.session.run(
            [graph.gradients, graph.scalars, graph.train],
            {graph.images: episode.images, graph.labels: episode.labels, graph.dropout_seed: [0, 0]})
        after = model.snapshot()
    values, phi = ({name: value.astype(np.float64) for name, value in group.items()} for group in before)
    theta = {name: values[name] for name in model.backbone.trained(
        model.settings.frozen_layers, model.settings.train_batch_norm)}
    expected = numpy_iteration.iterate(
        theta, phi, episode.images, episode.labels, model.settings, InNumPy(values))
    return model.settings, episode, values, theta, phi, gradients, scalars, after, expected


def test_losses_accuracy_and_the_task_gradient_are_those_of_numpy(done):
    settings, episode, values, theta, phi, gradients, scalars, _, expected = done
    still = numpy_iteration.meta_losses(theta, phi, episode.images, episode.labels, settings, InNumPy(values))
    for found, name in zip(still, ("global_loss", "metric_loss")):  # θ' is far enough from θ to tell
        assert expected.scalars[name] > 1e-3 and abs(found / expected.scalars[name] - 1.0) > 2e-3
    for name, value in expected.scalars.items():
        assert scalars[name] == pytest.approx(value, rel=1e-4), name
    assert list(gradients["task"]) == list(theta)
    for name, value in expected.task.items():
        np.testing.assert_allclose(gradients["task"][name], value, rtol=1e-3, atol=1e-5, err_msg=name)


def test_the_meta_gradient_is_the_slope_of_the_losses_after_the_inner_step(done):
    settings, episode, values, _, phi, gradients, _, _, expected = done
    random, network = np.random.RandomState(3), InNumPy(values)
    moving = dict(expected.theta_prime, **phi)
    assert set(gradients["meta"]) == set(moving)
    for part in ("weights", "scale", "shift", "biases"):
        direction = {name: random.standard_normal(value.shape) for name, value in moving.items()
                     if name.endswith("/" + part)}
        if not direction:
            continue

        def losses(step, direction=direction):
            moved = {name: value + step * direction.get(name, 0.0) for name, value in moving.items()}
            theta = {name: moved[name] for name in expected.theta_prime}
            return sum(numpy_iteration.meta_losses(
                theta, moved, episode.images, episode.labels, settings, network))

        slope = (losses(1e-6) - losses(-1e-6)) / 2e-6
        found = sum(np.sum(gradients["meta"][name] * value) for name, value in direction.items())
        assert found == pytest.approx(slope, rel=1e-3, abs=1e-5), part


def test_each_adam_moves_what_is_trained_and_nothing_else(done):
    _, _, values, theta, phi, gradients, _, after, _ = done
    clipped = {name: clip(value.astype(np.float64), 1.5) for name, value in gradients["meta"].items()}
    stages = [(gradients["task"], 0.004), (clipped, 0.004), (gradients["metric"], 0.03)]
    for name, value in dict(values, **phi).items():
        moved = sum(adam(taken[name].astype(np.float64), 0.0, 0.0, 1, rate)[0]
                    for taken, rate in stages if name in taken)
        np.testing.assert_allclose(after[name], value - moved, rtol=2e-4, atol=2e-5, err_msg=name)
    moments = {name for name in after if name.startswith("task_adam/") and name.endswith("/m")}
    assert moments == {f"task_adam/{name}/m" for name in theta}
    still = set(values) - set(theta)
    assert {name.rsplit("/", 1)[1] for name in still} >= {"mean", "variance"}
    for name in still:
        np.testing.assert_array_equal(after[name], values[name].astype(np.float32))
