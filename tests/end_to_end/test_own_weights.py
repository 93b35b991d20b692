"""MASF starts from what DeepAll has learnt."""

from __future__ import annotations

import json

from job import cli
from job.publication.retention import BEST
from masf_core.data import miniature
from obs_sync import open_store, read_pointer
from obs_sync.local.files import digest_of

SMALL = ["--width=0.05", "--meta_batch_size=3", "--metric_hidden=4", "--metric_embedding=3", "--train_iterations=1",
         "--test_print_interval=1", "--target_domain=cartoon", "--filelist_root=none", "--device=cpu"]


def test_masf_begins_with_the_best_checkpoint_of_a_deepall_run(tmp_path, capsys):
    miniature.write_miniature(str(tmp_path / "data"), images_per_class=5)

    def train(name, *flags):
        code = cli.main(["run", "--data_url=" + str(tmp_path / "data"), "--train_url=" + str(tmp_path / "out"),
                         "--work_dir=" + str(tmp_path / name), "--run_name=" + name] + SMALL + list(flags))
        told = capsys.readouterr().err
        assert code == 0, told
        return json.loads((tmp_path / "out" / name / "run.json").read_text(encoding="utf-8")), told

    deepall, _ = train("first", "--method=deepall", "--weights_path=none")
    assert "initial_weights" not in deepall
    with open_store(str(tmp_path / "out" / "first")) as store:
        best = read_pointer(store, BEST)
    network = tmp_path / "out" / "first" / "checkpoints" / best / "network.npz"
    masf, told = train("second", "--weights_path=" + str(tmp_path / "out" / "first"))
    assert masf["initial_weights"] == {
        "source": str(network), "run": str(tmp_path / "out" / "first") + "/", "checkpoint": best,
        "sha256": digest_of(str(network), "sha256"), "classes": deepall["data"]["classes"]}
    assert "classifier fc8: taken from" in told
    assert "starts from random values" not in told
