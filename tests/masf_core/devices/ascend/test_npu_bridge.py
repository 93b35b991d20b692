"""The stand-in of the Ascend adapter fails where the real one does; its names are in ``test_npu_bridge_names``."""
from __future__ import annotations

import importlib

import numpy as np
import pytest

from masf_core.tf1 import tf
from tests.masf_core.devices.ascend import stand_in

@pytest.fixture
def fake(monkeypatch):
    monkeypatch.delenv("JOB_ID", raising=False)
    with stand_in.npu_bridge(monkeypatch) as installed:
        yield installed


@pytest.fixture
def init(fake):
    return importlib.import_module("npu_bridge.npu_init")


def configuration(**options):
    """A session's configuration with what the adapter needs. options: name=(field, value)."""
    config = tf.ConfigProto()
    rewrite = config.graph_options.rewrite_options
    rewrite.remapping = rewrite.memory_optimization = rewrite.OFF
    optimizer = rewrite.custom_optimizers.add()
    optimizer.name = "NpuOptimizer"
    for name, (field, value) in options.items():
        setattr(optimizer.parameter_map[name], field, value)
    return config


def run(fetches, feeds=None, **options):
    with tf.Session(config=configuration(**options)) as session:
        session.run(tf.global_variables_initializer())
        return session.run(fetches, feeds)


# -- sessions

def test_options_are_recorded_and_kept_from_tensorflow(fake):
    with tf.Graph().as_default():
        assert run(tf.constant(2.0), precision_mode=("s", b"force_fp32"), hccl_timeout=("i", 60)) == 2.0
    assert fake.records("session")[-1]["options"] == {"precision_mode": "force_fp32", "hccl_timeout": 60}


@pytest.mark.parametrize("options, problem", [
    (dict(precision_mod=("s", b"force_fp32")), "precision_mod.s: r1.9 knows no such option"),
    (dict(precision_mode=("b", True)), "precision_mode.b: r1.9 reads it from .s"),
    (dict(deterministic=("i", 1)), "deterministic.i: r1.9 knows no such option"),
    (dict(precision_mode=("s", b"mixed")), "precision_mode mixed is none of force_fp32"),
    (dict(modify_mixlist=("s", b"/m")), "modify_mixlist is assigned"),
    (dict(modify_mixlist=("s", b"/m"), precision_mode=("s", b"force_fp16")), "modify_mixlist is assigned"),
    (dict(enable_compress_weight=("b", False), compress_weight_conf=("s", b"/c")), "can not use with compress_weight"),
    (dict(aoe_mode=("s", b"5")), "aoe_mode 5 is none of 1, 2, 4"),
    (dict(enable_dump=("b", True)), "dump_path must be set"),
    (dict(dump_path=("s", b"/no/such/folder")), "the path /no/such/folder is not directory"),
    (dict(graph_run_mode=("i", 2)), "graph_run_mode value must be 0 or 1"),
])
def test_an_option_that_the_adapter_would_pass_over_raises(fake, options, problem):
    with pytest.raises(ValueError, match=problem):
        tf.Session(config=configuration(**options))


def test_grapplers_rewrites_must_be_off(fake):
    config = configuration()
    config.graph_options.rewrite_options.remapping = config.graph_options.rewrite_options.ON
    with pytest.raises(ValueError, match="remapping must be OFF"):
        tf.Session(config=config)


def test_the_import_gives_every_session_to_the_adapter_from_r19_on(monkeypatch):
    for release, taken in [("r1.5", False), ("r1.9", True), ("master", True)]:
        with stand_in.npu_bridge(monkeypatch, release) as fake, tf.Graph().as_default():
            tf.Session().close()
            assert bool(fake.records("session")) == taken
    with tf.Graph().as_default(), tf.Session() as session:  # and none after it has gone
        session.run(tf.constant("a string"))


def test_a_second_shape_is_an_error_up_to_r110(monkeypatch):
    for release, fails in [("r1.5", True), ("r1.9", True), ("r1.10", True), ("r1.11", False), ("master", False)]:
        with stand_in.npu_bridge(monkeypatch, release) as fake, tf.Graph().as_default():
            fed = tf.placeholder(tf.float32, name="images")
            total = tf.reduce_sum(fed)
            with tf.Session(config=configuration()) as session:
                for _ in range(2):
                    assert session.run(total, {fed: np.ones(3)}) == 3.0
                if fails:
                    with pytest.raises(tf.errors.InternalError,
                                       match=r"input shape of images:0 is dynamic.* npu option\[dynamic_input\]"):
                        session.run(total, {fed: np.ones(4)})
                else:
                    assert session.run(total, {fed: np.ones(4)}) == 4.0
                    assert [entry["anew"] for entry in fake.records("graph")] == [False, True]


def forbidden():
    """What must not be compiled, by what is wrong with it."""
    queue = tf.queue.FIFOQueue(1, [tf.float32])
    return {
        "a loop": tf.while_loop(lambda i: i < 3, lambda i: i + 1, [0]),
        "of type float64": tf.constant(1.0, tf.float64) + 1.0,
        "of type string": tf.constant("text"),
        "queue input": queue.dequeue(),
        "shape .* is not known": tf.boolean_mask(tf.constant([1.0, 2.0]), [True, False]) + 1.0,
    }


@pytest.mark.parametrize("what", ["a loop", "of type float64", "of type string", "queue input",
                                  "shape .* is not known"])
def test_what_the_device_has_no_operation_for_raises(fake, what):
    with tf.Graph().as_default():
        with pytest.raises(Exception, match=what) as caught:
            run(forbidden()[what])
        assert caught.typename == "NotForTheDevice"


def test_a_condition_is_for_the_device_and_what_is_kept_from_it_may_be_anything(fake, init):
    with tf.Graph().as_default():
        assert run(tf.cond(tf.constant(True), lambda: 1.0, lambda: 2.0)) == 1.0
        with init.npu_scope.without_npu_compile_scope():
            text = tf.constant("text")
        assert run(text) == b"text"


def test_only_what_is_run_is_compiled(fake):
    with tf.Graph().as_default():
        forbidden()
        assert run(tf.constant(1.0) + 1.0) == 2.0


# -- dropout

def test_dropout_drops_scales_and_passes_gradients_through_the_same_mask(fake, init):
    with tf.Graph().as_default():
        x = tf.ones([1000])
        y = init.npu_ops.dropout(x, 0.8)
        value, slope = run([y, tf.gradients(y, x)[0]])
    assert set(np.unique(value)) == {0.0, 1.25} and 0.7 < np.mean(value > 0) < 0.9
    np.testing.assert_array_equal(slope, value)
    with tf.Graph().as_default(), pytest.raises(ValueError, match="keep_prob"):
        init.npu_ops.dropout(tf.ones([2]), 0.0)


# -- loss scaling

def scaled(init, manager, x=1.0):
    """One iteration of plain descent on w · x under a loss scale: (session, train, w)."""
    w = tf.Variable([[1.0]], use_resource=False)
    optimizer = init.NPULossScaleOptimizer(tf.train.GradientDescentOptimizer(0.5), manager)
    loss = tf.reduce_sum(tf.matmul(w, tf.constant([[x]])))
    train = optimizer.apply_gradients(optimizer.compute_gradients(loss, [w]))
    session = tf.Session(config=configuration())
    session.run(tf.global_variables_initializer())
    return session, train, w


def test_an_overflow_of_a_scaled_product_skips_the_iteration_and_lowers_the_scale(fake, init):
    with tf.Graph().as_default():
        manager = init.ExponentialUpdateLossScaleManager(2 ** 17, 2, decr_every_n_nan_or_inf=1, decr_ratio=0.5)
        session, train, w = scaled(init, manager)
        seen = []
        for _ in range(5):
            session.run(train)
            seen.append((session.run(manager.get_loss_scale()), session.run(w)[0, 0]))
        session.close()
    # 2¹⁷ and 2¹⁶ are beyond 65504; after two good iterations the scale doubles.
    assert seen == [(2.0 ** 16, 1.0), (2.0 ** 15, 1.0), (2.0 ** 15, 0.5), (2.0 ** 16, 0.0), (2.0 ** 15, 0.0)]


def test_an_overflow_on_request_and_a_fixed_scale(fake, init):
    with tf.Graph().as_default():
        session, train, w = scaled(init, init.FixedLossScaleManager(1024))
        fake.overflow_in(1)
        values = []
        for _ in range(3):
            session.run(train)
            values.append(session.run(w)[0, 0])
        session.close()
    assert values == [0.5, 0.5, 0.0]


def test_a_fixed_scale_that_is_not_checked_always_applies(fake, init):
    with tf.Graph().as_default():
        session, train, w = scaled(init, init.FixedLossScaleManager(1024, enable_overflow_check=False))
        fake.overflow_in(0)
        session.run(train)
        assert session.run(w)[0, 0] == 0.5
        session.close()
    with pytest.raises(ValueError, match="at least 1"):
        init.FixedLossScaleManager(0.5)


def test_the_register_keeps_an_overflow_until_it_is_cleared(fake):
    from npu_bridge.fake import float_status

    fake.overflow_in(0)
    with tf.Graph().as_default(), tf.Session(config=configuration()) as session:
        status, clear = float_status.get_status(), float_status.clear_status()
        assert session.run(status).all() and session.run(status).all()
        session.run(clear)
        assert session.run(status).sum() == 0.0


@pytest.mark.parametrize("release, type_, shape, operations", [
    ("r1.9", tf.float32, [1], "npu_alloc_float_status npu_get_float_status npu_clear_float_status"),
    ("r1.10", tf.int32, [8], "npu_get_float_status_v2 npu_clear_float_status_v2")])
def test_the_status_has_the_type_and_shape_of_its_release(monkeypatch, release, type_, shape, operations):
    with stand_in.npu_bridge(monkeypatch, release), tf.Graph().as_default():
        made = importlib.import_module("npu_bridge.helper.helper").get_gen_ops()
        assert {name for name in vars(made) if "status" in name} == set(operations.split())
        status = importlib.import_module("npu_bridge.fake.float_status").get_status()
        assert (status.dtype, status.shape.as_list()) == (type_, shape)
        if release == "r1.10":
            assert isinstance(made.npu_clear_float_status_v2(), tf.Operation)


@pytest.mark.parametrize("release, field", [("r1.5", "b"), ("r1.6", "i"), ("master", "i")])
def test_the_mark_that_keeps_a_type_has_the_field_of_its_release(monkeypatch, release, field):
    with stand_in.npu_bridge(monkeypatch, release), tf.Graph().as_default():
        with importlib.import_module("npu_bridge.npu_init").npu_scope.keep_dtype_scope():
            made = tf.constant(1.0)
        assert made.op.node_def.attr["_keep_dtype"].WhichOneof("value") == field


# -- several ranks

class Doubled:
    """Two ranks that have the same."""

    rank, size = 0, 2

    def all_reduce(self, tensor, reduction):
        return 2.0 * tensor

    def broadcast(self, tensor, root):
        return tensor + 100.0


def test_ranks_are_not_known_before_the_collectives_have_been_initialised(fake, init):
    with tf.Graph().as_default():
        for ask in (init.get_rank_id, init.get_rank_size, init.get_npu_rank_id):
            with pytest.raises(RuntimeError):
                ask()
        session, shutdown = init.init_resource()
        assert (init.get_rank_id(), init.get_rank_size(), init.get_npu_rank_size()) == (0, 1, 1)
        init.shutdown_resource(session, shutdown)
        init.close_session(session)
        with pytest.raises(RuntimeError, match="initialize_system"):
            init.get_rank_id()


def test_one_rank_averages_nothing(fake, init):
    with tf.Graph().as_default():
        w = tf.Variable(3.0)
        optimizer = init.NPUDistributedOptimizer(tf.train.GradientDescentOptimizer(1.0))
        assert run(optimizer.compute_gradients(2.0 * w, [w])[0][0]) == 2.0
        assert run(init.npu_allreduce(tf.constant(5.0))) == 5.0
        assert run(init.hccl_ops.broadcast([tf.constant(7.0)], 0)) == [7.0]


def test_several_ranks_need_an_engine_and_averaging_a_job_id(fake, init, monkeypatch):
    monkeypatch.setenv("RANK_SIZE", "2")
    with tf.Graph().as_default():
        with pytest.raises(RuntimeError, match="no engine for several ranks"):
            init.hccl_ops.allreduce(tf.constant(1.0), "sum")
        fake.use_engine(Doubled())
        w = tf.Variable(3.0)
        optimizer = init.NPUDistributedOptimizer(tf.train.GradientDescentOptimizer(1.0))
        with pytest.raises(AttributeError, match="'NoneType' object has no attribute '_rank_size'"):
            optimizer.compute_gradients(2.0 * w, [w])
        assert run(init.npu_allreduce(tf.constant(5.0), "sum")) == 10.0  # with a warning, as the adapter's
        assert fake.records("warning") == [{"what": "warning", "text": "JOB_ID is not set"}]
        monkeypatch.setenv("JOB_ID", "10087")
        assert run(optimizer.compute_gradients(2.0 * w, [w])[0][0]) == 2.0
        assert run(init.npu_allreduce(tf.constant(5.0), "sum")) == 10.0
        with pytest.raises(TypeError, match="int8, int32, float16 and float32"):
            init.hccl_ops.allreduce(tf.constant(1, tf.int64), "sum")
        with pytest.raises(TypeError, match="Expected list"):
            init.hccl_ops.broadcast(tf.constant(1.0), 0)


def test_a_broadcast_of_variables_leaves_out_those_that_are_not_trained(fake, init, monkeypatch):
    from npu_bridge.estimator.npu import npu_hook

    monkeypatch.setenv("JOB_ID", "10087")
    fake.use_engine(Doubled())
    with tf.Graph().as_default(), tf.Session(config=configuration()) as session:
        trained, moment = tf.Variable(1.0), tf.Variable(1.0, trainable=False)
        session.run(tf.global_variables_initializer())
        session.run(npu_hook.broadcast_global_variables(0))
        assert session.run([trained, moment]) == [101.0, 1.0]


def test_two_ways_to_say_how_many_ranks_there_are_exclude_each_other(fake, init, monkeypatch):
    assert init.util.get_ranksize() == "1"
    monkeypatch.setenv("CM_WORKER_SIZE", "4")
    assert init.util.get_ranksize() == "4"
    monkeypatch.setenv("RANK_SIZE", "4")
    with pytest.raises(ValueError, match="at the same time"):
        init.util.get_ranksize()
