"""The whole job on two processes: equal to one process, killed, resumed with another number."""
from __future__ import annotations

import io
import json
import signal
import time

import numpy as np
import pytest

from job.exits import RANK_LOST
from job.ranks.launch import free_port
from obs_sync.mock import mock_obs
from tests.end_to_end.conftest import Job, wait_for_line
from tests.end_to_end.test_ascend import on_ascend  # noqa: F401

WITHOUT_DROPOUT = {"keep_probability": 1.0}
NUMBERS = ("source_loss", "source_accuracy", "global_loss", "metric_loss", "target_loss", "target_accuracy",
           "validation_accuracy")


def weights(result):
    with np.load(io.BytesIO(result["weights"])) as arrays:
        return {name: arrays[name] for name in arrays.files}


def check_equal(found, expected):
    """Two results of the same run are the same but for rounding."""
    assert found["state"] == expected["state"] == "done"
    for here, there in zip(found["records"], expected["records"]):
        assert here["iteration"] == there["iteration"] and here["target_confusion"] == there["target_confusion"]
        assert [here[name] for name in NUMBERS] == pytest.approx([there[name] for name in NUMBERS], rel=1e-3)
    here, there = weights(found), weights(expected)
    for name in there:
        np.testing.assert_allclose(here[name], there[name], rtol=1e-3, atol=2e-5, err_msg=name)


def start_ranks(job, *ranks, last=None, **changes):
    """Processes as the platform starts them, each with its rank; a rank is given as the program it runs, or None.

    last: settings of the last rank that differ.
    """
    environ = dict(job.environ, RANK_SIZE=str(len(ranks)), RANK_CONTROL=f"127.0.0.1:{free_port()}")
    started = []
    for rank, program in enumerate(ranks):
        job.environ = dict(environ, RANK_ID=str(rank))
        own = dict(changes, **(last or {})) if rank == len(ranks) - 1 else changes
        started.append(job.start(*(program or ()), **own))
    job.environ = {name: value for name, value in environ.items() if not name.startswith("RANK_")}
    return started


def ended(process, seconds):
    """(exit code, output)."""
    try:
        output, _ = process.communicate(timeout=seconds)
    finally:
        process.kill()
    return process.returncode, output


def run_record(job, run):
    with job.store(f"output/{run}/") as store:
        return json.loads(store.read("run.json").decode())


@pytest.fixture(scope="module")
def one(tmp_path_factory, source):
    """The result of one process."""
    with mock_obs(buckets=["bucket"]) as mock:
        job = Job(mock, tmp_path_factory.mktemp("cache"), source).fill()
        code, output = job.run(**WITHOUT_DROPOUT)
        assert code == 0, output
        return job.result()


@pytest.mark.slow
def test_two_processes_compute_what_one_does_and_rank_0_alone_publishes(job, one):
    code, output = job.run(processes=2, **WITHOUT_DROPOUT)
    assert code == 0, output
    check_equal(job.result(), one)
    assert output.count("iteration 6:") == 1
    assert len(run_record(job, "run")["attempts"]) == 1


@pytest.mark.slow
@pytest.mark.parametrize("lost", [0, 1])
def test_a_killed_process_ends_the_other_and_a_restart_with_one_process_goes_on(job, one, lost):
    deadly = ("-m", "tests.end_to_end.killed_at", "masf_core.model:Model.step", "4")
    ranks = start_ranks(job, *[deadly if rank == lost else None for rank in range(2)], **WITHOUT_DROPOUT)
    code, output = ended(ranks[lost], 120)
    assert code == -signal.SIGKILL, output
    begun = time.monotonic()
    code, output = ended(ranks[1 - lost], 60)
    assert code == RANK_LOST, output
    assert f"rank {lost} was lost" in output
    assert time.monotonic() - begun < 40.0
    if lost == 1:
        attempt = run_record(job, "run")["attempts"][-1]
        assert attempt["exit_code"] == RANK_LOST and "rank 1 was lost" in attempt["reason"]
    code, output = job.run(**WITHOUT_DROPOUT)
    assert code == 0, output
    assert lost == 0 or "at iteration 2" in output  # rank 0 publishes, and may die before it has
    check_equal(job.result(), one)


@pytest.mark.slow
def test_those_who_wait_for_a_pull_end_if_the_one_who_pulls_dies(job):
    deadly = ("-m", "tests.end_to_end.killed_at", "obs_sync.esdk.store:EsdkStore.download_all", "1")
    puller, waiting = start_ranks(job, deadly, None, **WITHOUT_DROPOUT)
    code, output = ended(puller, 120)
    assert code == -signal.SIGKILL, output
    begun = time.monotonic()
    code, output = ended(waiting, 60)
    assert code == RANK_LOST and "rank 0 was lost" in output, output
    assert time.monotonic() - begun < 40.0


@pytest.mark.slow
def test_sigterm_stops_all_after_the_same_iteration_and_the_next_start_goes_on_from_there(job, one):
    process = job.start(processes=2, **WITHOUT_DROPOUT)
    wait_for_line(process, "iteration 3:")
    process.send_signal(signal.SIGTERM)
    code, output = ended(process, 60)
    assert code == 143, output
    assert "everything is published" in output
    assert run_record(job, "run")["state"] == "stopped"
    code, output = job.run(processes=2, **WITHOUT_DROPOUT)
    assert code == 0, output
    check_equal(job.result(), one)


def on_two_cards(on_ascend, folder):  # noqa: F811
    """Let jobs run on two cards of one server, with HCCL's collectives."""
    table = folder / "jobstart_hccl.json"
    table.write_text(json.dumps({
        "version": "1.0", "status": "completed", "server_count": "1", "server_list": [{
            "server_id": "10.0.0.1", "device": [
                {"device_id": str(rank), "device_ip": f"192.168.1.{rank}", "rank_id": str(rank)}
                for rank in range(2)]}]}))
    del on_ascend.environ["ASCEND_DEVICE_ID"]
    on_ascend.environ.update(RANK_TABLE_FILE=str(table), FAKE_HCCL_PORT=str(free_port()),
                             FAKE_NPU_ENGINE="tests.end_to_end.hccl_engine:engine")


@pytest.mark.slow
@pytest.mark.parametrize("precision", [
    dict(precision_mode="must_keep_origin_dtype"),
    # Of a size that overflows nowhere: each card's own loss has larger gradients than one that has all images, so that
    # a scale at the limit finds it at different iterations.
    dict(precision="mixed", loss_scale="1024")], ids=["float32", "mixed"])
def test_two_cards_through_hccl_compute_what_one_does(on_ascend, tmp_path, precision):  # noqa: F811
    code, output = on_ascend.run(run_name="one", device="ascend", **precision, **WITHOUT_DROPOUT)
    assert code == 0, output
    on_two_cards(on_ascend, tmp_path)
    code, output = on_ascend.run(run_name="two", device="ascend", processes=2, **precision, **WITHOUT_DROPOUT)
    assert code == 0, output
    check_equal(on_ascend.result("two"), on_ascend.result("one"))


@pytest.mark.slow
def test_an_overflow_on_one_card_makes_all_of_them_skip(on_ascend, tmp_path):  # noqa: F811
    on_two_cards(on_ascend, tmp_path)
    on_ascend.environ.update(FAKE_NPU_OVERFLOW="2@1", FAKE_NPU_FILES="1")
    cards = []
    for rank in range(2):  # as the platform does it: the boot file once a card
        on_ascend.environ.update(RANK_ID=str(rank), RANK_SIZE="2", JOB_ID="1", ASCEND_DEVICE_ID=str(rank))
        cards.append(on_ascend.start(run_name="two", device="ascend", precision="mixed", loss_scale="1024",
                                     **WITHOUT_DROPOUT))
    for card in cards:
        output = card.communicate(timeout=240)[0]
        assert card.returncode == 0, output
    assert sum(record.get("skipped", 0) for record in on_ascend.result("two")["records"]) == 1  # rank 0's own
    # The compiler's files of one card are not overwritten by the other's.
    folders = [on_ascend.work_dir / "runs" / "two" / "cann" / f"rank-{rank}" for rank in range(2)]
    assert all((folder / "fusion_result.json").is_file() for folder in folders)
    assert {session["options"]["debug_dir"] for session in on_ascend.recorded("session")} == set(map(str, folders))


@pytest.mark.slow
def test_a_card_that_cann_aborts_is_explained(on_ascend, tmp_path):  # noqa: F811
    on_two_cards(on_ascend, tmp_path)
    on_ascend.environ.update(FAKE_NPU_COMPILE="aborts@images:0", ASCEND_PROCESS_LOG_PATH=str(tmp_path / "plogs"))
    code, output = on_ascend.run(run_name="two", device="ascend", processes=2)
    assert code == 134, output
    assert "native code aborted rank " in output and "(SIGABRT, exit code 134)" in output
    assert "[GE][Compile]Op[conv1/Conv2D] is not supported by the engine" in output


@pytest.mark.slow
def test_on_each_machine_one_process_pulls(job, one, tmp_path):
    # Another working directory is another machine, as far as the processes can tell.
    elsewhere = tmp_path / "elsewhere"
    ranks = start_ranks(job, None, None, last={"work_dir": str(elsewhere)}, **WITHOUT_DROPOUT)
    for process in ranks:
        code, output = ended(process, 120)
        assert code == 0, output
    check_equal(job.result(), one)
    for work_dir in (job.work_dir, elsewhere):
        assert len(list((work_dir / "inputs").iterdir())) == 1


@pytest.mark.parametrize("changes, last, said", [
    ({}, {"outer_lr": 1e-3}, "rank 1 was started with another configuration than rank 0: outer_lr is 0.001 and not"),
    ({"meta_batch_size": 7}, {}, "meta_batch_size=7 cannot be shared by 2 ranks"),
])
def test_what_cannot_train_together_is_refused_by_all(job, changes, last, said):
    for process in start_ranks(job, None, None, last=last, **changes):
        code, output = ended(process, 60)
        assert code == 2, output
        assert said in output
