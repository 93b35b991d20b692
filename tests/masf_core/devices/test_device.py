"""Which device a run takes, and what its session is told."""
from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import types

import pytest

from masf_core.devices import choice
from masf_core.devices.ascend.options import AscendSettings
from masf_core.devices.bfloat16 import narrows_products
from masf_core.devices.choice import choose_device, make_device
from masf_core.devices.cpu import Cpu
from masf_core.devices.device import DeviceError
from masf_core.devices.gpu import Gpu
from masf_core.method.loss_scale import AdapterScale, LossScale, NoScale, ScaleSettings
from masf_core.network.kernels import Kernels, processor_kernels
from masf_core.ranks.one_rank import OneRank
from masf_core.tf1 import IS_TF2, tf
from tests.masf_core.devices.ascend.stand_in import write_operator_list

# What npu_init exports since each release; it exports what came before as well.
EXPORTS = {"r1.1": (), "r1.5": ("npu_config_proto",),
           "r1.9": ("npu_allreduce", "get_npu_local_rank_size", "MemoryConfig"),
           "r1.10": ("SetIterationsVarHook",), "master": ("npu_plugin", "TellMeStepOrLossHook")}


@pytest.fixture
def npu_bridge(monkeypatch, tmp_path):
    """Installs an adapter of some release: just enough of it to be found, imported and dated."""
    write_operator_list(str(tmp_path / "opp"))
    monkeypatch.setenv("ASCEND_OPP_PATH", str(tmp_path / "opp"))

    def install(release="r1.9"):
        package, init = types.ModuleType("npu_bridge"), types.ModuleType("npu_bridge.npu_init")
        package.__spec__ = types.SimpleNamespace(name="npu_bridge", loader=None)
        package.__path__ = []
        releases = list(EXPORTS)
        for each in releases[:releases.index(release) + 1]:
            vars(init).update(dict.fromkeys(EXPORTS[each]))
        monkeypatch.setitem(sys.modules, "npu_bridge", package)
        monkeypatch.setitem(sys.modules, "npu_bridge.npu_init", init)

    install()
    return install


def told(here, ranks=None):
    """(rewrite options, {option: (field, value)}) of what the adapter is told."""
    rewrite = here.session_config(ranks).graph_options.rewrite_options
    (optimizer,) = rewrite.custom_optimizers
    assert optimizer.name == "NpuOptimizer"
    fields = {name: value.WhichOneof("value") for name, value in optimizer.parameter_map.items()}
    return rewrite, {name: (field, getattr(optimizer.parameter_map[name], field)) for name, field in fields.items()}


def test_auto_takes_the_adapter_where_it_is_installed(npu_bridge):
    assert choose_device("auto") == "ascend"
    assert choose_device("cpu") == "cpu"


@pytest.mark.skipif(importlib.util.find_spec("npu_bridge") is not None, reason="there is an adapter")
def test_a_device_that_is_not_there_is_refused_by_name():
    assert choose_device("auto") == "cpu"
    for name in ("ascend", "gpu"):
        with pytest.raises(DeviceError, match=name):
            make_device(name)
    with pytest.raises(DeviceError, match="cpu, gpu, ascend"):
        make_device("tpu")


def test_the_drivers_complaint_is_shown_only_to_who_asked_for_a_gpu(monkeypatch, capfd):
    monkeypatch.setattr(choice.tf.config.experimental, "list_physical_devices",
                        lambda kind: os.write(2, b"no driver") and [])
    assert choose_device("auto") == "cpu"
    assert "no driver" not in capfd.readouterr().err
    with pytest.raises(DeviceError):
        choose_device("gpu")
    assert "no driver" in capfd.readouterr().err


# -- a processor and a GPU

def test_a_processor():
    here = make_device("cpu", intra_op_threads=3, inter_op_threads=2)
    config = here.session_config()
    assert (config.intra_op_parallelism_threads, config.inter_op_parallelism_threads) == (3, 2)
    assert config.device_count["GPU"] == 0 and not config.graph_options.rewrite_options.custom_optimizers
    assert type(here.kernels()) is type(processor_kernels())
    taking = here.gradients()
    assert type(taking.scale) is NoScale and type(taking.ranks) is OneRank


def test_mixed_precision_on_a_processor_is_tensorflow_2s():
    if IS_TF2:
        here = Cpu("mixed")
        rewrite = here.session_config().graph_options.rewrite_options
        assert rewrite.auto_mixed_precision_onednn_bfloat16 == rewrite.ON
        assert type(here.gradients().scale) is NoScale and here.kernels().narrow
    else:
        with pytest.raises(DeviceError, match="TensorFlow 2"):
            Cpu("mixed")
    assert not Cpu("auto").mixed


@pytest.mark.skipif(not IS_TF2, reason="a processor's mixed precision is TensorFlow 2's")
def test_mixed_precision_is_refused_where_the_processor_has_no_bfloat16():
    done = subprocess.run(  # what oneDNN may use is the process's
        [sys.executable, "-c", "from masf_core.devices.choice import make_device; make_device('cpu', 'mixed')"],
        env=dict(os.environ, ONEDNN_MAX_CPU_ISA="AVX2"), stderr=subprocess.PIPE, universal_newlines=True,
        cwd=os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))))
    assert done.returncode != 0
    assert "DeviceError: mixed precision on a CPU needs products in bfloat16" in done.stderr


def test_products_that_stay_in_float32_are_told_from_bfloat16():
    assert not narrows_products(Cpu("float32", 1, 1).session_config())


def test_a_gpu():
    config = Gpu().session_config()
    assert config.gpu_options.allow_growth and "GPU" not in config.device_count
    assert not config.graph_options.rewrite_options.auto_mixed_precision
    assert type(Gpu().kernels()) is Kernels
    rewrite = Gpu("mixed").session_config().graph_options.rewrite_options
    assert rewrite.auto_mixed_precision == rewrite.ON


@pytest.mark.skipif(not IS_TF2, reason="TensorFlow 1.15 has no TF32")
def test_float32_on_a_gpu_is_not_tf32():
    experimental = tf.config.experimental
    before = experimental.tensor_float_32_execution_enabled()
    try:
        for precision in ("mixed", "float32", "auto"):
            Gpu(precision).session_config()
            assert experimental.tensor_float_32_execution_enabled() == (precision == "mixed")
    finally:
        experimental.enable_tensor_float_32_execution(before)


def test_an_unknown_precision_and_the_adapters_mode_elsewhere_are_refused():
    with pytest.raises(DeviceError, match="auto, float32, mixed"):
        make_device("cpu", "half")
    with pytest.raises(DeviceError, match="precision_mode=force_fp16 is an option of the Ascend adapter, .* on cpu"):
        make_device("cpu", precision_mode="force_fp16")


# -- Ascend

def test_ascend_is_told_every_option_by_its_name_and_type(npu_bridge):
    rewrite, options = told(make_device("ascend", precision_mode="must_keep_origin_dtype"))
    assert options == {"use_off_line": ("b", True), "graph_run_mode": ("i", 1),
                       "precision_mode": ("s", b"must_keep_origin_dtype")}
    assert (rewrite.remapping, rewrite.memory_optimization) == (rewrite.OFF, rewrite.OFF)


def test_a_forced_float32_mode_warns_that_a_card_has_no_such_convolution(npu_bridge, caplog):
    told(make_device("ascend", "mixed"))
    assert "float32" not in caplog.text
    told(make_device("ascend", precision_mode="must_keep_origin_dtype"))
    assert "an Ascend 910 has no convolution in float32" in caplog.text and "Use precision=mixed" in caplog.text


def test_float32_on_a_card_is_refused_unless_the_mode_is_given(npu_bridge):
    with pytest.raises(DeviceError, match="precision=float32: an Ascend 910 has no convolution in float32.*"
                                          "Use precision=mixed.*precision_mode=must_keep_origin_dtype"):
        make_device("ascend", "float32")
    assert not make_device("ascend", "float32", "must_keep_origin_dtype").mixed


def test_each_precision_has_its_mode_and_a_mode_by_name_goes_before_it(npu_bridge):
    for precision, mode, expected, mixed in [
            ("float32", "must_keep_origin_dtype", b"must_keep_origin_dtype", False),
            ("mixed", None, b"allow_mix_precision", True),
            ("auto", "force_fp32", b"force_fp32", True), ("auto", "force_fp16", b"force_fp16", True)]:
        here = make_device("ascend", precision, mode)
        assert told(here)[1]["precision_mode"] == ("s", expected)
        assert here.mixed == mixed


def test_several_ranks_average_beside_the_computation(npu_bridge):
    _, options = told(make_device("ascend", precision_mode="must_keep_origin_dtype"), types.SimpleNamespace(size=8))
    assert options["hcom_parallel"] == ("b", True)


def test_what_is_set_for_ascend_reaches_the_adapter_and_its_folders_are_made(npu_bridge, tmp_path):
    profile, overflows, cache, mix = (str(tmp_path / name) for name in ("new/p", "o", "c", "m.json"))
    (tmp_path / "m.json").write_text("{}")
    _, options = told(make_device("ascend", precision_mode="allow_mix_precision", ascend=AscendSettings(
        profile_dir=profile, overflow_dump_dir=overflows, compile_cache_dir=cache, mix_list=mix,
        ascend_options=("mix_compile_mode=true", "hccl_timeout=1800", "op_select_implmode=high_precision"))))
    profiled = json.loads(options.pop("profiling_options")[1].decode("utf-8"))
    assert profiled["output"] == profile and profiled["task_trace"] == "on"
    assert all(os.path.isdir(path) for path in (profile, overflows, cache))
    assert options == {
        "use_off_line": ("b", True), "graph_run_mode": ("i", 1), "precision_mode": ("s", b"allow_mix_precision"),
        "profiling_mode": ("b", True), "enable_dump_debug": ("b", True), "dump_path": ("s", overflows.encode()),
        "dump_debug_mode": ("s", b"all"), "op_compiler_cache_mode": ("s", b"enable"),
        "op_compiler_cache_dir": ("s", cache.encode()), "modify_mixlist": ("s", mix.encode()),
        "mix_compile_mode": ("b", True), "hccl_timeout": ("i", 1800), "op_select_implmode": ("s", b"high_precision")}


def test_a_mix_list_needs_mixed_precision(npu_bridge):
    with pytest.raises(DeviceError, match="mix_list=/m.json.*precision_mode is must_keep_origin_dtype"):
        make_device("ascend", precision_mode="must_keep_origin_dtype", ascend=AscendSettings(mix_list="/m.json"))


def test_every_mixed_mode_takes_a_mix_list(npu_bridge, tmp_path):
    npu_bridge("master")
    (tmp_path / "m.json").write_text("{}")
    path = str(tmp_path / "m.json")
    for mode in ("allow_mix_precision", "allow_mix_precision_fp16", "allow_mix_precision_bf16"):
        _, options = told(make_device("ascend", precision_mode=mode, ascend=AscendSettings(mix_list=path)))
        assert options["modify_mixlist"] == ("s", path.encode())


def test_a_path_that_cannot_be_used_is_named(npu_bridge, tmp_path):
    (tmp_path / "file").write_text("no JSON")
    path = str(tmp_path / "file")
    for settings, problem in [
            (dict(profile_dir=path), f"profile_dir={path}: cannot make this folder"),
            (dict(overflow_dump_dir=path + "/below"), f"dump_path={path}/below: cannot make"),
            (dict(mix_list=path + ".json"), f"modify_mixlist={path}.json: this file does not exist"),
            (dict(mix_list=path), f"mix_list={path}: this is not valid JSON"),
            (dict(ascend_options=("fusion_switch_file=none",)), "fusion_switch_file=none: this file does not exist")]:
        with pytest.raises(DeviceError) as caught:
            make_device("ascend", precision_mode="allow_mix_precision", ascend=AscendSettings(**settings))
        assert str(caught.value).startswith(problem)


def test_a_wrong_option_is_refused_before_anything_is_built(npu_bridge):
    with pytest.raises(DeviceError, match="did you mean 'op_debug_level'"):
        make_device("ascend", ascend=AscendSettings(ascend_options=("op_debug_levle=1",)))


def test_what_the_adapter_here_surely_does_not_know_is_refused(npu_bridge):
    newer = AscendSettings(ascend_options=("deterministic=1",))
    for release in ("r1.5", "r1.9"):
        npu_bridge(release)
        with pytest.raises(DeviceError, match="option deterministic is read by every release from r1.12 on"):
            make_device("ascend", precision_mode="must_keep_origin_dtype", ascend=newer)
        with pytest.raises(DeviceError, match="precision_mode=cube_fp16in_fp32out is unknown.*must_keep_origin_d"):
            make_device("ascend", precision_mode="cube_fp16in_fp32out")


def test_what_the_adapter_here_may_not_know_is_passed_with_a_warning(npu_bridge, caplog):
    npu_bridge("r1.10")
    newer = AscendSettings(ascend_options=("deterministic=1", "hccl_timeout=600"))
    here = make_device("ascend", precision_mode="cube_fp16in_fp32out", ascend=newer)
    _, options = told(here)
    assert options["deterministic"] == ("i", 1) and options["precision_mode"] == ("s", b"cube_fp16in_fp32out")
    assert "if it is of r1.10 or r1.11 it silently ignores the option" in caplog.text
    assert "precision_mode=cube_fp16in_fp32out is certain to be known only to the newest" in caplog.text
    assert "hccl_timeout" not in caplog.text
    assert here.describe().endswith("adapter r1.10 to r1.12")


def test_a_release_that_is_given_overrules_the_dating(npu_bridge, caplog):
    npu_bridge("r1.10")
    newer = AscendSettings(ascend_options=("deterministic=1",), adapter_release="r1.12")
    here = make_device("ascend", ascend=newer)
    assert told(here)[1]["deterministic"] == ("i", 1) and "deterministic" not in caplog.text
    assert here.describe().endswith("adapter r1.12")
    with pytest.raises(DeviceError, match="option deterministic is read by"):
        make_device("ascend", ascend=newer._replace(adapter_release="r1.11"))


def test_a_card_without_an_operator_list_is_refused(npu_bridge, monkeypatch, tmp_path):
    monkeypatch.setenv("ASCEND_OPP_PATH", str(tmp_path / "elsewhere"))
    with pytest.raises(DeviceError, match="operator list is missing .*elsewhere.*Set ASCEND_OPP_PATH"):
        make_device("ascend")


def test_a_graph_with_an_operation_that_the_card_does_not_take_is_refused(npu_bridge, tmp_path):
    here = make_device("ascend")
    with tf.Graph().as_default() as graph:
        tf.matmul(tf.ones([2, 2]), tf.ones([2, 2]))
        here.check_graph(graph)
        tf.math.lgamma(tf.ones([2, 2]))
        with pytest.raises(DeviceError, match="npu_supported_ops.json lacks Lgamma.*silently compute these"):
            here.check_graph(graph)
        make_device("cpu").check_graph(graph)


def test_gray_operations_in_mixed_compilation_are_warned_of(npu_bridge, caplog):
    with tf.Graph().as_default() as graph:
        tf.dynamic_stitch([[0, 1]], [tf.ones([2])])
        make_device("ascend").check_graph(graph)
        assert not caplog.text
        make_device("ascend", ascend=AscendSettings(ascend_options=("mix_compile_mode=true",))).check_graph(graph)
    assert "mix_compile_mode=true leaves DynamicStitch to the host" in caplog.text


def test_an_adapter_that_does_not_load_is_no_stack_trace(npu_bridge, monkeypatch):
    monkeypatch.setitem(sys.modules, "npu_bridge.npu_init", None)
    with pytest.raises(DeviceError, match="does not load.*LD_LIBRARY_PATH"):
        make_device("ascend")


def test_losses_are_scaled_where_products_have_the_range_of_float16(npu_bridge):
    for arguments in (dict(precision="mixed"), {}, dict(precision_mode="allow_mix_precision"),
                      dict(precision_mode="force_fp16"), dict(precision_mode="force_fp32")):
        here = make_device("ascend", **arguments)
        assert type(here.gradients().scale) is AdapterScale and here.kernels().narrow
    here = make_device("ascend", precision_mode="must_keep_origin_dtype")
    assert type(here.gradients().scale) is NoScale and not here.kernels().narrow
    assert type(Gpu("mixed").gradients().scale) is LossScale and Gpu("mixed").kernels().narrow
    assert type(Gpu("float32").gradients().scale) is NoScale and not Gpu().kernels().narrow


def test_a_device_scales_losses_as_it_was_told(npu_bridge):
    settings = ScaleSettings(fixed=64.0)
    assert make_device("ascend", "mixed", scaling=settings).gradients().scale.settings == settings
    assert make_device("ascend", "mixed").gradients().scale.settings == ScaleSettings()
