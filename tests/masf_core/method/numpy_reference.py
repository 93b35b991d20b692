"""The losses once more, in plain NumPy loops straight from the formulas: slow, float64, and easy to check by eye."""
from __future__ import annotations

import numpy as np


def softmax(x):
    e = np.exp(x - np.max(x))
    return e / e.sum()


def task_loss(logits, labels):
    return np.array([-np.log(softmax(row)[label]) for row, label in zip(logits.astype(np.float64), labels)])


def global_loss(train, test, temperature, classes):
    """train: list of (logits, labels); test: (logits, labels)."""
    def distribution(logits, labels, c):
        return np.clip(softmax(logits[labels == c].astype(np.float64).mean(axis=0) / temperature), 1e-8, 1.0)

    pairs = []
    for logits, labels in train:
        total = 0.0
        for c in range(classes):
            if np.any(labels == c) and np.any(test[1] == c):
                p, q = distribution(logits, labels, c), distribution(test[0], test[1], c)
                total += 0.5 * (np.sum(p * np.log(p / q)) + np.sum(q * np.log(q / p)))
        pairs.append(total / classes)
    return float(np.mean(pairs))


def local_loss(embeddings, labels, margin):
    embeddings = embeddings.astype(np.float64)
    size = len(labels)
    d = np.array([[np.sum((embeddings[i] - embeddings[j]) ** 2) for j in range(size)] for i in range(size)])
    total, pairs = 0.0, 0
    for a in range(size):
        for p in range(size):
            if a == p or labels[a] != labels[p]:
                continue
            pairs += 1
            others = [d[a, n] for n in range(size) if labels[n] != labels[a]]
            farther = [value for value in others if value > d[a, p]]
            negative = min(farther) if farther else max(others) if others else 0.0
            total += max(0.0, margin + d[a, p] - negative)
    return total / max(1, pairs)


def clip(gradient, norm):
    return gradient * min(1.0, norm / max(np.linalg.norm(gradient), 1e-30))


def adam(gradient, m, v, t, rate):
    """(how far the variable moves, the new m, the new v) of the t-th update."""
    m, v = 0.9 * m + 0.1 * gradient, 0.999 * v + 0.001 * gradient ** 2
    return rate * np.sqrt(1 - 0.999 ** t) / (1 - 0.9 ** t) * m / (np.sqrt(v) + 1e-8), m, v
