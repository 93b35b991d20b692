"""One iteration of the method as a graph: inner step, losses at θ', updates.

Dimensions: K meta-train domains, B images of each domain, S image side, C classes, G = (K+1)·⌊B/(K+1)⌋ images of the
group, R ranks, of which each has B/R of a domain's images in its graph. All shapes are static: older Ascend adapters
refuse a graph that is fed a second shape.

The work is 2K+1 forward and 2K+1 backward passes of B images (5 and 5 for PACS): the inner gradient is B times the
task gradient, so one backward pass serves both; the meta-train domains run as one batch; and the group of the local
loss is rows of the batch that the global loss needs anyway.
"""
from __future__ import annotations

import collections
from typing import NamedTuple

from masf_core.method import losses, updates
from masf_core.method.gradients import Gradients
from masf_core.method.variables import make_variables, merged
from masf_core.network import metric_net
from masf_core.tf1 import tf

METHODS = ("masf", "deepall")
GROUP_PASSES = ("shared", "separate")


class StepSettings(NamedTuple):
    """The numbers of an iteration; the names are the published flags'.

    The paper's comparisons (its Table 3) are combinations of ``method``, ``episodic`` and the weights:
    DeepAll is ``method=deepall``; an ablation sets ``beta1`` or ``beta2`` to 0 or ``episodic`` to False; episodic
    training alone is both weights 0 and ``meta_task`` 1.
    """

    meta_batch_size: int  # B, images of each domain, over all ranks
    source_domains: int  # K + 1
    inner_lr: float = 1e-5
    outer_lr: float = 1e-5
    metric_lr: float = 1e-5
    margin: float = 10.0  # squared distance
    gradients_clip_value: float = 2.0  # L2 norm, per variable
    temperature: float = 2.0
    beta1: float = 1.0  # weight of the global loss
    beta2: float = 0.005  # weight of the local loss
    meta_task: float = 0.0  # weight of the task loss on the meta-test domain at θ'
    keep_probability: float = 0.5
    method: str = "masf"
    episodic: bool = True  # False: no inner step, the meta losses are taken at θ, the task loss on all domains
    update: str = "reference"
    group_pass: str = "shared"  # separate: the group has a pass, and a dropout mask, of its own
    metric_hidden: int = metric_net.HIDDEN
    metric_embedding: int = metric_net.EMBEDDING
    metric_normalise: bool = False


class TrainingGraph(NamedTuple):
    """What a session needs to run iterations; nothing else is ever fetched by name."""

    images: "tf.Tensor"  # placeholder uint8 [K+1, B/R, S, S, 3] RGB, meta-train domains first, meta-test last
    labels: "tf.Tensor"  # placeholder int32 [K+1, B/R], 0-based
    dropout_seed: "tf.Tensor"  # placeholder int32 [2]
    train: "tf.Operation"  # runs one whole iteration
    scalars: dict  # name → float32 scalar, see build
    gradients: dict  # "task", "meta" (before clipping), "metric" → {variable name: float32 tensor}; those that exist
    network: dict  # θ: name → variable
    metric: dict  # φ: name → variable; empty where there is no local loss
    state: dict  # every variable that a checkpoint must hold: θ, φ and the Adams' moments


class _Pass(NamedTuple):
    """What a forward pass of several domains gave."""

    features: "tf.Tensor"  # [domains · B/R, F]
    logits: list  # one [B/R, C] a domain


def build(backbone, settings, taking=None):
    """The training graph, in the default graph.

    With CE_k the cross-entropies of meta-train domain k at θ and clip(g) = g · min(1, c / ‖g‖) per variable:

        F   = mean_k mean_i CE_k,i                                  task loss (eq. 1)
        g   = ∂/∂θ Σ_i mean_k CE_k,i = B · ∂F/∂θ
        θ'  = θ − α · clip(g)                                       inner step (eq. 2), first order: ∂θ'/∂θ := 1
        M   = β₁ · L_global(θ') + β₂ · L_local(θ', φ)               meta loss (eq. 8)

    and the updates as ``updates`` describes them.

    Args:
        backbone: a ``Backbone``. settings: ``StepSettings``. taking: ``Gradients``; by default unscaled, of one rank.

    Returns:
        ``TrainingGraph``. Its scalars: source_loss, source_accuracy (per cent, over the images of the task loss),
        global_loss (× β₁), metric_loss (× β₂); 0 where a method has no such loss; then those of the loss scale.

    Raises:
        ValueError: fewer than two source domains, a batch too small for a group, or an unknown choice.
    """
    taking = taking or Gradients()
    _check(settings, taking.ranks.size)
    batch = settings.meta_batch_size // taking.ranks.size
    taking.prepare()
    side = backbone.image_size
    images = tf.placeholder(tf.uint8, [settings.source_domains, batch, side, side, 3], name="images")
    labels = tf.placeholder(tf.int32, [settings.source_domains, batch], name="labels")
    dropout_seed = tf.placeholder(tf.int32, [2], name="dropout_seed")
    inputs = backbone.preprocess(tf.reshape(images, [-1, side, side, 3]))
    theta = make_variables(backbone.shapes())
    has_local = settings.method == "masf" and settings.beta2 > 0.0
    phi = make_variables(metric_net.shapes(
        backbone.feature_width, settings.metric_hidden, settings.metric_embedding)) if has_local else {}

    def forward(weights, stream, rows, parts):
        dropout = backbone.kernels.dropout(settings.keep_probability, dropout_seed, stream)
        features, logits = backbone.forward(rows, weights, dropout)
        return _Pass(features, tf.split(backbone.kernels.fence(logits), parts))

    episodic = settings.method == "masf" and settings.episodic
    task_domains = settings.source_domains - 1 if episodic else settings.source_domains
    with tf.name_scope("task"):
        task_pass = forward(theta, 0, inputs[:task_domains * batch], task_domains)
        with backbone.kernels.keeping_float32():
            source_loss, source_accuracy = _task(task_pass, labels[:task_domains])
        gradients = {"task": taking.of(source_loss, theta)}

    global_loss = metric_loss = tf.constant(0.0)
    if settings.method == "masf":
        with tf.name_scope("inner_step"), backbone.kernels.keeping_float32():
            fenced = collections.OrderedDict(
                (name, backbone.kernels.fence(value)) for name, value in gradients["task"].items())
            theta_prime = inner_step(theta, fenced, settings) if episodic else theta
        with tf.name_scope("meta"):
            meta_pass = forward(theta_prime, 1, inputs, settings.source_domains) if episodic else task_pass
            global_loss, metric_loss, extra = _meta_losses(
                meta_pass, labels, phi, settings,
                lambda rows: forward(theta_prime, 2, rows, settings.source_domains).features, inputs,
                backbone.kernels, taking.ranks)
            if settings.beta1 > 0.0 or settings.beta2 > 0.0 or settings.meta_task > 0.0:
                gradients["meta"] = taking.of(global_loss + metric_loss + extra, merged(theta_prime, phi))
            if has_local:
                # Nothing but the local loss sees φ, so φ's part of the meta gradient is the metric gradient.
                gradients["metric"] = collections.OrderedDict((name, gradients["meta"][name]) for name in phi)

    stages = updates.joint_stages if settings.update == "joint" else updates.reference_stages
    with backbone.kernels.keeping_float32():
        updating = stages(theta, phi, gradients, settings)
    train, moments = taking.apply(updating)
    return TrainingGraph(
        images=images, labels=labels, dropout_seed=dropout_seed, train=train,
        scalars=collections.OrderedDict([
            ("source_loss", source_loss), ("source_accuracy", source_accuracy),
            ("global_loss", global_loss), ("metric_loss", metric_loss)] + list(taking.scale.scalars.items())),
        gradients=gradients, network=theta, metric=phi, state=merged(theta, phi, moments))


def inner_step(theta, task_gradients, settings):
    """θ' = θ − α · clip(B · ∂F/∂θ), in float32, with no gradient path but the identity from θ.

    At the published settings ‖θ' − θ‖ ≤ 2e-5 per variable: in float16 hardly a weight would change.
    """
    result = collections.OrderedDict()
    for name, variable in theta.items():
        # The reference's operations in its order. One factor for B, the clipping and α would save passes over the
        # gradients (1 % of an iteration), but rounds θ' otherwise, and that alone flips ReLUs of the recorded cases.
        step = tf.clip_by_norm(float(settings.meta_batch_size) * task_gradients[name], settings.gradients_clip_value)
        result[name] = variable - settings.inner_lr * tf.stop_gradient(step)
    return result


def _task(forward_pass, labels):
    """(mean cross-entropy, accuracy in per cent) over all images of a pass."""
    logits, labels = tf.concat(forward_pass.logits, axis=0), tf.reshape(labels, [-1])
    hits = tf.equal(tf.argmax(logits, axis=1, output_type=tf.int32), labels)
    return (tf.reduce_mean(losses.task_losses(logits, labels)), 100.0 * tf.reduce_mean(tf.cast(hits, tf.float32)))


def _meta_losses(forward_pass, labels, phi, settings, features_of, inputs, kernels, ranks):
    """(β₁ · L_global, β₂ · L_local, meta_task · task loss of the meta-test domain), each a scalar."""
    label_rows = tf.unstack(labels)
    global_loss = metric_loss = extra = tf.constant(0.0)
    if settings.beta1 > 0.0:
        with kernels.keeping_float32():
            global_loss = settings.beta1 * losses.global_loss(
                forward_pass.logits[:-1], label_rows[:-1], forward_pass.logits[-1], label_rows[-1],
                settings.temperature, ranks.total, kernels.exact_product)
    if settings.beta2 > 0.0:
        group = settings.meta_batch_size // settings.source_domains  # the first of a domain's images
        own = ranks.share(group)

        def of_group(rows):
            return tf.concat([part[:own] for part in tf.split(rows, settings.source_domains)], axis=0)

        separate = settings.group_pass == "separate"
        features = features_of(of_group(inputs)) if separate else of_group(forward_pass.features)
        embeddings = kernels.fence(metric_net.forward(features, phi, settings.metric_normalise, kernels))
        with kernels.keeping_float32():
            metric_loss = settings.beta2 * losses.local_loss(
                *ranks.union(embeddings, tf.reshape(labels[:, :own], [-1]), settings.source_domains, group),
                margin=settings.margin, product=kernels.exact_product)
    if settings.meta_task > 0.0:
        with kernels.keeping_float32():
            extra = settings.meta_task * tf.reduce_mean(losses.task_losses(forward_pass.logits[-1], label_rows[-1]))
    return global_loss, metric_loss, extra


def _check(settings, ranks):
    if settings.source_domains < 2:
        raise ValueError(f"MASF needs at least 2 source domains, got {settings.source_domains}")
    if settings.meta_batch_size < settings.source_domains:
        raise ValueError("meta_batch_size must be at least the number of source domains "
                         f"({settings.source_domains}), got {settings.meta_batch_size}")
    check_batch(settings, ranks)
    for name, choices in (("method", METHODS), ("update", updates.RULES), ("group_pass", GROUP_PASSES)):
        if getattr(settings, name) not in choices:
            raise ValueError("{} is {!r}; expected one of {}".format(
                name, getattr(settings, name), ", ".join(choices)))


def check_batch(settings, ranks):
    """Raises ValueError where so many ranks cannot share a batch: each needs a part of the group, too."""
    if settings.meta_batch_size % ranks or settings.meta_batch_size < ranks * settings.source_domains:
        raise ValueError(f"meta_batch_size must be a multiple of the number of processes ({ranks}), with at least "
                         f"{settings.source_domains} images "
                         f"for each, got {settings.meta_batch_size}")
