"""What a dry run puts into its bucket as weights."""
from __future__ import annotations

from job.config.settings import config_of
from job.console import Console
from job.dry_run import bucket
from obs_sync.mock import mock_obs


def test_a_network_that_none_are_made_up_for_gets_none(tmp_path, capsys):
    network = config_of({"backbone": "squeezenet"}).network
    assert bucket.fill_weights(str(tmp_path), None, network, environ={}, console=None) == "none"
    assert "squeezenet is trained from scratch" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []


def test_the_data_files_of_a_tensorflow_checkpoint_are_stored_with_its_index(tmp_path):
    for name in ("model.ckpt-9.index", "model.ckpt-9.data-00000-of-00001", "model.ckpt-99.data-00000-of-00001"):
        (tmp_path / name).write_bytes(name.encode())
    network = config_of({"backbone": "alexnet"}).network
    with mock_obs(buckets=[bucket.BUCKET]) as obs:
        url = bucket.fill_weights(str(tmp_path), str(tmp_path / "model.ckpt-9"), network, obs.environment(), Console())
        assert url.endswith("/model.ckpt-9.index")
        stored = [key.rsplit("/", 1)[1] for key in obs.keys(bucket.BUCKET, "weights/")]
    assert sorted(stored) == ["model.ckpt-9.data-00000-of-00001", "model.ckpt-9.index"]
