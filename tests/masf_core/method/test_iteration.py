"""One whole iteration against its re-derivation in NumPy, with no setting at its default."""
from __future__ import annotations

import numpy as np
import pytest

from tests.masf_core import toy
from tests.masf_core.method import numpy_iteration
from tests.masf_core.method.numpy_reference import adam, clip

CHANGED = dict(
    keep_probability=1.0, outer_lr=0.004, metric_lr=0.03, temperature=0.7, beta1=0.6, beta2=0.3, metric_hidden=5,
    metric_embedding=3)
# Batches that the number of domains does not divide; θ' far from θ; a clip that some variables reach, or none.
CASES = [
    dict(meta_batch_size=7, source_domains=3, inner_lr=0.2, gradients_clip_value=1.5, margin=1.0),
    dict(meta_batch_size=7, source_domains=3, inner_lr=0.03, gradients_clip_value=1e6, margin=0.3,
         metric_normalise=True),
    dict(meta_batch_size=10, source_domains=4, inner_lr=0.03, gradients_clip_value=1e6, margin=1.0),
    dict(meta_batch_size=10, source_domains=4, inner_lr=0.2, gradients_clip_value=1.5, margin=0.3,
         metric_normalise=True),
    dict(meta_batch_size=8, source_domains=3, inner_lr=0.2, gradients_clip_value=1.5, margin=1.0),
    dict(meta_batch_size=8, source_domains=3, inner_lr=0.03, gradients_clip_value=1e6, margin=0.3)]


@pytest.fixture(params=CASES, ids=lambda case: "{meta_batch_size}-of-{source_domains}-clip-{gradients_clip_value:g}"
                .format(**case), scope="module")
def done(request):
    """What the graph did in its first iteration, and what it should have started from."""
    with toy.model(**dict(CHANGED, **request.param)) as model:
        episode = toy.sampler(batch=model.settings.meta_batch_size, domains=model.settings.source_domains).draw(0)
        graph = model.training
        random = np.random.RandomState(4)
        model.load({name: random.standard_normal(variable.shape.as_list()).astype(np.float32) * 0.3
                    for name, variable in dict(graph.network, **graph.metric).items() if name.endswith("/biases")})
        before = model.session.run([graph.network, graph.metric])
        gradients, scalars, _ = model.session.run(
            [graph.gradients, graph.scalars, graph.train],
            {graph.images: episode.images, graph.labels: episode.labels, graph.dropout_seed: [0, 0]})
        after = dict(*model.session.run([graph.network]), **model.session.run(graph.metric))
    theta, phi = ({name: value.astype(np.float64) for name, value in group.items()} for group in before)
    expected = numpy_iteration.iterate(theta, phi, episode.images, episode.labels, model.settings)
    return model.settings, episode, theta, phi, gradients, scalars, after, expected


def test_a_case_moves_theta_far_enough_for_the_meta_losses_to_tell(done):
    settings, episode, theta, phi, _, _, _, expected = done
    still = numpy_iteration.meta_losses(theta, phi, episode.images, episode.labels, settings)
    for found, name in zip(still, ("global_loss", "metric_loss")):
        assert expected.scalars[name] > 1e-3
        assert abs(found / expected.scalars[name] - 1.0) > 1e-2
    batch = settings.meta_batch_size
    reached = [batch * np.linalg.norm(value) > settings.gradients_clip_value for value in expected.task.values()]
    assert any(reached) == (settings.gradients_clip_value < 1e6)


def test_losses_and_accuracy_are_those_of_numpy(done):
    scalars, expected = done[-3], done[-1]
    assert set(scalars) == set(expected.scalars)
    for name, value in expected.scalars.items():
        assert scalars[name] == pytest.approx(value, rel=2e-5), name


def test_the_task_gradient_is_that_of_numpy(done):
    gradients, expected = done[4], done[-1]
    for name, value in expected.task.items():
        np.testing.assert_allclose(gradients["task"][name], value, rtol=1e-4, atol=1e-6, err_msg=name)


def test_the_meta_and_metric_gradients_are_the_slopes_of_the_losses_after_the_inner_step(done):
    settings, episode, _, phi, gradients, _, _, expected = done
    random = np.random.RandomState(3)

    def losses(values):
        return np.array(numpy_iteration.meta_losses(values, values, episode.images, episode.labels, settings))

    values = dict(expected.theta_prime, **phi)
    assert set(gradients["meta"]) == set(values) and set(gradients["metric"]) == set(phi)
    for name, value in values.items():
        directions = [random.standard_normal(value.shape) for _ in range(3)]
        for direction, (aligned, apart) in zip(
                directions, numpy_iteration.slopes(losses, values, name, directions)):
            small = float(1e-6 + 1e-4 * np.linalg.norm(gradients["meta"][name]))
            assert np.sum(gradients["meta"][name] * direction) == pytest.approx(
                aligned + apart, rel=1e-4, abs=small), name
            if name in phi:
                assert np.sum(gradients["metric"][name] * direction) == pytest.approx(
                    apart, rel=1e-4, abs=small), name


def test_the_metric_net_has_the_sizes_asked_for(done):
    phi = done[3]
    assert {name: value.shape for name, value in phi.items()} == {
        "metric1/weights": (6, 5), "metric1/biases": (5,), "metric2/weights": (5, 3), "metric2/biases": (3,)}


def test_each_adam_moves_by_its_own_rate(done):
    settings, _, theta, phi, gradients, _, after, _ = done
    clipped = {name: clip(value.astype(np.float64), settings.gradients_clip_value)
               for name, value in gradients["meta"].items()}
    stages = [(gradients["task"], 0.004), (clipped, 0.004), (gradients["metric"], 0.03)]
    for name, value in dict(theta, **phi).items():
        moved = sum(adam(values[name].astype(np.float64), 0.0, 0.0, 1, rate)[0]
                    for values, rate in stages if name in values)
        np.testing.assert_allclose(after[name], value - moved, rtol=2e-4, atol=2e-5, err_msg=name)
