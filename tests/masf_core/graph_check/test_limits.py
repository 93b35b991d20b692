"""What an Ascend 910 does not take is found in graphs that have it, and in none of ours."""
from __future__ import annotations

import pytest
from tensorflow.python.framework import function

from masf_core.graph_check import limits
from masf_core.tf1 import IS_TF2, tf


def found(build, step=False):
    """(type, what) of each problem in the graph that ``build`` makes; with ``step`` what it returns is the step."""
    graph = tf.Graph()
    with graph.as_default():
        fetch = build()
    told = limits.problems(graph, [fetch] if step else None)
    for problem in told:
        assert problem.why and problem.mend and problem.op in str(problem)
        assert not problem.mend.endswith(".") and not problem.why.endswith(".")
    return [(problem.type, problem.what) for problem in told]


def saved():
    return tf.train.Saver([tf.Variable(tf.zeros([3]), use_resource=False)])


def floats(*shape):
    return tf.placeholder(tf.float32, shape)


def looped():
    tf.disable_control_flow_v2()
    return tf.while_loop(lambda i: i < 3, lambda i: i + 1, [floats()])


def queued():
    return tf.FIFOQueue(3, [tf.float32], [[]]).dequeue()


def iterated():
    return tf.data.make_one_shot_iterator(tf.data.Dataset.from_tensors(1.0)).get_next()


def temporary():
    return tf.raw_ops.TemporaryVariable(shape=[2], dtype=tf.float32)


def in_a_function():
    tf.enable_control_flow_v2()
    try:
        return tf.cond(floats() > 0.0, lambda: tf.while_loop(lambda i: i < 3, lambda i: i + 1, [0]), lambda: 0)
    finally:
        tf.disable_control_flow_v2()


@pytest.mark.parametrize("build, op_type, what", [
    (lambda: tf.placeholder(tf.float32, [None, 3]), "Placeholder", "a placeholder of shape float32 [?, 3]"),
    (lambda: tf.placeholder(tf.float32), "Placeholder", "a placeholder of shape float32 ?"),
    (lambda: tf.placeholder_with_default(tf.zeros([2]), [None]), "PlaceholderWithDefault",
     "a placeholder of shape float32 [?]"),
    (lambda: tf.unique(tf.placeholder(tf.int32, [5]))[0], "Unique", "an output of shape int32 [?]"),
    (lambda: tf.boolean_mask(floats(4), tf.placeholder(tf.bool, [4])), "Where", "an output of shape int64 [?, 1]"),
    (lambda: tf.cast(floats(2), tf.float64), "Cast", "float64"),
    (lambda: tf.complex(floats(2), floats(2)), "Complex", "complex numbers"),
    (lambda: tf.as_string(floats(2)), "AsString", "a string"),
    (lambda: tf.raw_ops.EmptyTensorList(element_shape=[2], max_num_elements=3, element_dtype=tf.float32),
     "EmptyTensorList", "a variant"),
    (lambda: tf.get_variable("v", [2], use_resource=True), "VarHandleOp", "a resource"),
    (looped, "LoopCond", "a loop in the graph"),
    (queued, "FIFOQueueV2", "a queue or reader in the graph"),
    (queued, "QueueDequeueV2", "a queue or reader in the graph"),
    (lambda: tf.TextLineReader(), "TextLineReaderV2", "a queue or reader in the graph"),
    (iterated, "IteratorGetNext", "a dataset or iterator in the graph"),
    (lambda: tf.py_func(lambda x: x, [floats(2)], tf.float32), "PyFunc", "Python called from the graph"),
    (lambda: tf.summary.scalar("x", floats()), "ScalarSummary", "a summary in the graph"),
    (temporary, "TemporaryVariable", "a variable made anew in each iteration"),
    (lambda: tf.random.uniform([2]), "RandomUniform", "random numbers with a state of their own"),
    (lambda: tf.random.normal([2]), "RandomStandardNormal", "random numbers with a state of their own"),
    (lambda: tf.random.truncated_normal([2]), "TruncatedNormal", "random numbers with a state of their own"),
    (lambda: tf.random.shuffle(floats(2)), "RandomShuffle", "random numbers with a state of their own"),
    (lambda: tf.nn.dropout(floats(2), rate=0.5), "RandomUniform", "random numbers with a state of their own"),
])
def test_what_the_device_does_not_take_is_found(build, op_type, what):
    assert (op_type, what) in found(build)


def test_what_is_hidden_in_a_branch_is_found():
    assert any("a loop" in what for _, what in found(in_a_function))
    assert ("Mul", "float64") in found(lambda: twice(floats(2)))


def twice(x):
    """2x, computed in float64 in a function of the graph."""
    @function.Defun(tf.float32)
    def computed(value):
        wide = tf.cast(value, tf.float64)
        return tf.cast(wide * wide.dtype.as_numpy_dtype(2.0), tf.float32)

    return computed(x)


def test_a_text_that_is_fetched_is_found():
    assert ("Const", "a string") in found(lambda: tf.constant("text"), step=True)


@pytest.mark.parametrize("build", [
    lambda: tf.cond(floats() > 0.0, lambda: tf.constant(1.0), lambda: tf.constant(2.0)),
    lambda: tf.nn.softmax(tf.matmul(floats(2, 3), tf.Variable(tf.zeros([3, 4]), use_resource=False))),
    lambda: tf.gradients(tf.reduce_sum(floats(3, 1) * floats(4)), tf.trainable_variables()),
    lambda: tf.gradients(tf.reduce_sum(tf.square(floats(3, 4))), []),
    lambda: tf.train.AdamOptimizer(0.1).minimize(tf.reduce_sum(tf.Variable(tf.zeros([3]), use_resource=False))),
    lambda: tf.random.stateless_uniform([4], seed=tf.placeholder(tf.int32, [2])),
    saved,
])
def test_what_the_device_takes_is_left_alone(build):
    assert found(build) == []


def test_shape_arithmetic_of_broadcasts_is_known_to_the_compiler():
    def build():
        x = floats(3, 1)
        return tf.gradients(tf.reduce_sum(x * floats(1, 4)), x)

    graph = tf.Graph()
    with graph.as_default():
        build()
    # TensorFlow 1.15 has operations of unknown shape there, which depend on shapes alone.
    assert IS_TF2 or any(not tensor.shape.is_fully_defined() for op in graph.get_operations() for tensor in op.outputs)
    assert limits.problems(graph) == []


def test_strings_may_stay_on_the_host():
    def build():
        with tf.get_default_graph()._attr_scope({limits.HOST_MARK: _true()}):
            return tf.as_string(floats(2))

    assert found(build) == []


def test_a_step_that_fills_its_variables_again_is_found():
    def build():
        variable = tf.Variable(tf.zeros([3]), use_resource=False)
        with tf.control_dependencies([variable.initializer]):
            return tf.assign_add(variable, tf.ones([3]))

    assert found(build, step=True) == [("Assign", "a variable filled again in each iteration")]
    assert found(build) == []


def test_dropout_is_no_problem_and_worth_a_remark():
    graph = tf.Graph()
    with graph.as_default():
        tf.random.stateless_uniform([4], seed=tf.placeholder(tf.int32, [2]))
    assert [remark for remark in limits.remarks(graph) if "npu_ops.dropout" in remark]
    assert limits.remarks(tf.Graph()) == []


@pytest.mark.parametrize("build, op_type, why", [
    (lambda: tf.reverse(tf.placeholder(tf.uint8, [2, 5, 7, 3]), [3]), "ReverseV2", "moves every element by itself"),
    (lambda: tf.nn.local_response_normalization(floats(2, 5, 7, 3)), "LRN", "NCHW only"),
    (lambda: tf.random.stateless_uniform([4], seed=tf.placeholder(tf.int32, [2])), "StatelessRandomUniform",
     "masks are drawn on AICPU"),
    (lambda: tf.unique(tf.placeholder(tf.int32, [5]))[0], "Unique", "no kernel for the AI cores"),
])
def test_a_slow_kernel_is_worth_a_remark(build, op_type, why):
    graph = tf.Graph()
    with graph.as_default():
        build()
    (told,) = [remark for remark in limits.remarks(graph) if "slow" in remark]
    assert f"slow on an Ascend 910: {op_type}" in told and "(1 of them, for example " in told and why in told


@pytest.mark.parametrize("build", [
    lambda: tf.reverse(floats(2, 5, 7, 3), [1, 2]),
    lambda: tf.reverse(floats(2, 3), tf.placeholder(tf.int32, [1])),  # an axis that is not known
    lambda: tf.math.invert_permutation(tf.constant([1, 0])),  # computed before
    lambda: tf.nn.relu(floats(3)),
])
def test_other_kernels_get_no_remark(build):
    graph = tf.Graph()
    with graph.as_default():
        build()
    assert limits.remarks(graph) == []


def _true():
    from tensorflow.core.framework import attr_value_pb2
    return attr_value_pb2.AttrValue(b=True)
