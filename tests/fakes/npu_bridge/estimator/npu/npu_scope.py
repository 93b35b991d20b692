"""Scopes that mark operations for the compiler."""
import contextlib

import tensorflow.compat.v1 as tf
from tensorflow.core.framework import attr_value_pb2

from npu_bridge.fake.releases import at_least


@contextlib.contextmanager
def without_npu_compile_scope():
    with tf.get_default_graph()._attr_scope({"_without_npu_compile": attr_value_pb2.AttrValue(b=True)}):
        yield


@contextlib.contextmanager
def keep_dtype_scope():
    mark = attr_value_pb2.AttrValue(i=1) if at_least("r1.6") else attr_value_pb2.AttrValue(b=True)
    with tf.get_default_graph()._attr_scope({"_keep_dtype": mark}):
        yield
