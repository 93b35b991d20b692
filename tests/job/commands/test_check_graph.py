"""``python -m job check-graph``: every experiment passes, and what does not is told with a code of its own."""
from __future__ import annotations

import glob
import json
import os

import pytest

from job import cli
from job.config.loading import load_config
from job.preflight import graph as graph_report
from masf_core.method import meta_step
from masf_core.tf1 import tf
from tests.masf_core.devices.ascend import stand_in
from tests.masf_core.devices.ascend.stand_in import write_operator_list

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
# Those of configs/paper/ build the graphs of others, and full ResNets take long: a narrow one is below.
CONFIGS = sorted(path for path in glob.glob(os.path.join(ROOT, "configs", "*.yaml"))
                 if not load_config(["--config=" + path]).config.network.backbone.startswith("resnet"))
CONFIGS += sorted(glob.glob(os.path.join(ROOT, "configs", "table3", "*.yaml")))
SMALL = ["--width=0.1", "--meta_batch_size=6"]


@pytest.mark.parametrize("path", CONFIGS, ids=[os.path.relpath(path, ROOT) for path in CONFIGS])
def test_every_experiment_fits_the_device(path, capsys):
    assert cli.main(["check-graph", "--config=" + path]) == 0
    assert "no problem found" in capsys.readouterr().out


@pytest.mark.parametrize("settings", [
    ["--update=joint"], ["--group_pass=separate"], ["--meta_task=1", "--episodic=false"], ["--keep_probability=1"],
    ["--backbone=squeezenet", "--metric_normalise=true"], ["--backbone=resnet18", "--train_batch_norm=false"],
    ["--num_classes=65", "--domains=art,cartoon,product"]])
def test_other_settings_fit_it_too(settings, capsys):
    assert cli.main(["check-graph"] + SMALL + settings) == 0


def test_what_does_not_fit_is_told_and_has_its_exit_code(monkeypatch, capsys):
    def build(*arguments):
        made = build_training(*arguments)
        made.scalars["noise"] = tf.reduce_sum(tf.random.normal([3]))
        return made

    build_training = meta_step.build
    monkeypatch.setattr(meta_step, "build", build)
    assert cli.main(["check-graph"] + SMALL) == 6
    out = capsys.readouterr().out
    assert "PROBLEM random_normal/RandomStandardNormal (RandomStandardNormal): random numbers with a state" in out
    assert "1 problem: an Ascend 910 does not accept this graph" in out
    assert cli.main(["check-graph", "--json"] + SMALL) == 6
    (problem,) = json.loads(capsys.readouterr().out)["problems"]
    assert set(problem) == {"op", "type", "what", "why", "mend"} and "stateless" in problem["mend"]


def test_the_table_has_costs_and_a_prediction_that_says_what_it_is(capsys):
    assert cli.main(["check-graph", "--config=" + os.path.join(ROOT, "configs", "pacs_cartoon.yaml")]) == 0
    out = capsys.readouterr().out
    for told in ("training: ", "evaluation: ", "convolutions", "normalisation", "FLOP/B", "not measured", "at peak",
                 "by scope: ", "inner_step", "npu_ops.dropout"):
        assert told in out


def test_every_operation_is_listed_with_type_and_shape(capsys):
    assert cli.main(["check-graph", "--ops"] + SMALL) == 0
    (line,) = [line for line in capsys.readouterr().out.splitlines() if " evaluation/images " in line]
    assert line.split() == ["Placeholder", "evaluation/images", "uint8", "[128,", "227,", "227,", "3]"]


def test_the_document_has_everything(capsys):
    assert cli.main(["check-graph", "--json"] + SMALL) == 0
    document = json.loads(capsys.readouterr().out)
    training = document["steps"]["training"]
    assert document["problems"] == [] and set(document["steps"]) == {"training", "evaluation", "snapshot", "load"}
    assert sum(training["types"].values()) == sum(training["scopes"].values()) == len(training["operations"])
    assert training["total"]["flops"] == sum(cost["flops"] for cost in training["costs"].values()) > 0
    times = document["predicted_iteration_seconds"]
    assert 0.0 < times["at_peak"] <= times["at_good_use"]
    assert {"name": "images", "type": "Placeholder", "outputs": ["uint8 [3, 6, 227, 227, 3]"]} in training["operations"]


@pytest.mark.parametrize("settings, is_scaled", [
    ([], True), (["--precision=mixed"], True),
    (["--precision_mode=allow_mix_precision"], True)])
def test_losses_are_scaled_as_the_precision_on_an_ascend_needs_it(settings, is_scaled, capsys):
    document = checked(capsys, *settings)
    assert ("loss_scale" in document["steps"]["training"]["scopes"]) == is_scaled


def test_no_iteration_reverses_channels_and_other_slow_kernels_are_told(capsys):
    document = checked(capsys)
    told = "\n".join(document["remarks"])
    assert "slow on an Ascend 910: LRN and LRNGrad (10 of them" in told and "drawn on AICPU" in told
    assert "ReverseV2" not in told
    costs = document["steps"]["training"]["costs"]
    assert sum(cost["scalar_moves"] for cost in costs.values()) == 0
    assert costs["random numbers"]["drawn"] > 0


def test_float32_is_refused_as_a_card_refuses_it(capsys):
    assert cli.main(["check-graph", "--precision=float32"] + SMALL) == 2
    assert "precision=float32: an Ascend 910 has no convolution in float32" in capsys.readouterr().err


def test_a_mode_that_keeps_float32_has_a_problem_with_every_convolution(capsys):
    assert cli.main(["check-graph", "--json", "--precision_mode=must_keep_origin_dtype"] + SMALL) == 6
    document = json.loads(capsys.readouterr().out)
    assert "loss_scale" not in document["steps"]["training"]["scopes"]
    found = {problem["type"] for problem in document["problems"]}
    assert found == {"Conv2D", "Conv2DBackpropInput", "Conv2DBackpropFilter"}
    assert any("has no convolution in float32" in remark for remark in document["remarks"])
    slow = [remark for remark in document["remarks"] if "so AICPU computes it" in remark]
    assert [remark.split()[5] for remark in slow] == ["MaxPool", "MaxPoolGrad"]


@pytest.mark.parametrize("without, count", [([], 0), (["LRN"], 1)])
def test_operations_are_held_against_the_operator_list_that_is_installed(monkeypatch, tmp_path, capsys, without, count):
    write_operator_list(str(tmp_path), without=without)
    monkeypatch.setenv("ASCEND_OPP_PATH", str(tmp_path))
    cli.main(["check-graph", "--json", "--keep_probability=1"] + SMALL)
    document = json.loads(capsys.readouterr().out)
    assert [problem["type"] for problem in document["problems"]] == without
    assert str(tmp_path) in document["operator_list"]


def test_without_cann_the_older_list_is_named(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("ASCEND_OPP_PATH", str(tmp_path))
    assert cli.main(["check-graph"] + SMALL) == 0
    assert "no problem found; compared with an operator list of ascend-toolkit 20.1" in capsys.readouterr().out


def checked(capsys, *arguments):
    assert cli.main(["check-graph", "--json"] + SMALL + list(arguments)) == 0
    return json.loads(capsys.readouterr().out)


def test_several_cards_average_and_begin_with_the_same_values(capsys):
    alone, together = checked(capsys), checked(capsys, "--ranks=2")
    assert (alone["ranks"], together["ranks"]) == (1, 2) and "first values" not in alone["steps"]
    assert "HcomAllReduce" not in alone["steps"]["training"]["types"]
    types, costs = (together["steps"]["training"][name] for name in ("types", "costs"))
    # Both gradients in a bucket each, class means of three domains, the group, and the scalars.
    assert types["HcomAllReduce"] == costs["collectives"]["count"] >= 6 and costs["collectives"]["flops"] == 0
    variables = together["steps"]["first values"]["types"]
    assert variables["HcomBroadcast"] == variables["Assign"] > 20
    assert {"name": "images", "type": "Placeholder", "outputs": ["uint8 [3, 3, 227, 227, 3]"]} in (
        together["steps"]["training"]["operations"])


def test_the_number_of_cards_is_the_platforms_unless_it_is_given(monkeypatch, capsys):
    monkeypatch.setenv("RANK_SIZE", "2")
    assert checked(capsys)["ranks"] == 2
    assert checked(capsys, "--ranks=1")["ranks"] == 1


@pytest.mark.parametrize("arguments, expected, missing", [
    ([], ["npu_ops.dropout", "NPULossScaleOptimizer", "keep_dtype_scope"], ["HcomAllReduce", "must_keep_origin"]),
    (["--ranks=2"], ["one more HcomAllReduce", "stand in for HCCL's HcomAllReduce and HcomBroadcast"], []),
    ])
def test_what_is_not_as_on_a_card_is_said(arguments, expected, missing, capsys):
    document = checked(capsys, *arguments)
    told = "\n".join(document["substitutes"] + document["remarks"])
    assert "the adapter npu_bridge is not installed here" in document["made_of"]
    assert all(each in told for each in expected) and not any(each in told for each in missing)
    assert cli.main(["check-graph"] + SMALL + arguments) == 0
    assert "different on a card: dropout is TensorFlow's stateless one" in capsys.readouterr().out


def test_where_the_adapter_is_installed_its_own_operations_are_in_the_graph(monkeypatch, capsys):
    with stand_in.npu_bridge(monkeypatch, "r1.9", JOB_ID="1") as fake:
        fake.use_engine(Added())
        document = checked(capsys, "--ranks=2")
    assert document["substitutes"] == [] and "adapter npu_bridge, r1.9" in document["made_of"]
    types = document["steps"]["training"]["types"]
    assert types["NpuGetFloatStatus"] == types["NpuClearFloatStatus"] == 1 and "DropOutGenMask" in types
    assert not any("Stateless" in name for name in types) and "IsFinite" not in types
    assert types["HcomAllReduce"] == 8 and document["steps"]["first values"]["types"]["HcomBroadcast"] > 20
    slow = [remark for remark in document["remarks"] if remark.startswith("slow on an Ascend 910: ")]
    assert slow == document["remarks"] and [remark.split()[5] for remark in slow] == ["LRN", "DropOutGenMask"]


class Added:
    """Two ranks that have the same, an operation each."""

    rank, size = 0, 2

    def all_reduce(self, tensor, reduction):
        return tf.add(tensor, tensor)

    def broadcast(self, tensor, root):
        return tf.identity(tensor)


@pytest.mark.parametrize("arguments, told", [
    (["--metabatch=3"], "unknown flag --metabatch; did you mean --meta_batch_size?"),
    (["--num_gpus", "1"], "unknown flag --num_gpus"), (["--ranks=0"], "--ranks=0: expected a whole number from 1"),
    (["--ranks=4"], "a multiple of the number of ranks (4)"), (["--rank=2"], "did you mean --ranks?"),
    (["--op"], "unknown flag --op; did you mean --ops?"), (["--widht=1"], "did you mean --width"),
    (["--method=other"], "method cannot be 'other'")])
def test_a_mistake_is_told(arguments, told, capsys):
    assert cli.main(["check-graph"] + arguments) == 2
    assert told in capsys.readouterr().err


def test_types_are_listed_with_the_most_frequent_first():
    with tf.Graph().as_default() as graph:
        tf.add(tf.ones([2]), tf.reduce_sum(tf.square(tf.ones([5]))))
    listed = graph_report.by_type(graph.get_operations())
    assert [count for _, count, _ in listed] == sorted((count for _, count, _ in listed), reverse=True)
    assert ("Square", 1, "float32 [5]") in listed
