"""The three losses of MASF, as the reference computes them. Pure functions that compute in float32.

Dimensions: B images of a domain, C classes, G images in the group of the local loss, E embedding width.
"""
from __future__ import annotations

from typing import Callable, Sequence, Tuple

from masf_core.tf1 import tf

Product = Callable[..., "tf.Tensor"]  # as ``tf.matmul``
Total = Callable[..., Sequence["tf.Tensor"]]  # tensors → the sum of each over all ranks

# The reference clips probabilities here before taking logarithms.
SMALLEST_PROBABILITY = 1e-8


def task_losses(logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """Softmax cross-entropy of each image.

    Args:
        logits: [N, C], any float type. labels: int32 [N], 0-based.

    Returns:
        float32 [N].
    """
    return tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=tf.cast(logits, tf.float32))


def own_alone(*tensors: tf.Tensor) -> Tuple[tf.Tensor, ...]:
    """The sums over all ranks in a run of one rank."""
    return tensors


def class_distributions(logits: tf.Tensor, labels: tf.Tensor, temperature: float, total: Total = own_alone,
                        product: Product = tf.matmul) -> Tuple[tf.Tensor, tf.Tensor]:
    """The soft label distribution of every class: softmax of the class's mean logits over ``temperature``.

        s_c = softmax( (1/τ) · mean{ z_i : y_i = c } ), clipped to [1e-8, 1]          (Dou et al. 2019, eq. 4)

    Args:
        logits: [B, C]. labels: int32 [B]. total: see ``ranks.OneRank.total``. product: ``Kernels.exact_product``.

    Returns:
        (float32 [C, C], row c is s_c; float32 [C], 1 where the class is present). The row of an absent class is the
        uniform distribution and carries no gradient: nothing is divided by zero.
    """
    logits = tf.cast(logits, tf.float32)
    classes = logits.shape.as_list()[1]
    membership = tf.one_hot(labels, classes, dtype=tf.float32)
    sums, counts = total(product(membership, logits, transpose_a=True), tf.reduce_sum(membership, axis=0))
    means = sums / tf.maximum(counts, 1.0)[:, tf.newaxis]
    probabilities = tf.clip_by_value(tf.nn.softmax(means / temperature), SMALLEST_PROBABILITY, 1.0)
    return probabilities, tf.cast(counts > 0.0, tf.float32)


def global_loss(train_logits: Sequence[tf.Tensor], train_labels: Sequence[tf.Tensor], test_logits: tf.Tensor,
                test_labels: tf.Tensor, temperature: float = 2.0, total: Total = own_alone,
                product: Product = tf.matmul) -> tf.Tensor:
    """Alignment of class relationships between the meta-test domain b and each meta-train domain a.

        L_global = mean_a (1/C) Σ_{c in both} ½ [ KL(s_c^a ‖ s_c^b) + KL(s_c^b ‖ s_c^a) ]      (eq. 5)

    The sum is divided by C even where fewer classes are present in both domains, as in the reference.

    Args:
        train_logits: list of [B, C], one a meta-train domain; train_labels: list of int32 [B].
        test_logits: [B, C]; test_labels: int32 [B]. total: see ``ranks.OneRank.total``.
        product: ``Kernels.exact_product``.

    Returns:
        float32 scalar.
    """
    q, q_present = class_distributions(test_logits, test_labels, temperature, total, product)
    classes = q.shape.as_list()[0]
    pairs = []
    for logits, labels in zip(train_logits, train_labels):
        p, p_present = class_distributions(logits, labels, temperature, total, product)
        # ½[Σ p log(p/q) + Σ q log(q/p)] = ½ Σ (p − q)(log p − log q)
        divergence = 0.5 * tf.reduce_sum((p - q) * (tf.log(p) - tf.log(q)), axis=1)
        pairs.append(tf.reduce_sum(divergence * p_present * q_present) / classes)
    return tf.add_n(pairs) / len(pairs)


def squared_distances(embeddings: tf.Tensor, product: Product = tf.matmul) -> tf.Tensor:
    """Squared Euclidean distances float32 [G, G] of embeddings [G, E]; exactly 0 on the diagonal, never negative."""
    embeddings = tf.cast(embeddings, tf.float32)
    squares = tf.reduce_sum(tf.square(embeddings), axis=1)
    products = product(embeddings, embeddings, transpose_b=True)
    distances = tf.maximum(squares[:, tf.newaxis] + squares[tf.newaxis, :] - 2.0 * products, 0.0)
    return distances * (1.0 - _identity(embeddings.shape.as_list()[0]))


def local_loss(embeddings: tf.Tensor, labels: tf.Tensor, margin: float, product: Product = tf.matmul) -> tf.Tensor:
    """Semi-hard triplet loss on squared distances d of un-normalised embeddings (FaceNet; the reference's contrib op).

        L = Σ_{a≠p, y_a=y_p} max(0, margin + d(a,p) − d(a,n*)) / max(1, number of pairs (a,p))
        n*(a,p) = the closest image of another class that is farther from a than p is,
                  or, where there is none, the farthest image of another class.

    Where a has no image of another class at all, d(a,n*) is 0, as the reference's masked maximum gives it.

    Args:
        embeddings: [G, E]. labels: int32 [G]. margin: float, in units of squared distance.
        product: ``Kernels.exact_product``.

    Returns:
        float32 scalar.
    """
    distances = squared_distances(embeddings, product)
    size = distances.shape.as_list()[0]
    same = tf.equal(labels[:, tf.newaxis], labels[tf.newaxis, :])
    other = tf.logical_not(same)
    positive = tf.cast(same, tf.float32) * (1.0 - _identity(size))

    # [a, p, n]: is n of another class, and farther from a than p?
    to_negative = tf.tile(distances[:, tf.newaxis, :], [1, size, 1])
    farther = tf.logical_and(tf.tile(other[:, tf.newaxis, :], [1, size, 1]),
                             to_negative > distances[:, :, tf.newaxis])
    unreachable = tf.fill([size, size, size], tf.float32.max)
    closest_farther = tf.reduce_min(tf.where(farther, to_negative, unreachable), axis=2)
    farthest = tf.reduce_max(tf.where(other, distances, tf.zeros_like(distances)), axis=1, keepdims=True)
    has_farther = tf.reduce_any(farther, axis=2)
    negative = tf.where(has_farther, closest_farther, tf.tile(farthest, [1, size]))

    excess = tf.maximum(margin + distances - negative, 0.0) * positive
    return tf.reduce_sum(excess) / tf.maximum(tf.reduce_sum(positive), 1.0)


def _identity(size: int) -> "tf.Tensor":
    """The identity matrix, float32 [size, size]. ``tf.eye`` builds an operation that CANN does not list."""
    return tf.one_hot(tf.range(size), size)
