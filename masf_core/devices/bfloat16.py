"""Whether this processor computes in bfloat16, found out by trying: TensorFlow has no function that says so."""
from __future__ import annotations

import numpy as np

from masf_core.tf1 import tf


def narrows_products(config: "tf.ConfigProto") -> bool:
    """Whether a session of this configuration computes a convolution in bfloat16. It takes some 30 ms.

    oneDNN does so from AVX-512 on. Without it TensorFlow leaves the products in float32 and says nothing; where
    ONEDNN_MAX_CPU_ISA forbids AVX-512, it narrows them, and the first one that is run fails.
    """
    with tf.Graph().as_default(), tf.Session(config=config) as session:
        x, filters = tf.placeholder(tf.float32, [1, 8, 8, 8]), tf.placeholder(tf.float32, [3, 3, 8, 8])
        y = x
        for _ in range(2):  # what is smaller than this is not rewritten
            y = tf.nn.relu(tf.nn.conv2d(y, filters, strides=[1, 1, 1, 1], padding="SAME"))
        metadata = tf.RunMetadata()
        try:
            session.run(y, {tensor: np.ones(tensor.shape.as_list(), np.float32) for tensor in (x, filters)},
                        options=tf.RunOptions(output_partition_graphs=True), run_metadata=metadata)
        except tf.errors.OpError:
            return False
    return any(node.attr["T"].type == tf.bfloat16.as_datatype_enum and "Conv2D" in node.op
               for part in metadata.partition_graphs for node in part.node)
