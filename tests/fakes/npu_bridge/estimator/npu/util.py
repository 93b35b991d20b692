"""What the adapter reads of its surroundings."""
import os

import tensorflow.compat.v1 as tf

from npu_bridge.fake.not_run import not_run

_values = None


def get_ranksize():
    """The number of ranks, a text."""
    by_rank, by_worker = os.environ.get("RANK_SIZE"), os.environ.get("CM_WORKER_SIZE")
    if by_rank and by_worker:
        raise ValueError("RANK_SIZE and CM_WORKER_SIZE cannot be set at the same time")
    return by_rank or by_worker or "1"


def global_dict_init():
    global _values
    _values = {}


def set_value(key, value):
    _values[key] = value


def get_value(key, def_value=None):
    if _values is None:
        raise RuntimeError("init_resource has not been called")
    return _values.get(key, def_value)


def set_iteration_per_loop(sess, train_op, iterations_per_loop=1):
    """Several iterations in one run of the session, of which this stand-in takes one alone."""
    _check_operation(train_op)
    return train_op if iterations_per_loop == 1 else _loop(sess, train_op, iterations_per_loop)


@not_run
def _loop(sess, train_op, iterations_per_loop):
    pass


class IterationPerLoop:
    def create_iteration_per_loop_var(self, train_op):
        _check_operation(train_op)
        return tf.group(train_op, name="IterationOp")

    @not_run
    def load_iteration_per_loop_var(self, sess, iterations_per_loop=1):
        pass


def _check_operation(train_op):
    if not isinstance(train_op, tf.Operation):
        raise ValueError(f"The incoming 'train_op' type is '{type(train_op).__name__}', and the need type is "
                         "'Operation'")
