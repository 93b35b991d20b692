"""One iteration: the inner step, the order of the updates, and what each gradient may depend on."""
from __future__ import annotations

import numpy as np
import pytest

from masf_core.graph_check.limits import needed
from masf_core.method import meta_step
from masf_core.network import kernels
from masf_core.tf1 import tf
from tests.masf_core import toy
from tests.masf_core.method.numpy_reference import adam, clip


def iterate(model, step=0, batch=7, domains=3):
    """(gradients, scalars, values before, values after) of one iteration."""
    episode = toy.sampler(batch=batch, domains=domains).draw(step)
    before = model.snapshot()
    graph = model.training
    gradients, scalars, _ = model.session.run(
        [graph.gradients, graph.scalars, graph.train],
        {graph.images: episode.images, graph.labels: episode.labels, graph.dropout_seed: [1, step]})
    return gradients, scalars, before, model.snapshot()


def test_inner_step_is_the_clipped_sum_over_the_batch():
    theta = np.array([1.0, -2.0, 3.0], np.float32)
    gradient = np.array([0.3, 0.4, 0.0], np.float32)  # norm 0.5; times a batch of 7 is 3.5, clipped to 2
    with tf.Graph().as_default(), tf.Session() as session:
        moved = meta_step.inner_step({"x": tf.constant(theta)}, {"x": tf.constant(gradient)}, toy.settings())
        value = session.run(moved["x"])
    np.testing.assert_allclose(value, theta - 0.01 * gradient / 0.5 * 2.0, rtol=1e-6)


def test_inner_step_passes_gradients_to_theta_as_the_identity():
    with tf.Graph().as_default(), tf.Session() as session:
        x = tf.constant([1.0, 2.0])
        moved = meta_step.inner_step({"x": x}, {"x": 5.0 * x}, toy.settings())["x"]
        slope = session.run(tf.gradients(tf.reduce_sum(3.0 * moved), x)[0])
    np.testing.assert_array_equal(slope, [3.0, 3.0])


@pytest.mark.parametrize("batch, domains, meta_lr", [(7, 3, None), (10, 4, 0.002), (6, 2, 0.0)])
def test_three_adams_follow_the_formula_in_order(batch, domains, meta_lr):
    with toy.model(keep_probability=1.0, meta_batch_size=batch, source_domains=domains, margin=1.0,
                   meta_lr=meta_lr) as model:
        moments = {}
        for t in (1, 2, 3):
            gradients, _, before, after = iterate(model, step=t, batch=batch, domains=domains)
            expected = {name: before[name].astype(np.float64) for name in gradients["meta"]}
            stages = [("task", 0.01, gradients["task"]),
                      ("meta", 0.01 if meta_lr is None else meta_lr,
                       {name: clip(value, 2.0) for name, value in gradients["meta"].items()}),
                      ("metric", 0.01, gradients["metric"])]
            for stage, rate, values in stages:
                for name, value in values.items():
                    m, v = moments.get((stage, name), (0.0, 0.0))
                    delta, m, v = adam(value.astype(np.float64), m, v, t, rate)
                    moments[stage, name] = (m, v)
                    expected[name] = expected[name] - delta
            for name, value in expected.items():
                np.testing.assert_allclose(after[name], value, rtol=2e-4, atol=2e-5, err_msg=name)


def test_the_three_adams_are_applied_in_the_order_task_meta_metric():
    """Any order adds the same updates, so the numbers show none; rounding and the reference's description do."""
    with toy.model() as model:
        applied = {name: [op for op in model.session.graph.get_operations()
                          if op.type == "ApplyAdam" and op.name.startswith(name + "/")]
                   for name in ("task_adam", "meta_adam", "metric_adam")}
    for earlier, later in (("task_adam", "meta_adam"), ("meta_adam", "metric_adam")):
        assert applied[earlier] and applied[later]
        assert all(set(applied[earlier]) <= needed([op]) for op in applied[later])


def test_meta_update_moves_the_metric_net_and_the_metric_gradient_is_its_part():
    with toy.model(keep_probability=1.0, margin=1e4) as model:
        gradients, _, _, _ = iterate(model)
    assert set(gradients["meta"]) == set(gradients["task"]) | set(gradients["metric"])
    for name, value in gradients["metric"].items():
        np.testing.assert_array_equal(value, gradients["meta"][name])
    assert any(np.any(value != 0) for value in gradients["metric"].values())


def test_task_gradient_is_the_mean_over_all_meta_train_images():
    with toy.model(keep_probability=1.0) as model:
        gradients, scalars, before, _ = iterate(model)
        episode = toy.sampler().draw(0)
        images = episode.images[:2].reshape(-1, 9 * 9 * 3) / 255.0 - 0.5
        labels = episode.labels[:2].reshape(-1)
        hidden = np.maximum(images @ before["hidden/weights"] + before["hidden/biases"], 0.0)
        logits = hidden @ before["top/weights"] + before["top/biases"]
        shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
        p = shifted / shifted.sum(axis=1, keepdims=True)
        one_hot = np.eye(toy.CLASSES)[labels]
        np.testing.assert_allclose(gradients["task"]["top/weights"], hidden.T @ (p - one_hot) / len(labels),
                                   rtol=1e-4, atol=1e-6)
        assert scalars["source_loss"] == pytest.approx(-np.mean(np.log(p[one_hot == 1])), rel=1e-5)
        assert scalars["source_accuracy"] == pytest.approx(100 * np.mean(p.argmax(axis=1) == labels), rel=1e-5)


def test_dropout_is_a_function_of_the_step():
    with toy.model(keep_probability=0.5, outer_lr=0.0, metric_lr=0.0) as model:
        first = [model.step(toy.sampler().draw(step)) for step in (3, 4)]
        again = [model.step(toy.sampler().draw(step)) for step in (3, 4)]
    assert first == again
    with toy.model(keep_probability=0.5, outer_lr=0.0, metric_lr=0.0, seed=6) as other:
        assert other.step(toy.sampler().draw(3))["source_loss"] != first[0]["source_loss"]


def test_every_shape_of_data_in_the_graph_is_static():
    # Shape arithmetic of TensorFlow's own gradients (int32) is folded away before anything runs.
    with toy.model() as model:
        unknown = [tensor.name for op in model.session.graph.get_operations() for tensor in op.outputs
                   if not tensor.shape.is_fully_defined() and tensor.dtype.base_dtype in (tf.float32, tf.uint8)]
    assert unknown == []


def one_iteration(**changes):
    """(gradients, values before, values after, names of the state) of the first iteration under changed settings."""
    with toy.model(margin=1.0, **changes) as model:
        gradients, scalars, before, after = iterate(model)
        return gradients, scalars, before, after, list(model.training.state)


def first_adam(rate, gradient):
    return adam(gradient.astype(np.float64), 0.0, 0.0, 1, rate)[0]


def test_joint_update_is_one_adam_on_the_sum_of_all_gradients():
    gradients, _, before, after, state = one_iteration(keep_probability=1.0, update="joint")
    for name, value in gradients["task"].items():
        expected = before[name] - first_adam(0.01, value + gradients["meta"][name])
        np.testing.assert_allclose(after[name], expected, rtol=2e-4, atol=2e-5, err_msg=name)
    for name, value in gradients["metric"].items():
        np.testing.assert_allclose(after[name], before[name] - first_adam(0.01, value), rtol=2e-4, atol=2e-5)
    assert {name.split("/")[0] for name in state if "adam" in name} == {"joint_adam", "metric_adam"}


def test_deepall_is_the_task_loss_on_all_sources_and_nothing_else():
    gradients, scalars, before, after, state = one_iteration(keep_probability=1.0, method="deepall")
    assert set(gradients) == {"task"} and not any(name.startswith("metric") for name in state)
    episode = toy.sampler().draw(0)
    images = episode.images.reshape(-1, 9 * 9 * 3) / 255.0 - 0.5
    hidden = np.maximum(images @ before["hidden/weights"] + before["hidden/biases"], 0.0)
    logits = hidden @ before["top/weights"] + before["top/biases"]
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels = episode.labels.reshape(-1)
    assert scalars["source_loss"] == pytest.approx(-np.mean(np.log(p[np.arange(len(labels)), labels])), rel=1e-5)
    assert scalars["global_loss"] == scalars["metric_loss"] == 0.0
    for name, value in gradients["task"].items():
        np.testing.assert_allclose(after[name], before[name] - first_adam(0.01, value), rtol=2e-4, atol=2e-5)


def test_without_episodes_the_meta_losses_are_those_of_an_inner_step_of_length_zero():
    _, still, _, _, _ = one_iteration(keep_probability=1.0, inner_lr=0.0)
    _, plain, _, _, _ = one_iteration(keep_probability=1.0, episodic=False)
    assert plain["global_loss"] == pytest.approx(still["global_loss"], rel=1e-5)
    assert plain["metric_loss"] == pytest.approx(still["metric_loss"], rel=1e-5)


@pytest.mark.parametrize("changes, existing", [
    (dict(beta1=0.0), {"task", "meta", "metric"}), (dict(beta2=0.0), {"task", "meta"}),
    (dict(beta1=0.0, beta2=0.0), {"task"}), (dict(beta1=0.0, beta2=0.0, meta_task=1.0), {"task", "meta"}),
    (dict(beta2=0.0, episodic=False), {"task", "meta"}), (dict(beta1=0.0, episodic=False), {"task", "meta", "metric"})])
@pytest.mark.parametrize("update", ["reference", "joint"])
def test_every_ablation_trains_with_just_the_gradients_it_has(changes, existing, update):
    gradients, scalars, before, after, state = one_iteration(update=update, **changes)
    assert set(gradients) == existing
    assert (scalars["global_loss"] == 0.0) == (changes.get("beta1", 1.0) == 0.0)
    assert (scalars["metric_loss"] == 0.0) == (changes.get("beta2", 1.0) == 0.0)
    assert any(name.startswith("metric1") for name in state) == ("metric" in existing)
    assert any(np.any(after[name] != before[name]) for name in gradients["task"])


def test_episodic_training_alone_adds_the_meta_test_domains_task_loss_after_the_inner_step():
    gradients, _, before, _, _ = one_iteration(keep_probability=1.0, beta1=0.0, beta2=0.0, meta_task=1.0, inner_lr=0.0)
    episode = toy.sampler().draw(0)
    images = episode.images[2].reshape(-1, 9 * 9 * 3) / 255.0 - 0.5
    hidden = np.maximum(images @ before["hidden/weights"] + before["hidden/biases"], 0.0)
    logits = hidden @ before["top/weights"] + before["top/biases"]
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    expected = hidden.T @ (p - np.eye(toy.CLASSES)[episode.labels[2]]) / len(images)
    np.testing.assert_allclose(gradients["meta"]["top/weights"], expected, rtol=1e-4, atol=1e-6)


def test_a_separate_group_pass_is_the_same_without_dropout():
    shared, separate = (one_iteration(keep_probability=1.0, group_pass=kind)[1] for kind in ("shared", "separate"))
    assert separate["metric_loss"] == pytest.approx(shared["metric_loss"], rel=1e-5)


class DroppingBackbone(toy.TinyBackbone):
    """With a dropout before the features, as AlexNet has one."""

    def forward(self, inputs, weights, dropout, done=0):
        return super().forward(dropout(tf.reshape(inputs, [inputs.shape.as_list()[0], -1]), 1), weights, dropout)


def test_a_separate_group_pass_has_dropout_of_its_own(monkeypatch):
    monkeypatch.setattr(toy, "TinyBackbone", DroppingBackbone)
    shared, separate = (one_iteration(keep_probability=0.5, group_pass=kind)[1] for kind in ("shared", "separate"))
    for name in ("source_loss", "global_loss"):
        assert separate[name] == pytest.approx(shared[name], rel=1e-5)
    assert abs(separate["metric_loss"] / shared["metric_loss"] - 1.0) > 1e-2


def test_every_pass_draws_its_masks_from_a_stream_of_its_own(monkeypatch):
    streams, real = [], kernels.stateless_dropout
    monkeypatch.setattr(kernels, "stateless_dropout",
                        lambda keep, seed, stream: streams.append(stream) or real(keep, seed, stream))
    for kind, passes in (("shared", 2), ("separate", 3)):
        del streams[:]
        one_iteration(keep_probability=0.5, group_pass=kind)
        assert len(streams) == len(set(streams)) == passes


def test_normalised_embeddings_have_length_one():
    # Squared distances of unit vectors are at most 4, so with margin 1 no term exceeds 5.
    _, scalars, _, _, state = one_iteration(metric_normalise=True, metric_hidden=5, metric_embedding=3, beta2=1.0)
    assert 0.0 < scalars["metric_loss"] <= 5.0


def test_an_unknown_choice_names_those_there_are():
    with pytest.raises(ValueError, match="masf, deepall"), tf.Graph().as_default():
        meta_step.build(toy.TinyBackbone(3), toy.settings(method="mldg"))


def test_too_few_domains_or_images_are_refused():
    with pytest.raises(ValueError, match="at least 2 source domains"), tf.Graph().as_default():
        meta_step.build(toy.TinyBackbone(3), toy.settings(source_domains=1))
    with pytest.raises(ValueError, match="meta_batch_size"), tf.Graph().as_default():
        meta_step.build(toy.TinyBackbone(3), toy.settings(meta_batch_size=2))
