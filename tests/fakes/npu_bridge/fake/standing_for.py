"""A mark on operations that stand for the device's own, so that who reads a graph does not take them for others."""
import contextlib

import tensorflow.compat.v1 as tf
from tensorflow.core.framework import attr_value_pb2


@contextlib.contextmanager
def standing_for(op_type):
    mark = attr_value_pb2.AttrValue(s=op_type.encode("utf-8"))
    with tf.get_default_graph()._attr_scope({"_stands_for": mark}):
        yield
