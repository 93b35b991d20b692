"""The stand-in of the Ascend adapter has every name that the adapter's interface publishes, and its signatures."""
from __future__ import annotations

import importlib
import inspect

import pytest

from masf_core.tf1 import tf
from tests.masf_core.devices.ascend import stand_in

GROUP = "group='hccl_world_group'"
# Place → {name: signature}, from the adapter's published interface. That of a class is its constructor's.
INTERFACE = {
    "npu_bridge.estimator.npu.npu_optimizer": {
        "NPUDistributedOptimizer": "(optimizer, is_weight_update_sharding=False, name=None)",
        "npu_distributed_optimizer_wrapper": "(optimizer)",
        "NPUOptimizer": "(opt, loss_scale_manager=None, is_distributed=False, is_loss_scale=False, "
                        "is_tailing_optimization=False, name=None)",
        "KerasDistributeOptimizer": "(optimizer, name='NpuKerasOptimizer', **kwargs)",
        "npu_allreduce": "(values, reduction='mean', fusion=1, fusion_id=-1, " + GROUP + ")"},
    "npu_bridge.estimator.npu.npu_loss_scale_optimizer": {
        "NPULossScaleOptimizer": "(opt, loss_scale_manager, is_distributed=False)"},
    "npu_bridge.estimator.npu.npu_loss_scale_manager": {
        "FixedLossScaleManager": "(loss_scale, enable_overflow_check=True)",
        "ExponentialUpdateLossScaleManager": "(init_loss_scale, incr_every_n_steps, decr_every_n_nan_or_inf=2, "
                                             "incr_ratio=2, decr_ratio=0.8)"},
    "npu_bridge.estimator.npu.npu_estimator": {
        "NPUEstimator": "(model_fn=None, model_dir=None, config=None, params=None, job_start_file='', "
                        "warm_start_from=None)"},
    "npu_bridge.estimator.npu.npu_config": {
        "ProfilingConfig": "(enable_profiling=False, profiling_options=None)",
        "DynamicInputConfig": "(input_shape, dynamic_dims, dynamic_node_type)", "decorator_tf_session": "(func)"},
    "npu_bridge.estimator.npu.npu_hook": {
        "NPUBroadcastGlobalVariablesHook": "(root_rank=None, index=None)",
        "NPUCheckpointSaverHook": "(checkpoint_dir, save_secs=None, save_steps=None, saver=None, "
                                  "checkpoint_basename='model.ckpt', scaffold=None, listeners=None)",
        "NPUOutputTensorHook": "(tensors, dependencies=None, output_fn=None, output_every_n_steps=0)",
        "SetIterationsVarHook": "(iterations_per_loop=None)",
        "TellMeStepOrLossHook": "(step=None, total_step=None, loss=None, final_loss=None)",
        "broadcast_global_variables": "(root_rank)"},
    "npu_bridge.estimator.npu.npu_callbacks": {"NPUBroadcastGlobalVariablesCallback": "(root_rank)"},
    "npu_bridge.estimator.npu_ops": {
        "initialize_system": "(name=None)", "shutdown_system": "(name=None)",
        "dropout": "(x, keep_prob, noise_shape=None, seed=None, name=None)"},
    "npu_bridge.estimator.npu.npu_scope": {"without_npu_compile_scope": "()", "keep_dtype_scope": "()"},
    "npu_bridge.estimator.npu.npu_plugin": {"npu_resource_shutdown": "()"},
    "npu_bridge.estimator.npu.util": {
        "set_iteration_per_loop": "(sess, train_op, iterations_per_loop=1)",
        "IterationPerLoop.create_iteration_per_loop_var": "(self, train_op)",
        "IterationPerLoop.load_iteration_per_loop_var": "(self, sess, iterations_per_loop=1)"},
    "npu_bridge.hccl.hccl_ops": {
        "allreduce": "(tensor, reduction, fusion=1, fusion_id=-1, " + GROUP + ")",
        "allgather": "(tensor, rank_size, " + GROUP + ")",
        "broadcast": "(tensor, root_rank, fusion=2, fusion_id=0, " + GROUP + ")",
        "reduce": "(tensor, reduction, root_rank, fusion=0, fusion_id=-1, " + GROUP + ")",
        "reduce_scatter": "(tensor, reduction, rank_size, " + GROUP + ")"},
    "hccl.manage.api": {
        "create_group": "(group, rank_num, rank_ids)", "destroy_group": "(group)",
        "get_rank_size": "(" + GROUP + ")", "get_rank_id": "(" + GROUP + ")",
        "get_local_rank_size": "(" + GROUP + ")", "get_local_rank_id": "(" + GROUP + ")",
        "get_world_rank_from_group_rank": "(group, group_rank_id)",
        "get_group_rank_from_world_rank": "(world_rank_id, group)"},
    "hccl.split.api": {
        "set_split_strategy_by_idx": "(idxList, " + GROUP + ")",
        "set_split_strategy_by_size": "(dataSizeList, " + GROUP + ")"},
    "npu_bridge.npu_init": {
        "npu_hooks_append": "(hooks_list=())", "npu_callbacks_append": "(callbacks_list=())",
        "npu_config_proto": "(config_proto=None)", "npu_graph_options": "(graph_options=None)",
        "npu_optimizer_options": "(optimizer_options=None)", "npu_run_config_init": "(run_config=None)",
        "set_keras_session_npu_config": "(config=None)", "init_resource": "(config=None)",
        "shutdown_resource": "(sess, npu_shutdown)", "close_session": "(sess)", "get_npu_rank_id": "()",
        "get_npu_local_rank_id": "()", "get_npu_rank_size": "()", "get_npu_local_rank_size": "()",
        "npu_keras_optimizer": "(opt)", "npu_tf_optimizer": "(opt)", "npu_clear_session": "(config=None)",
        "NpuEmptyHook": None},
}
NEWEST = {"npu_bridge.hccl.hccl_ops": {
    "allgather": "(tensor, rank_size, fusion=0, fusion_id=-1, " + GROUP + ")",
    "reduce_scatter": "(tensor, reduction, rank_size, fusion=0, fusion_id=-1, " + GROUP + ")"}}
OLDEST = {"npu_bridge.estimator.npu.npu_hook": {"broadcast_global_variables": "(root_rank, index)"}}
OLDEST_LACKING = {"npu_bridge.npu_init": ("get_npu_local_rank_size", "npu_callbacks_append", "npu_clear_session")}

# What `from npu_bridge.npu_init import *` brings in the newest release.
EXPORTED = set("""
    NPURunConfig ProfilingConfig MemoryConfig DumpConfig DynamicInputConfig decorator_tf_session
    NPUEstimator NPUEstimatorSpec
    NPUCheckpointSaverHook NPUOutputTensorHook NPUBroadcastGlobalVariablesHook SetIterationsVarHook TellMeStepOrLossHook
    NPUDistributedOptimizer KerasDistributeOptimizer npu_distributed_optimizer_wrapper NPUOptimizer npu_allreduce
    NPULossScaleOptimizer FixedLossScaleManager ExponentialUpdateLossScaleManager NPUBroadcastGlobalVariablesCallback
    npu_ops npu_rnn npu_scope keras_to_npu npu_strategy util npu_plugin hccl_ops npu_embedding npu_unary_ops
    config_pb2 rewriter_config_pb2 RewriterConfig session session_run_hook backend
    create_group destroy_group get_rank_size get_local_rank_size get_rank_id get_local_rank_id
    get_world_rank_from_group_rank get_group_rank_from_world_rank set_split_strategy_by_idx set_split_strategy_by_size
    tf os experimental_options NpuEmptyHook
    npu_hooks_append npu_callbacks_append npu_config_proto npu_graph_options npu_optimizer_options npu_run_config_init
    set_keras_session_npu_config init_resource shutdown_resource close_session get_npu_rank_id get_npu_local_rank_id
    get_npu_rank_size get_npu_local_rank_size npu_keras_optimizer npu_tf_optimizer npu_clear_session
""".split())
# What each release exports that the one before it does not, by the published code.
NEW = {
    "r1.5": "", "r1.6": "npu_distributed_optimizer_wrapper npu_allreduce NPUBroadcastGlobalVariablesCallback "
                        "npu_callbacks_append npu_clear_session",
    "r1.7": "", "r1.8": "get_npu_local_rank_size", "r1.9": "MemoryConfig decorator_tf_session",
    "r1.10": "SetIterationsVarHook", "r1.11": "", "r1.12": "", "r1.13": "npu_plugin npu_embedding", "r1.14": "",
    "r1.15": "TellMeStepOrLossHook", "master": ""}


@pytest.fixture
def init(monkeypatch):
    with stand_in.npu_bridge(monkeypatch, "master"):
        yield importlib.import_module("npu_bridge.npu_init")


@pytest.mark.parametrize("release, changed", [("r1.5", OLDEST), ("r1.9", {}), ("r1.10", NEWEST), ("master", NEWEST)])
def test_names_and_signatures_are_the_adapters(monkeypatch, release, changed):
    with stand_in.npu_bridge(monkeypatch, release):
        for place, names in INTERFACE.items():
            module = importlib.import_module(place)
            expected = dict(names, **changed.get(place, {}))
            if release == "r1.5":
                expected = {name: text for name, text in expected.items() if name not in OLDEST_LACKING.get(place, ())}
            assert {name: signature(module, name) for name in expected if expected[name]} == {
                name: text for name, text in expected.items() if text}, place


def signature(module, name):
    for part in name.split("."):
        module = getattr(module, part)
    return str(inspect.signature(module))


@pytest.mark.parametrize("release", NEW)
def test_a_release_exports_what_the_real_one_does_and_nothing_else(monkeypatch, release):
    with stand_in.npu_bridge(monkeypatch, release):
        found = vars(importlib.import_module("npu_bridge.npu_init"))
    releases = list(NEW)
    lacking = " ".join(NEW[later] for later in releases[releases.index(release) + 1:])
    assert {name for name in found if not name.startswith("_")} == EXPORTED - set(lacking.split())


def test_resources_are_taken_with_the_arguments_that_every_release_has(init):
    parameters = inspect.signature(init.npu_plugin.npu_resource_init).parameters
    assert list(parameters)[:2] == ["graph_run_mode", "op_debug_level"]
    assert {name: parameters[name].default for name in ("graph_run_mode", "op_debug_level", "precision_mode")} == {
        "graph_run_mode": 1, "op_debug_level": 0, "precision_mode": None}


@pytest.mark.parametrize("name, arguments", [
    ("NPURunConfig", ()), ("NPUEstimator", ()), ("NPUEstimatorSpec", ("train",)), ("DynamicInputConfig", (1, 2, 3)),
    ("NPUCheckpointSaverHook", ("/d",)), ("SetIterationsVarHook", ()), ("KerasDistributeOptimizer", (None,)),
    ("create_group", ("pair", 2, [0, 1])), ("set_split_strategy_by_idx", ([20, 159],)),
    ("set_split_strategy_by_size", ([60, 40],)), ("set_keras_session_npu_config", ()), ("npu_run_config_init", ()),
    ("npu_keras_optimizer", (None,)), ("decorator_tf_session", (None,))])
def test_what_the_stand_in_does_not_run_says_so_once_its_arguments_are_right(init, name, arguments):
    with pytest.raises(NotImplementedError, match="does not run " + name):
        getattr(init, name)(*arguments)
    if name not in ("NPURunConfig", "KerasDistributeOptimizer"):
        with pytest.raises(TypeError, match="unexpected keyword argument"):
            getattr(init, name)(*arguments, misspelt=1)


def test_one_iteration_a_run_of_the_session_is_the_operation_itself_and_several_do_not_run(init):
    with tf.Graph().as_default():
        train = tf.no_op()
        assert init.util.set_iteration_per_loop(None, train) is train
        with pytest.raises(NotImplementedError):
            init.util.set_iteration_per_loop(None, train, 10)
        with pytest.raises(ValueError, match="the need type is 'Operation'"):
            init.util.set_iteration_per_loop(None, tf.constant(1.0))


def test_hooks_that_the_adapter_would_drop_without_a_word_raise(init):
    hook = init.NpuEmptyHook()
    assert init.npu_hooks_append([hook])[0] is hook and len(init.npu_hooks_append()) == 1
    with pytest.raises(TypeError, match="would drop these hooks"):
        init.npu_hooks_append((hook,))


def test_just_in_time_compilation_is_off_in_options_that_are_made_and_in_those_that_are_given(init):
    off = init.config_pb2.OptimizerOptions.OFF
    given = init.config_pb2.GraphOptions()
    assert init.npu_graph_options(given) is given and given.optimizer_options.global_jit_level == off
    assert init.npu_graph_options().optimizer_options.global_jit_level == off
