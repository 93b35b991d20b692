"""One iteration of the method as a graph: inner step, losses at θ', updates.

Dimensions: K meta-train domains, B images of each domain, S image side, C classes, G = (K+1)·⌊B/(K+1)⌋ images of the
group, R ranks, of which each has B/R of a domain's images in its graph. All shapes are static: older Ascend adapters
refuse a graph that is fed a second shape.

The work is 2K+1 forward and 2K+1 backward passes of B images (5 and 5 for PACS): the inner gradient is B times the
task gradient, so one backward pass serves both; the meta-train domains run as one batch; and the group of the local
loss is rows of the batch that the global loss needs anyway. Through the first layers of the network, where these are
frozen, there is one forward pass of all K+1 domains and no backward pass: they are the same at θ and at θ'.
"""
from __future__ import annotations

import collections
from typing import Callable, Dict, NamedTuple, Optional, Tuple

from masf_core.method import losses, updates
from masf_core.method.gradients import Gradients
from masf_core.method.step_settings import StepSettings, check
from masf_core.method.variables import Tensors, Variables, make_variables, merged
from masf_core.network import metric_net
from masf_core.network.backbone import Backbone
from masf_core.network.kernels import Kernels
from masf_core.ranks.one_rank import OneRank
from masf_core.tf1 import tf


class TrainingGraph(NamedTuple):
    """What a session needs to run iterations."""

    images: tf.Tensor  # placeholder uint8 [K+1, B/R, S, S, 3] BGR, meta-train domains first, meta-test last
    labels: tf.Tensor  # placeholder int32 [K+1, B/R], 0-based
    dropout_seed: tf.Tensor  # placeholder int32 [2]
    train: tf.Operation  # runs one whole iteration
    scalars: dict  # name → float32 scalar, see build
    gradients: dict  # "task", "meta" (before clipping), "metric" → {variable name: float32 tensor}; those that exist
    network: dict  # name → variable: θ, and what is not trained
    metric: dict  # φ: name → variable; empty where there is no local loss
    state: dict  # every variable that a checkpoint must hold: those of the network, φ and the Adams' moments


class _Pass(NamedTuple):
    """Result of a forward pass of several domains."""

    features: tf.Tensor  # [domains · B/R, F]
    logits: list  # one [B/R, C] a domain


class _Forward:
    """Forward passes of several domains at once, with the dropout of this iteration.

    network: every variable of the backbone. done: how many of its stages the rows have passed.
    """

    def __init__(self, backbone: Backbone, network: Variables, done: int, keep_probability: float,
                 dropout_seed: tf.Tensor) -> None:
        self.kernels = backbone.kernels
        self._backbone, self._network, self._done = backbone, network, done
        self._keep_probability, self._dropout_seed = keep_probability, dropout_seed

    def __call__(self, theta: Tensors, stream: int, rows: tf.Tensor, domains: int) -> _Pass:
        """theta: values of what is trained. stream: distinct for each pass of an iteration. rows: of as many domains,
        one after the other."""
        dropout = self.kernels.dropout(self._keep_probability, self._dropout_seed, stream)
        features, logits = self._backbone.forward(rows, merged(self._network, theta), dropout, self._done)
        return _Pass(features, tf.split(self.kernels.fence(logits), domains))


def build(backbone: Backbone, settings: StepSettings, taking: Optional[Gradients] = None) -> TrainingGraph:
    """The training graph, in the default graph.

    With CE_k the cross-entropies of meta-train domain k at θ and clip(g) = g · min(1, c / ‖g‖) per variable:

        F   = mean_k mean_i CE_k,i                                  task loss (eq. 1)
        g   = ∂/∂θ Σ_i mean_k CE_k,i = B · ∂F/∂θ
        θ'  = θ − α · clip(g)                                       inner step (eq. 2), first order: ∂θ'/∂θ := 1
        M   = β₁ · L_global(θ') + β₂ · L_local(θ', φ)               meta loss (eq. 8)

    and the updates as ``updates`` describes them.

    Args:
        taking: how gradients are taken; by default unscaled, of one rank.

    Returns:
        ``TrainingGraph``. Its scalars: source_loss, source_accuracy (per cent, over the images of the task loss),
        global_loss (× β₁), metric_loss (× β₂), 0 where a method has no such loss; then the scalars of the loss scale.

    Raises:
        ValueError: fewer than two source domains, a batch too small for a group, an unknown choice, or layers to freeze
        that the backbone has not.
    """
    taking = taking or Gradients()
    check(settings, taking.ranks.size)
    batch = settings.meta_batch_size // taking.ranks.size
    taking.prepare()
    side = backbone.image_size
    images = tf.placeholder(tf.uint8, [settings.source_domains, batch, side, side, 3], name="images")
    labels = tf.placeholder(tf.int32, [settings.source_domains, batch], name="labels")
    dropout_seed = tf.placeholder(tf.int32, [2], name="dropout_seed")
    inputs = backbone.preprocess(tf.reshape(images, [-1, side, side, 3]))
    network = make_variables(backbone.shapes())
    theta = collections.OrderedDict(
        (name, network[name]) for name in backbone.trained(settings.frozen_layers, settings.train_batch_norm))
    phi = make_variables(metric_net.shapes(
        backbone.feature_width, settings.metric_hidden, settings.metric_embedding)) if settings.has_local_loss else {}
    done = backbone.frozen_stages(theta)
    with tf.name_scope("frozen"):
        inputs = backbone.through(inputs, network, 0, done)
    forward = _Forward(backbone, network, done, settings.keep_probability, dropout_seed)

    task_domains = settings.source_domains - 1 if settings.takes_inner_step else settings.source_domains
    with tf.name_scope("task"):
        task_pass = forward(theta, 0, inputs[:task_domains * batch], task_domains)
        with backbone.kernels.keeping_float32():
            source_loss, source_accuracy = _task(task_pass, labels[:task_domains])
        gradients = {"task": taking.of(source_loss, theta)}
    global_loss = metric_loss = tf.constant(0.0)
    if settings.method == "masf":
        global_loss, metric_loss, meta_gradients = _meta(
            theta, phi, gradients["task"], task_pass, inputs, labels, settings, forward, taking)
        gradients.update(meta_gradients)

    stages = updates.joint_stages if settings.update == "joint" else updates.reference_stages
    with backbone.kernels.keeping_float32():
        updating = stages(theta, phi, gradients, settings)
    train, moments = taking.apply(updating)
    return TrainingGraph(
        images=images, labels=labels, dropout_seed=dropout_seed, train=train,
        scalars=collections.OrderedDict([
            ("source_loss", source_loss), ("source_accuracy", source_accuracy),
            ("global_loss", global_loss), ("metric_loss", metric_loss)] + list(taking.scale.scalars.items())),
        gradients=gradients, network=network, metric=phi, state=merged(network, phi, moments))


def inner_step(theta: Variables, task_gradients: Tensors, settings: StepSettings) -> Tensors:
    """θ' = θ − α · clip(B · ∂F/∂θ), in float32, with no gradient path but the identity from θ.

    At the published settings ‖θ' − θ‖ ≤ 2e-5 per variable: in float16 hardly a weight would change.
    """
    result = collections.OrderedDict()
    for name, variable in theta.items():
        # The reference's operations in its order. One factor for B, the clipping and α would save passes over the
        # gradients (1 % of an iteration), but would round θ' differently, which flips ReLUs of the recorded cases.
        step = tf.clip_by_norm(float(settings.meta_batch_size) * task_gradients[name], settings.gradients_clip_value)
        result[name] = variable - settings.inner_lr * tf.stop_gradient(step)
    return result


def _task(forward_pass: _Pass, labels: tf.Tensor) -> Tuple[tf.Tensor, tf.Tensor]:
    """(mean cross-entropy, accuracy in per cent) over all images of a pass."""
    logits, labels = tf.concat(forward_pass.logits, axis=0), tf.reshape(labels, [-1])
    hits = tf.equal(tf.argmax(logits, axis=1, output_type=tf.int32), labels)
    return (tf.reduce_mean(losses.task_losses(logits, labels)), 100.0 * tf.reduce_mean(tf.cast(hits, tf.float32)))


def _meta(theta: Variables, phi: Variables, task_gradients: Tensors, task_pass: _Pass, inputs: tf.Tensor,
          labels: tf.Tensor, settings: StepSettings, forward: _Forward, taking: Gradients,
          ) -> Tuple[tf.Tensor, tf.Tensor, Dict[str, Tensors]]:
    """(β₁ · L_global, β₂ · L_local, gradients by their names ``meta`` and ``metric``) at θ', or at θ without an inner
    step."""
    with tf.name_scope("inner_step"), forward.kernels.keeping_float32():
        fenced = collections.OrderedDict((name, forward.kernels.fence(value)) for name, value in task_gradients.items())
        theta_prime = inner_step(theta, fenced, settings) if settings.takes_inner_step else theta
    gradients = {}
    with tf.name_scope("meta"):
        meta_pass = (forward(theta_prime, 1, inputs, settings.source_domains) if settings.takes_inner_step
                     else task_pass)
        global_loss, metric_loss, extra = _meta_losses(
            meta_pass, labels, phi, settings,
            lambda rows: forward(theta_prime, 2, rows, settings.source_domains).features, inputs, forward.kernels,
            taking.ranks)
        if settings.beta1 > 0.0 or settings.beta2 > 0.0 or settings.meta_task > 0.0:
            gradients["meta"] = taking.of(global_loss + metric_loss + extra, merged(theta_prime, phi))
        if settings.has_local_loss:
            # Nothing but the local loss sees φ, so φ's part of the meta gradient is the metric gradient.
            gradients["metric"] = collections.OrderedDict((name, gradients["meta"][name]) for name in phi)
    return global_loss, metric_loss, gradients


def _meta_losses(forward_pass: _Pass, labels: tf.Tensor, phi: Variables, settings: StepSettings,
                 features_of: Callable[[tf.Tensor], tf.Tensor], inputs: tf.Tensor, kernels: Kernels, ranks: OneRank,
                 ) -> Tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
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
