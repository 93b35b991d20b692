"""Kill the job anywhere, start it again with the same command, and it ends as if nothing had happened."""
from __future__ import annotations

import json
import signal
import time

import pytest

from obs_sync import list_markers, read_pointer
from obs_sync.mock import mock_obs
from tests.end_to_end.conftest import Job, wait_for_line

# What runs there, and the how-many-th call of it, or the first about what, is the last thing the first attempt does.
# Of the three checkpoints one is dropped where the publisher is slow.
KILLS = {
    "pull": ("obs_sync.esdk.store:EsdkStore._receive", 30),
    "decode": ("masf_core.data.decode_cache:decode_image", 40),
    "first iteration": ("masf_core.model:Model.step", 1),
    "training after a checkpoint": ("masf_core.model:Model.step", 4),
    "evaluation": ("masf_core.evaluation:evaluate", 7),
    "checkpoint write": ("masf_core.records.checkpoints:sync", 9),
    "upload of a checkpoint": ("obs_sync.esdk.store:EsdkStore.upload", 5),
    "before the first marker": ("obs_sync.checkpoints.publish:_write_marker", 1),
    "before the last marker": ("obs_sync.checkpoints.publish:_write_marker", "ckpt-000006"),
    "before the pointer to the best": ("job.publication.delivery:write_pointer", 1),
    "retention": ("job.publication.retention:retain", 2),
    "the last words": ("job.training:clear_spool", 1),
}


@pytest.mark.slow
@pytest.mark.parametrize("phase", sorted(KILLS))
def test_a_killed_run_ends_as_an_uninterrupted_one(job, uninterrupted, phase):
    job.killed_at(*KILLS[phase])
    code, output = job.run()
    assert code == 0, output
    assert job.result() == uninterrupted


@pytest.mark.slow
def test_three_kills_in_a_row_change_nothing_either(job, uninterrupted):
    for place, call in (("masf_core.model:Model.step", 3), ("masf_core.model:Model.step", 2),
                        ("obs_sync.checkpoints.publish:_write_marker", "ckpt-000006")):
        job.killed_at(place, call)
    code, output = job.run()
    assert code == 0, output
    assert job.result() == uninterrupted
    with job.store("output/run/") as store:
        attempts = json.loads(store.read("run.json").decode())["attempts"]
    assert [attempt["outcome"] for attempt in attempts] == ["ended without a record"] * 3 + ["done"]


@pytest.mark.slow
def test_a_damaged_newest_checkpoint_gives_way_to_the_one_before(job, uninterrupted):
    assert job.run(train_iterations=4)[0] == 0
    with job.store("output/run/") as store:
        newest = max(list_markers(store), key=lambda marker: marker.metadata["iteration"])
        assert newest.metadata["iteration"] == 4
        data = bytearray(store.read(f"checkpoints/{newest.name}/network.npz"))
        data[len(data) // 2] ^= 1
        store.write(f"checkpoints/{newest.name}/network.npz", bytes(data))
    code, output = job.run()
    assert code == 0, output
    assert "trying the one before it" in output and "at iteration 2" in output
    assert job.result() == uninterrupted


@pytest.mark.slow
def test_sigterm_in_training_exits_143_within_the_grace_period_and_the_next_start_resumes(job, uninterrupted):
    process = job.start()
    wait_for_line(process, "iteration 3:")
    started = time.monotonic()
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=60)
    assert time.monotonic() - started < 15.0
    assert process.returncode == 143, output
    with job.store("output/run/") as store:
        run = json.loads(store.read("run.json").decode())
        newest = max(marker.metadata["iteration"] for marker in list_markers(store))
    assert run["state"] == "stopped" and run["attempts"][-1]["exit_code"] == 143
    assert run["attempts"][-1]["to_iteration"] == newest >= 3
    code, output = job.run()
    assert code == 0, output
    assert "resuming from" in output or "is done" in output
    assert job.result() == uninterrupted


@pytest.mark.slow
def test_a_finished_run_is_not_run_again_but_goes_on_when_more_is_asked_for(job, uninterrupted):
    assert job.run(train_iterations=4)[0] == 0
    with job.store("output/run/") as store:
        metrics = store.read("metrics.jsonl")
        store.write("metrics.jsonl", metrics[:metrics.index(b"\n") + 1])  # a write of the first interval arrives late
    code, output = job.run(train_iterations=4)
    assert code == 0 and "Nothing is left to do" in output and "metrics.jsonl is older than checkpoint" in output
    with job.store("output/run/") as store:
        assert store.read("metrics.jsonl") == metrics
    code, output = job.run()
    assert code == 0, output
    assert job.result() == uninterrupted


@pytest.mark.slow
def test_another_configuration_is_refused_by_name_and_never_begins_afresh(job):
    assert job.run(train_iterations=2)[0] == 0
    before = job.mock.keys("bucket", "output/run/checkpoints/")
    code, output = job.run(train_iterations=2, outer_lr=3e-4, margin=20)
    assert code == 2, output
    assert "outer_lr was 0.0001, is 0.0003" in output and "margin was 10.0, is 20.0" in output
    assert "--resume=never" in output and "Traceback" not in output
    code, output = job.run(train_iterations=2, outer_lr=3e-4, margin=20, resume="never")
    assert code == 0, output
    after = job.mock.keys("bucket", "output/run/checkpoints/")
    assert set(before) - {"output/run/checkpoints/best.json"} < set(after)


@pytest.mark.slow
def test_a_mistake_before_the_first_checkpoint_does_not_lock_the_run(job, uninterrupted):
    code, output = job.run(meta_batch_size=500)
    assert code == 2 and "meta_batch_size=500, but domain" in output, output
    code, output = job.run()
    assert code == 0, output
    assert job.result() == uninterrupted


@pytest.mark.slow
def test_a_storage_that_goes_away_costs_no_iteration(tmp_path, source, uninterrupted):
    root = str(tmp_path / "server")
    with mock_obs(root=root, buckets=["bucket"]) as mock:
        job = Job(mock, tmp_path / "cache", source).fill()
        process = job.start(print_interval=1, drain_seconds=5)
        lines = wait_for_line(process, "published ckpt-000002")
    output = "".join(lines) + process.communicate(timeout=200)[0]
    assert process.returncode == 4, output
    assert "iteration 6:" in output and "The same command delivers them" in output and "Traceback" not in output
    with mock_obs(root=root) as mock:
        job = Job(mock, tmp_path / "cache", source)
        code, output = job.run()
        assert code == 0, output
        assert "at iteration 6" in output and "iteration 6:" not in output
        assert job.result() == uninterrupted
        with job.store("output/run/") as store:
            best = json.loads(store.read("run.json").decode())["best"]["iteration"]
            assert read_pointer(store, "best").startswith(f"ckpt-{best:06d}")
