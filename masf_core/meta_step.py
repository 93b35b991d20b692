"""One iteration of MASF as a graph: inner step, losses at θ', and the three updates.

Dimensions: K meta-train domains, B images of each domain, S image side, C classes, G = (K+1)·⌊B/(K+1)⌋ images of the
group. All shapes are static: older Ascend adapters refuse a graph that is fed a second shape.

The work is 2K+1 forward and 2K+1 backward passes of B images (5 and 5 for PACS): the inner gradient is B times the
task gradient, so one backward pass serves both; the meta-train domains run as one batch; and the group of the local
loss is rows of the batch that the global loss needs anyway.
"""
from __future__ import annotations

import collections
from typing import NamedTuple

from masf_core import losses
from masf_core.network import layers, metric_net
from masf_core.tf1 import tf

UPDATES = ("task_adam", "meta_adam", "metric_adam")


class StepSettings(NamedTuple):
    """The numbers of an iteration; the names are the published flags'."""

    meta_batch_size: int  # B, images of each domain
    source_domains: int  # K + 1
    inner_lr: float = 1e-5
    outer_lr: float = 1e-5
    metric_lr: float = 1e-5
    margin: float = 10.0  # squared distance
    gradients_clip_value: float = 2.0  # L2 norm, per variable
    temperature: float = 2.0
    beta1: float = 1.0  # weight of the global loss
    beta2: float = 0.005  # weight of the local loss
    keep_probability: float = 0.5


class TrainingGraph(NamedTuple):
    """What a session needs to run iterations; nothing else is ever fetched by name."""

    images: "tf.Tensor"  # placeholder uint8 [K+1, B, S, S, 3] RGB, meta-train domains first, meta-test last
    labels: "tf.Tensor"  # placeholder int32 [K+1, B], 0-based
    dropout_seed: "tf.Tensor"  # placeholder int32 [2]
    train: "tf.Operation"  # runs one whole iteration
    scalars: dict  # name → float32 scalar, see build
    gradients: dict  # "task", "meta" (before clipping), "metric" → {variable name: float32 tensor}
    logits_test: "tf.Tensor"  # float32 [B, C]: logits of the meta-test domain at θ'
    network: dict  # θ: name → variable
    metric: dict  # φ: name → variable
    state: dict  # every variable that a checkpoint must hold: θ, φ and the three Adams' moments


def build(backbone, settings):
    """The training graph, in the default graph.

    With CE_k the cross-entropies of meta-train domain k at θ and clip(g) = g · min(1, c / ‖g‖) per variable:

        F   = mean_k mean_i CE_k,i                                  task loss (eq. 1)
        g   = ∂/∂θ Σ_i mean_k CE_k,i = B · ∂F/∂θ
        θ'  = θ − α · clip(g)                                       inner step (eq. 2), first order: ∂θ'/∂θ := 1
        M   = β₁ · L_global(θ') + β₂ · L_local(θ', φ)               meta loss (eq. 8)
        θ  ← Adam_task(∂F/∂θ);  (θ, φ) ← Adam_meta(clip ∂M/∂(θ, φ));  φ ← Adam_metric(β₂ ∂L_local/∂φ)

    All gradients are taken at θ_t, φ_t; then task, meta and metric are applied in this order. (The reference leaves
    the order to chance.) That the meta update moves φ too follows the reference's code.

    Args:
        backbone: a ``Backbone``. settings: ``StepSettings``.

    Returns:
        ``TrainingGraph``. Its scalars: source_loss, source_accuracy (per cent, over meta-train), global_loss (× β₁),
        metric_loss (× β₂).

    Raises:
        ValueError: fewer than two source domains, or a batch too small for a group.
    """
    meta_train = settings.source_domains - 1
    batch = settings.meta_batch_size
    if meta_train < 1:
        raise ValueError("MASF needs at least 2 source domains, got {}".format(settings.source_domains))
    if batch < settings.source_domains:
        raise ValueError("meta_batch_size must be at least the number of source domains ({}), got {}".format(
            settings.source_domains, batch))

    side = backbone.image_size
    images = tf.placeholder(tf.uint8, [settings.source_domains, batch, side, side, 3], name="images")
    labels = tf.placeholder(tf.int32, [settings.source_domains, batch], name="labels")
    dropout_seed = tf.placeholder(tf.int32, [2], name="dropout_seed")
    theta = make_variables(backbone.shapes())
    phi = make_variables(metric_net.shapes(backbone.feature_width))

    inputs = backbone.preprocess(tf.reshape(images, [-1, side, side, 3]))
    train_rows = meta_train * batch

    with tf.name_scope("task"):
        train_labels = tf.reshape(labels[:meta_train], [-1])
        _, logits = backbone.forward(
            inputs[:train_rows], theta, layers.stateless_dropout(settings.keep_probability, dropout_seed, stream=0))
        source_loss = tf.reduce_mean(losses.task_losses(logits, train_labels))
        hits = tf.equal(tf.argmax(logits, axis=1, output_type=tf.int32), train_labels)
        source_accuracy = 100.0 * tf.reduce_mean(tf.cast(hits, tf.float32))
        task_gradients = named_gradients(source_loss, theta)

    with tf.name_scope("inner_step"):
        theta_prime = inner_step(theta, task_gradients, batch, settings)

    with tf.name_scope("meta"):
        features, logits = backbone.forward(
            inputs, theta_prime, layers.stateless_dropout(settings.keep_probability, dropout_seed, stream=1))
        by_domain = tf.split(logits, settings.source_domains)
        label_rows = tf.unstack(labels)
        global_loss = settings.beta1 * losses.global_loss(
            by_domain[:-1], label_rows[:-1], by_domain[-1], label_rows[-1], settings.temperature)
        group = batch // settings.source_domains
        group_features = tf.concat([part[:group] for part in tf.split(features, settings.source_domains)], axis=0)
        group_labels = tf.reshape(labels[:, :group], [-1])
        metric_loss = settings.beta2 * losses.local_loss(
            metric_net.forward(group_features, phi), group_labels, settings.margin)
        meta_gradients = named_gradients(global_loss + metric_loss, merged(theta_prime, phi))
        # The global loss does not see φ, so φ's part of the meta gradient is the metric gradient.
        metric_gradients = collections.OrderedDict((name, meta_gradients[name]) for name in phi)

    gradients = {"task": task_gradients, "meta": meta_gradients, "metric": metric_gradients}
    train, moments = reference_updates(theta, phi, gradients, settings)
    return TrainingGraph(
        images=images, labels=labels, dropout_seed=dropout_seed, train=train,
        scalars=collections.OrderedDict([
            ("source_loss", source_loss), ("source_accuracy", source_accuracy),
            ("global_loss", global_loss), ("metric_loss", metric_loss)]),
        gradients=gradients, logits_test=by_domain[-1], network=theta, metric=phi,
        state=merged(theta, phi, moments))


def make_variables(shapes):
    """One float32 variable for each entry, zero until it is loaded, under its own name."""
    # use_resource=False: reference variables are what the Ascend adapter's users have proven, in both lanes alike.
    return collections.OrderedDict(
        (name, tf.Variable(tf.zeros(shape, tf.float32), name=name, use_resource=False))
        for name, shape in shapes.items())


def merged(*mappings):
    """One ordered mapping of all entries."""
    result = collections.OrderedDict()
    for mapping in mappings:
        result.update(mapping)
    return result


def named_gradients(loss, sources):
    """∂loss/∂source for every entry, zeros where the loss does not depend on it."""
    values = tf.gradients(loss, list(sources.values()))
    return collections.OrderedDict(
        (name, tf.zeros_like(source) if value is None else value)
        for (name, source), value in zip(sources.items(), values))


def inner_step(theta, task_gradients, batch, settings):
    """θ' = θ − α · clip(B · ∂F/∂θ), in float32, with no gradient path but the identity from θ.

    At the published settings ‖θ' − θ‖ ≤ 2e-5 per variable: in float16 hardly a weight would change.
    """
    result = collections.OrderedDict()
    for name, variable in theta.items():
        step = tf.clip_by_norm(float(batch) * task_gradients[name], settings.gradients_clip_value)
        result[name] = variable - settings.inner_lr * tf.stop_gradient(step)
    return result


def reference_updates(theta, phi, gradients, settings):
    """Three Adams (β 0.9/0.999, ε 1e-8) with moments of their own, applied task → meta → metric.

    Args:
        theta, phi: variables by name. gradients: see ``TrainingGraph``.

    Returns:
        (operation, mapping name → variable of all moments: ``task_adam/<variable>/m``, ``…/v``,
        ``task_adam/beta1_power`` …).
    """
    clipped = collections.OrderedDict(
        (name, tf.clip_by_norm(gradient, settings.gradients_clip_value))
        for name, gradient in gradients["meta"].items())
    stages = [
        ("task_adam", settings.outer_lr, theta, gradients["task"]),
        ("meta_adam", settings.outer_lr, merged(theta, phi), clipped),
        ("metric_adam", settings.metric_lr, phi, gradients["metric"]),
    ]
    # Nothing may be applied before every gradient has been taken at θ_t, φ_t.
    previous = [tensor for _, _, _, tensors in stages for tensor in tensors.values()]
    moments = collections.OrderedDict()
    for name, rate, variables, tensors in stages:
        adam = tf.train.AdamOptimizer(rate, beta1=0.9, beta2=0.999, epsilon=1e-8, name=name)
        with tf.control_dependencies(previous):
            apply = adam.apply_gradients([(tensors[key], variable) for key, variable in variables.items()])
        previous = [apply]
        moments.update(adam_state(adam, name, variables))
    return apply, moments


def adam_state(adam, name, variables):
    """The optimiser's own variables under stable names (TensorFlow's differ between the lanes)."""
    state = collections.OrderedDict()
    for key, variable in variables.items():
        for slot in ("m", "v"):
            state["{}/{}/{}".format(name, key, slot)] = adam.get_slot(variable, slot)
    slots = {id(variable) for variable in state.values()}
    powers = [variable for variable in adam.variables() if id(variable) not in slots]
    for variable in powers:
        power = "beta1_power" if "beta1" in variable.op.name else "beta2_power"
        state["{}/{}".format(name, power)] = variable
    return state
