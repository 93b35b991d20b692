"""What a user gets to read for a mistake: one clear message, the documented exit code, no stack trace."""
from __future__ import annotations

import io
import os
import pickle

import numpy as np
import pytest

from obs_sync import push
from tests.end_to_end.small_disk import CannotMount, small_disk

pytestmark = pytest.mark.slow


def refused(job, code, *fragments, **changes):
    """Run the job; it must end with ``code`` and say every fragment, without a trace. Returns the output."""
    found, output = job.run(**changes)
    assert found == code, output
    assert "Traceback" not in output, output
    for fragment in fragments:
        assert fragment in output, output
    return output


def rewrite(job, key, change):
    """Replace an object of the data set."""
    job.mock.put("bucket", "pacs/" + key, change(job.mock.get("bucket", "pacs/" + key)))


def relabel(job, shift):
    """Add ``shift`` to every label of every list."""
    def change(data):
        lines = [line.rsplit(" ", 1) for line in data.decode().splitlines()]
        return "".join(f"{path} {int(label) + shift}\n" for path, label in lines).encode()

    for key in job.mock.keys("bucket", "pacs/kfold/"):
        rewrite(job, key[len("pacs/"):], change)


def test_lists_that_count_from_0_and_from_1_train_the_same(job, uninterrupted):
    relabel(job, -1)
    code, output = job.run()
    assert code == 0, output
    assert job.result()["weights"] == uninterrupted["weights"]


def test_lists_of_neither_base_are_refused(job):
    relabel(job, +1)
    refused(job, 3, "labels 2..8", "0=dog")


def test_a_list_from_1_forced_to_0_is_refused(job):
    refused(job, 3, "--label_base", label_base="0")


def test_a_label_that_disagrees_with_its_folder_is_named_with_its_line(job):
    rewrite(job, "kfold/sketch_train_kfold.txt", lambda data: data.replace(b"sketch/dog/pic_001.png 1",
                                                                           b"sketch/dog/pic_001.png 4"))
    output = refused(job, 3, "sketch_train_kfold.txt", "pic_001.png", "offenders.txt")
    (path,) = [word.rstrip(".,:;)") for word in output.split() if word.rstrip(".,:;)").endswith("offenders.txt")][:1]
    with open(path) as stream:
        assert "sketch/dog/pic_001.png" in stream.read()


def test_a_corrupt_jpeg_is_named(job):
    rewrite(job, "images/photo/dog/pic_001.jpg", lambda data: data[:len(data) // 2])
    refused(job, 3, "photo/dog/pic_001.jpg", "offenders.txt")


def test_a_malicious_weights_file_is_not_executed(job, tmp_path):
    class Evil:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "owned"),)

    stream = io.BytesIO()
    array = np.empty((), dtype=object)
    array[()] = {"conv1": Evil()}
    np.save(stream, array, allow_pickle=True)
    job.mock.put("bucket", "pacs/weights/bvlc_alexnet.npy", stream.getvalue())
    refused(job, 3, "bvlc_alexnet.npy", "mkdir")
    assert not (tmp_path / "owned").exists()
    assert pickle.loads(pickle.dumps({})) == {}  # the format itself is fine; what it asks for is not


def test_weights_of_another_width_are_refused_with_both_shapes(job):
    refused(job, 3, "conv1/weights: expected shape (11, 11, 3, 4)", "--backbone=alexnet --width=0.02", width=0.04)


def test_a_wrong_secret(job):
    job.environ["OBS_SECRET_ACCESS_KEY"] = "not-the-secret"
    output = refused(job, 4, "SignatureDoesNotMatch", "OBS_SECRET_ACCESS_KEY")
    assert "not-the-secret" not in output


def test_no_credentials(job):
    for name in ("OBS_ACCESS_KEY_ID", "OBS_SECRET_ACCESS_KEY"):
        del job.environ[name]
    refused(job, 4, "OBS_ACCESS_KEY_ID", "OBS_SECRET_ACCESS_KEY")


def test_a_missing_bucket(job):
    refused(job, 4, "no-such-bucket", data_url="obs://no-such-bucket/pacs/")


def test_an_empty_prefix(job):
    refused(job, 4, "obs://bucket/elsewhere/", data_url="obs://bucket/elsewhere/")


def test_a_url_that_is_none(job):
    refused(job, 2, "obs://bucket/", data_url="obs:/bucket/pacs")


def test_an_unwritable_directory(job, tmp_path):
    (tmp_path / "file").write_text("not a directory")
    refused(job, 4, str(tmp_path / "file"), "--work_dir", work_dir=str(tmp_path / "file" / "cache"))


def test_a_full_disk(job, tmp_path):
    try:
        with small_disk(str(tmp_path / "disk"), megabytes=1) as disk:
            refused(job, 4, str(disk), "free", work_dir=disk)
    except CannotMount as error:
        pytest.skip(f"this user may not mount a small disk: {error}")


def test_a_disk_that_fills_up_in_training_fails_at_the_end_and_the_next_run_goes_on(job, tmp_path, uninterrupted):
    try:
        with small_disk(str(tmp_path / "disk"), megabytes=3) as disk:
            os.makedirs(os.path.join(disk, "runs", "run"))
            spool = os.path.join(disk, "runs", "run", "spool")
            os.makedirs(spool)
            with open(os.path.join(disk, "ballast"), "wb") as stream:
                stream.write(b"\0" * (2 * 1024 * 1024))
            # Everything but the spool lies elsewhere, so that it is a checkpoint that meets the full disk.
            for name in ("inputs", "decoded", "weights"):
                (tmp_path / name).mkdir()
                os.symlink(str(tmp_path / name), os.path.join(disk, name))
            refused(job, 4, "cannot write checkpoint", "No space left", work_dir=disk)
    except CannotMount as error:
        pytest.skip(f"this user may not mount a small disk: {error}")
    code, output = job.run()
    assert code == 0, output
    assert job.result() == uninterrupted


def test_flags_and_values_that_are_wrong_are_all_named_at_once(job):
    refused(job, 2, "outter_lr", "did you mean", "outer_lr", "train_iterations", "'many'",
            outter_lr="1e-3", train_iterations="many")


def test_an_unknown_target_domain_lists_those_there_are(job):
    refused(job, 2, "clipart", "art_painting, cartoon, photo, sketch", target_domain="clipart")


def test_local_directories_as_a_v2_job_has_them_work_without_any_bucket(job, tmp_path, uninterrupted):
    inputs, outputs = tmp_path / "inputs", tmp_path / "outputs"
    os.symlink(str(job.source), str(inputs))
    code, output = job.run(data_url=str(inputs), train_url=str(outputs))
    assert code == 0, output
    with job.store("output/run/") as store:
        push(store, str(outputs / "run"))
    assert job.result() == uninterrupted


def test_flags_that_have_no_effect_are_told_at_both_ends_of_a_log_on_modelarts(job):
    job.environ["MA_JOB_DIR"] = "/home/ma-user/modelarts/user-job-dir"
    output = refused(job, 4, "no-such-bucket", data_url="obs://no-such-bucket/pacs/", colour="blue", num_gpus="1")
    lines = output.splitlines()
    told = [number for number, line in enumerate(lines) if "unknown flags have no effect: --colour=blue" in line]
    failed = [number for number, line in enumerate(lines) if "error:" in line and "no-such-bucket" in line]
    assert len(told) == 2 and told[0] < failed[0], output
    assert len(lines) - told[1] <= 3, output  # the last that is seen, beside the error itself
    assert not any("num_gpus" in lines[number] for number in told)


def test_elsewhere_an_unknown_flag_ends_the_job_before_it_begins(job):
    refused(job, 2, "unknown flag --sead", "did you mean --seed", sead="3")
    refused(job, 2, "unknown flag --colour", colour="blue")
