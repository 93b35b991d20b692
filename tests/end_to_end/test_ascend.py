"""A whole run with device=ascend, on a processor: through the stand-in of the adapter, which fails where that fails."""
from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest

from tests.end_to_end.conftest import ROOT, wait_for_line
from tests.masf_core.devices.ascend.stand_in import write_operator_list

pytestmark = pytest.mark.slow
FAKES = os.path.join(ROOT, "tests", "fakes")


@pytest.fixture
def on_ascend(job, tmp_path):
    """``job`` where the adapter is installed; ``recorded(what)`` is what the adapter was asked."""
    write_operator_list(str(tmp_path / "opp"))
    job.environ.update(
        PYTHONPATH=os.pathsep.join([FAKES, job.environ["PYTHONPATH"]]),
        ASCEND_OPP_PATH=str(tmp_path / "opp"), FAKE_NPU_VERSION="r1.9",
        FAKE_NPU_RECORD=str(tmp_path / "record.jsonl"), ASCEND_DEVICE_ID="0")

    def recorded(what):
        with open(job.environ["FAKE_NPU_RECORD"]) as stream:
            entries = [json.loads(line) for line in stream]
        return [entry for entry in entries if entry["what"] == what]

    job.recorded = recorded
    return job


def position(output, text):
    """Where ``text`` begins in the output, which must have it once."""
    assert output.count(text) == 1, output
    return output.index(text)


def graphs_by_feeds(job):
    """Names of what is fed → every set of shapes that was."""
    found = {}
    for entry in job.recorded("graph"):
        found.setdefault(tuple(sorted(entry["feeds"])), []).append(entry)
    return found


def trained(graphs):
    """The one graph that training ran: that which is fed images of several domains."""
    (graph,) = [entry for entries in graphs.values() for entry in entries if "images:0" in entry["feeds"]]
    return graph


def test_a_whole_run_keeps_to_what_the_adapter_takes(on_ascend):
    cache = str(on_ascend.work_dir / "kernels")  # by default
    code, output = on_ascend.run(
        device="ascend", precision_mode="must_keep_origin_dtype",
        ascend_options="enable_small_channel=1 op_debug_level=1")
    assert code == 0, output
    assert "on ascend, must_keep_origin_dtype, adapter r1.9" in output and "Traceback" not in output
    assert on_ascend.result()["state"] == "done"

    (session,) = on_ascend.recorded("session")
    assert session["options"] == {
        "use_off_line": True, "graph_run_mode": 1, "precision_mode": "must_keep_origin_dtype",
        "op_compiler_cache_mode": "enable", "op_compiler_cache_dir": cache,
        "debug_dir": str(on_ascend.work_dir / "runs" / "run" / "cann" / "rank-0"),
        "enable_small_channel": 1, "op_debug_level": 1}

    # Every run of the session is one graph for the card, and nothing stays on the host.
    assert {(entry["on_card"], *entry["on_host"]) for entry in on_ascend.recorded("graph")} == {(1,)}

    # One shape a graph, in training and in evaluation, whose last batch is not full.
    graphs = graphs_by_feeds(on_ascend)
    for entries in graphs.values():
        assert len({json.dumps(entry["feeds"], sort_keys=True) for entry in entries}) == 1
    assert trained(graphs)["feeds"] == {
        "images:0": [3, 6, 227, 227, 3], "labels:0": [3, 6], "dropout_seed:0": [2]}
    (evaluated,) = graphs["evaluation/images:0", "evaluation/labels:0"]
    assert evaluated["feeds"] == {"evaluation/images:0": [14, 227, 227, 3], "evaluation/labels:0": [14]}

    # The adapter's dropout, and not ours: its masks come of a generator on the device.
    assert "RandomUniform" in trained(graphs)["types"]
    assert not any("Stateless" in name for name in trained(graphs)["types"])


def test_every_graph_is_compiled_before_the_first_iteration_and_the_log_says_so(on_ascend):
    on_ascend.environ.pop("TF_CPP_MIN_LOG_LEVEL", None)
    code, output = on_ascend.run(device="ascend", histogram_interval=6, compile_cache_dir="none")
    assert code == 0, output
    order = ["initialisation", "evaluation", "histogram", "snapshot", "training", "loading"]
    places = [position(output, f"compiling the {graph} graph for the card ({number} of 6); this takes minutes")
              for number, graph in enumerate(order, start=1)]
    assert places == sorted(places) and places[-1] < position(output, "iteration 1: loss")
    assert output.count("compiled in ") == 6 == len(on_ascend.recorded("graph"))
    assert output.rindex("compiled in ") < output.index("iteration 1: loss")
    # The adapter's own message is not hidden, and no operation is kept where nobody wants that.
    assert output.count("The model has been compiled on the Ascend AI processor") == 6
    assert "op_compiler_cache_dir" not in on_ascend.recorded("session")[0]["options"]
    assert not (on_ascend.work_dir / "kernels").exists()


def test_a_failed_compilation_shows_what_cann_says_and_its_logs_are_stored(on_ascend, tmp_path):
    on_ascend.environ.update(FAKE_NPU_COMPILE="fails@images:0", HOME=str(tmp_path))
    code, output = on_ascend.run(device="ascend")
    assert code == 1, output
    assert "the Ascend adapter failed: GeOp1_0GEOP::::DoRunAsync Failed" in output
    assert f"CANN's own logs are below {tmp_path}/ascend/log. Their last errors:" in output
    assert "[GE][Compile]Op[conv1/Conv2D] is not supported by the engine" in output
    (key,) = on_ascend.mock.keys("bucket", "output/run/logs/cann/")
    assert key.startswith("output/run/logs/cann/debug/plog/plog-")
    with on_ascend.store("output/run/") as store:
        attempt = json.loads(store.read("run.json").decode())["attempts"][-1]
    assert (attempt["outcome"], attempt["exit_code"]) == ("failed", 1) and "conv1/Conv2D" in attempt["reason"]


def test_sigterm_during_a_compilation_ends_the_run_in_time_and_the_next_start_finishes_it(on_ascend):
    on_ascend.environ["FAKE_NPU_COMPILE"] = "hangs@images:0"
    process = on_ascend.start(device="ascend")
    wait_for_line(process, "the stand-in compiles without end")
    asked = time.monotonic()
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=60)
    assert (process.returncode, time.monotonic() - asked < 15.0) == (143, True), output
    with on_ascend.store("output/run/") as store:
        state = json.loads(store.read("run.json").decode())
    assert (state["state"], state["attempts"][-1]["exit_code"]) == ("stopped", 143)
    del on_ascend.environ["FAKE_NPU_COMPILE"]
    code, output = on_ascend.run(device="ascend")
    assert code == 0, output
    assert on_ascend.result()["state"] == "done"


def test_the_compilers_files_go_below_work_dir_and_relative_paths_mean_where_the_command_was_started(
        on_ascend, tmp_path):
    here = on_ascend.folder = tmp_path / "here"
    here.mkdir()
    shutil.copy(str(on_ascend.source / "weights" / "bvlc_alexnet.npy"), str(here / "alexnet.npy"))
    (here / "mix.json").write_text("{}")
    (here / "switch.cfg").write_text("")
    os.rename(str(tmp_path / "opp"), str(here / "opp"))
    on_ascend.environ.update(FAKE_NPU_FILES="1", ASCEND_OPP_PATH="opp", ASCEND_PROCESS_LOG_PATH="plogs")
    code, output = on_ascend.run(
        device="ascend", work_dir="work", logdir="logs", train_url="out", weights_path="alexnet.npy",
        mix_list="mix.json", compile_cache_dir="kernels", ascend_options="fusion_switch_file=switch.cfg")
    assert code == 0, output
    own = here / "work" / "runs" / "run" / "cann" / "rank-0"
    assert sorted(path.name for path in own.iterdir()) == ["fusion_result.json", "kernel_meta"]
    assert sorted(path.name for path in here.iterdir()) == [
        "alexnet.npy", "kernels", "logs", "mix.json", "opp", "out", "switch.cfg", "work"]
    assert (here / "out" / "run" / "run.json").is_file() and (here / "logs" / "eva.txt").is_file()
    options = on_ascend.recorded("session")[0]["options"]
    assert {name: options[name] for name in ("modify_mixlist", "op_compiler_cache_dir", "fusion_switch_file",
                                             "debug_dir")} == {
        "modify_mixlist": str(here / "mix.json"), "op_compiler_cache_dir": str(here / "kernels"),
        "fusion_switch_file": str(here / "switch.cfg"), "debug_dir": str(own)}


def test_a_run_goes_on_from_its_checkpoint_with_the_oldest_adapter_too(on_ascend):
    on_ascend.environ["FAKE_NPU_VERSION"] = "r1.5"
    assert on_ascend.run(device="ascend", precision_mode="must_keep_origin_dtype", train_iterations=4)[0] == 0
    code, output = on_ascend.run(device="ascend", precision_mode="must_keep_origin_dtype")
    assert code == 0, output
    assert "resuming from" in output and "at iteration 4" in output
    assert [record["iteration"] for record in on_ascend.result()["records"]] == [2, 4, 6]


def test_without_dropout_the_numbers_are_those_of_a_processor_and_a_resumed_run_ends_as_a_whole_one(on_ascend):
    """Nothing but dropout and the processor's faster kernels tells the two apart."""
    ascend = dict(device="ascend", precision_mode="must_keep_origin_dtype")
    for arguments in [dict(ascend, run_name="whole"), dict(device="cpu", run_name="cpu"),
                      dict(ascend, run_name="parts", train_iterations=4), dict(ascend, run_name="parts")]:
        code, output = on_ascend.run(keep_probability=1, **arguments)
        assert code == 0, output
    whole, parts, cpu = (on_ascend.result(name) for name in ("whole", "parts", "cpu"))
    assert whole == parts
    for ours, theirs in zip(whole["records"], cpu["records"]):
        assert ours["source_loss"] == pytest.approx(theirs["source_loss"], rel=1e-3)


@pytest.mark.parametrize("precision_mode", ["allow_mix_precision", "must_keep_origin_dtype"])
def test_an_evaluation_of_the_run_gives_its_numbers_with_the_graph_of_the_run(on_ascend, precision_mode):
    code, output = on_ascend.run(device="ascend", precision_mode=precision_mode)
    assert code == 0, output
    record = on_ascend.result()["records"][-1]
    of_run = graphs_by_feeds(on_ascend)["evaluation/images:0", "evaluation/labels:0"]
    os.remove(on_ascend.environ["FAKE_NPU_RECORD"])
    on_ascend.environ["FAKE_NPU_FILES"] = "1"
    found = json.loads(subprocess.check_output(
        [sys.executable, "-m", "job", "evaluate", "obs://bucket/output/run", "--checkpoint=last", "--json",
         "--work_dir=" + str(on_ascend.work_dir)], env=on_ascend.environ, cwd=ROOT, universal_newlines=True))
    (target,) = found["domains"]
    assert found["device"].startswith("ascend")
    assert (target["loss"], target["confusion"]) == (record["target_loss"], record["target_confusion"])
    # One shape, whose last batch is padded, and the same operations, so that compiled ones serve again.
    graphs = graphs_by_feeds(on_ascend)
    assert [graph["feeds"] for graph in graphs["evaluation/images:0", "evaluation/labels:0"]] == [
        graph["feeds"] for graph in of_run] == [{"evaluation/images:0": [14, 227, 227, 3], "evaluation/labels:0": [14]}]
    assert len(graphs) == 2  # the other one loads the network
    # The compiler's files are not where the command was started.
    place = on_ascend.work_dir / "evaluate" / "cann" / "rank-0"
    assert (place / "fusion_result.json").is_file() and not os.path.exists(os.path.join(ROOT, "fusion_result.json"))
    (session,) = on_ascend.recorded("session")
    assert session["options"]["op_compiler_cache_dir"] == str(on_ascend.work_dir / "kernels")


def test_mixed_precision_is_what_ascend_takes_by_itself_and_an_overflow_costs_one_iteration(on_ascend):
    on_ascend.environ["FAKE_NPU_OVERFLOW"] = "3"  # the first run compiles
    code, output = on_ascend.run(device="ascend", keep_probability=1)
    assert code == 0, output
    (session,) = on_ascend.recorded("session")
    assert session["options"]["precision_mode"] == "allow_mix_precision"
    records = on_ascend.result()["records"]
    assert [record["skipped"] for record in records[1:]] == [1, 0]
    assert records[2]["loss_scale"] == records[0]["loss_scale"] / 2.0


@pytest.mark.parametrize("changes, problem", [
    (dict(ascend_options="op_debug_levle=1"), "did you mean 'op_debug_level'?"),
    (dict(ascend_options="deterministic=1"),
     "option deterministic is read by every release from r1.12 on of the adapter npu_bridge"),
    (dict(precision="float32"), "an Ascend 910 has no convolution in float32"),
    (dict(precision_mode="must_keep_origin_dtype", mix_list="/m.json"),
     "changes which operations allow_mix_precision runs in 16 bits"),
    (dict(precision_mode="allow_mix_precision_bf16"), "precision_mode=allow_mix_precision_bf16 is unknown to"),
    (dict(precision_mode="half"), "expected one of force_fp32"),
])
def test_a_mistake_is_one_message_and_exit_code_2(on_ascend, changes, problem):
    code, output = on_ascend.run(device="ascend", **changes)
    assert code == 2, output
    assert problem in output and "Traceback" not in output and "pull:" not in output  # told before anything is fetched


def test_a_cann_without_its_operator_list_is_one_message_and_exit_code_2(on_ascend, tmp_path):
    on_ascend.environ["ASCEND_OPP_PATH"] = str(tmp_path / "none")
    code, output = on_ascend.run(device="ascend")
    assert code == 2, output
    assert "CANN's operator list is missing" in output and "Traceback" not in output and "pull:" not in output


def test_a_cann_that_lacks_an_operation_of_the_graph_is_one_message_and_exit_code_2(on_ascend, tmp_path):
    write_operator_list(str(tmp_path / "opp"), without=["LRN"])
    code, output = on_ascend.run(device="ascend")
    assert code == 2, output
    assert "lacks LRN" in output and "Traceback" not in output


def test_ascend_without_its_adapter_is_one_message_and_exit_code_2(job):
    code, output = job.run(device="ascend")
    assert code == 2, output
    assert "npu_bridge is not installed" in output and "Traceback" not in output
