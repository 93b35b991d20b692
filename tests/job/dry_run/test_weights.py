"""What a dry run puts into its bucket as weights."""
from __future__ import annotations

from job.config.settings import config_of
from job.dry_run import bucket


def test_a_network_that_none_are_made_up_for_gets_none(tmp_path, capsys):
    network = config_of({"backbone": "squeezenet"}).network
    assert bucket.fill_weights(str(tmp_path), None, network, environ={}, console=None) == "none"
    assert "squeezenet is trained from scratch" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []
