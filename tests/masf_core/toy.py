"""A network and data so small that a whole training takes a second; odd sizes, so that no two axes are confused."""
from __future__ import annotations

import collections

import numpy as np

from masf_core.data.augmentation import Augmentation
from masf_core.data.episodes import EpisodeSampler, SourceDomain
from masf_core.devices import choice
from masf_core.method import meta_step
from masf_core.model import Model
from masf_core.network import layers
from masf_core.network.backbone import Backbone
from masf_core.tf1 import tf
from masf_core.trainer import EvaluationSet

SIDE, CLASSES = 9, 4


class TinyBackbone(Backbone):
    """One dense layer of features and one of logits on 9×9 images."""

    image_size = SIDE
    feature_width = 6
    new_layers = ("top",)

    def shapes(self):
        return collections.OrderedDict([
            ("hidden/weights", (SIDE * SIDE * 3, 6)), ("hidden/biases", (6,)),
            ("top/weights", (6, self.num_classes)), ("top/biases", (self.num_classes,))])

    def preprocess(self, images):
        return tf.cast(images, tf.float32) / 255.0 - 0.5

    def forward(self, inputs, weights, dropout, done=0):
        flat = tf.reshape(inputs, [inputs.shape.as_list()[0], -1])
        features = tf.nn.relu(layers.dense(flat, weights["hidden/weights"], weights["hidden/biases"]))
        return features, layers.dense(dropout(features, 0), weights["top/weights"], weights["top/biases"])


def settings(**changes):
    values = dict(meta_batch_size=7, source_domains=3, inner_lr=0.01, outer_lr=0.01, metric_lr=0.01)
    values.update(changes)
    return meta_step.StepSettings(**values)


def model(seed=5, evaluation_batch=8, backbone=None, taking=None, **changes):
    result = Model(backbone or TinyBackbone(CLASSES), settings(**changes), evaluation_batch,
                   choice.make_device("cpu", intra_op_threads=1, inter_op_threads=1).session_config(), seed,
                   taking=taking)
    result.initialise()
    return result


def domain_images(seed, count=23):
    """uint8 [count, 9, 9, 3] and labels: the class is where the bright stripe is, the domain its colour."""
    random = np.random.RandomState(seed)
    labels = random.randint(0, CLASSES, count).astype(np.int32)
    images = random.randint(0, 90, (count, SIDE, SIDE, 3)).astype(np.uint8)
    for image, label in zip(images, labels):
        image[2 * label:2 * label + 2] += np.array([120 + seed, 100, 140 - seed], np.uint8)
    return images, labels


def sampler(batch=7, seed=5, domains=3, rank=0, ranks=1):
    parts = []
    for number in range(domains):
        images, labels = domain_images(number)
        parts.append(SourceDomain(f"domain{number}", images, labels, np.arange(len(labels))))
    return EpisodeSampler(parts, batch, seed, Augmentation(flip_probability=0.25), rank, ranks)


def evaluation_set(seed=9, count=21):
    images, labels = domain_images(seed, count)
    return EvaluationSet("target", images, labels, np.arange(count))
