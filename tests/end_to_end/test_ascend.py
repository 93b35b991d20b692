"""A whole run with device=ascend, on a processor: through the stand-in of the adapter, which fails where that fails."""
from __future__ import annotations

import json
import os

import pytest

from tests.end_to_end.conftest import ROOT
from tests.masf_core.devices.ascend.stand_in import write_operator_list

pytestmark = pytest.mark.slow
FAKES = os.path.join(ROOT, "tests", "fakes")


@pytest.fixture
def on_ascend(job, tmp_path):
    """``job`` where the adapter is installed; ``recorded(what)`` is what the adapter was asked."""
    write_operator_list(str(tmp_path / "opp"))
    job.environ.update(
        PYTHONPATH=os.pathsep.join(filter(None, [FAKES, job.environ.get("PYTHONPATH")])),
        ASCEND_OPP_PATH=str(tmp_path / "opp"), FAKE_NPU_VERSION="r1.9",
        FAKE_NPU_RECORD=str(tmp_path / "record.jsonl"), ASCEND_DEVICE_ID="0")

    def recorded(what):
        with open(job.environ["FAKE_NPU_RECORD"]) as stream:
            entries = [json.loads(line) for line in stream]
        return [entry for entry in entries if entry["what"] == what]

    job.recorded = recorded
    return job


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
    code, output = on_ascend.run(
        device="ascend", precision_mode="must_keep_origin_dtype", compile_cache_dir=str(on_ascend.work_dir / "kernels"),
        ascend_options="enable_small_channel=1 op_debug_level=1")
    assert code == 0, output
    assert "on ascend, must_keep_origin_dtype, adapter r1.9" in output and "Traceback" not in output
    assert on_ascend.result()["state"] == "done"

    (session,) = on_ascend.recorded("session")
    assert session["options"] == {
        "use_off_line": True, "graph_run_mode": 1, "precision_mode": "must_keep_origin_dtype",
        "op_compiler_cache_mode": "enable", "op_compiler_cache_dir": str(on_ascend.work_dir / "kernels"),
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


def test_mixed_precision_is_what_ascend_takes_by_itself_and_an_overflow_costs_one_iteration(on_ascend):
    on_ascend.environ["FAKE_NPU_OVERFLOW"] = "2"
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
