"""A whole iteration in NumPy: float64, image by image where that is clearer, no dropout.

``TinyNetwork`` is ``toy.TinyBackbone``; ``iterate`` takes other networks with the same two functions as well. Both
follow the method's equations and share no line with the graph. The meta gradient is not derived again: it is measured,
as the slope of the meta loss along given directions.
"""
from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tests.masf_core.method import numpy_reference as reference

LEAK = 0.2


class Iteration(NamedTuple):
    """scalars: as ``meta_step.build`` names them. task: ∂F/∂θ by name. theta_prime: θ' by name."""

    scalars: dict
    task: dict
    theta_prime: dict


class TinyNetwork:
    """``toy.TinyBackbone``: a dense layer of features and one of logits."""

    def forward(self, theta, images):
        """(features [N, 6], logits [N, C]) of uint8 images."""
        _, features, logits = self._layers(theta, images)
        return features, logits

    def summed_gradient(self, theta, images, labels):
        """∂/∂θ Σ_i CE_i of one domain, by the chain rule."""
        inputs, features, logits = self._layers(theta, images)
        slope = slope_of_logits(logits, labels)
        back = (slope @ theta["top/weights"].T) * (features > 0.0)
        return {"hidden/weights": inputs.T @ back, "hidden/biases": back.sum(axis=0),
                "top/weights": features.T @ slope, "top/biases": slope.sum(axis=0)}

    def _layers(self, theta, images):
        inputs = images.reshape(len(images), -1).astype(np.float64) / 255.0 - 0.5
        features = np.maximum(inputs @ theta["hidden/weights"] + theta["hidden/biases"], 0.0)
        return inputs, features, features @ theta["top/weights"] + theta["top/biases"]


TINY = TinyNetwork()


def slope_of_logits(logits, labels):
    """∂/∂logits Σ_i CE_i."""
    slope = np.array([reference.softmax(row) for row in logits])
    slope[np.arange(len(labels)), labels] -= 1.0
    return slope


def embed(features, phi, normalise):
    x = features
    for layer in ("metric1", "metric2"):
        x = x @ phi[layer + "/weights"] + phi[layer + "/biases"]
        x = np.where(x > 0.0, x, LEAK * x)
    return x / np.linalg.norm(x, axis=1, keepdims=True) if normalise else x


def meta_losses(theta_prime, phi, images, labels, settings, network=TINY):
    """(β₁ · global loss, β₂ · local loss) at θ', of images [K+1, B, …] whose last domain is the meta-test one."""
    passes = [network.forward(theta_prime, of_domain) for of_domain in images]
    logits = [entry[1] for entry in passes]
    aligned = reference.global_loss(
        list(zip(logits[:-1], labels[:-1])), (logits[-1], labels[-1]), settings.temperature, logits[0].shape[1])
    group = len(images[0]) // len(images)
    features = np.concatenate([entry[0][:group] for entry in passes])
    apart = reference.local_loss(embed(features, phi, settings.metric_normalise),
                                 np.concatenate([row[:group] for row in labels]), settings.margin)
    return settings.beta1 * aligned, settings.beta2 * apart


def iterate(theta, phi, images, labels, settings, network=TINY):
    """``Iteration`` from these values, before any update. network: takes values of θ, and knows its other values."""
    meta_train = range(len(images) - 1)
    batch = len(images[0])
    summed = [network.summed_gradient(theta, images[k], labels[k]) for k in meta_train]
    # The inner step differentiates the sum over the batch of the mean over the meta-train domains.
    inner = {name: sum(entry[name] for entry in summed) / len(meta_train) for name in summed[0]}
    theta_prime = {name: theta[name] - settings.inner_lr * reference.clip(value, settings.gradients_clip_value)
                   for name, value in inner.items()}
    logits = [network.forward(theta, images[k])[1] for k in meta_train]
    losses = [reference.task_loss(logits[k], labels[k]) for k in meta_train]
    hits = [logits[k].argmax(axis=1) == labels[k] for k in meta_train]
    aligned, apart = meta_losses(theta_prime, phi, images, labels, settings, network)
    return Iteration(
        {"source_loss": np.mean(losses), "source_accuracy": 100.0 * np.mean(hits), "global_loss": aligned,
         "metric_loss": apart},
        {name: value / batch for name, value in inner.items()}, theta_prime)


def slopes(function, values, name, directions, step=1e-6):
    """How fast ``function(values)`` changes as ``values[name]`` moves along each direction."""
    def at(moved):
        return function(dict(values, **{name: moved}))

    return [(at(values[name] + step * each) - at(values[name] - step * each)) / (2.0 * step) for each in directions]
