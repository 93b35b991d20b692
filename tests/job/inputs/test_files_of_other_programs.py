"""`evaluate` takes files of weights that other programs wrote, if their classifier is of these classes."""
from __future__ import annotations

import numpy as np
import pytest

from job.config.settings import config_of
from job.console import Console
from job.inputs.fetch_trained import fetch_network
from job.workspace import evaluation_workspace
from masf_core.errors import WeightsError
from masf_core.network.formats.content import CAFFE
from obs_sync import open_store, push
from obs_sync.mock import mock_obs
from tests.masf_core.network.formats import writers

CONFIG = config_of({"width": 0.02, "backbone": "alexnet", "data_url": "/data"})


@pytest.fixture(scope="module")
def values():
    return writers.network_values("alexnet", classes=7, width=0.02)


@pytest.fixture
def fetch(tmp_path):
    """Runs ``fetch_network`` on a place, here or in the mocked OBS."""
    with mock_obs(buckets=["bucket"]) as obs:
        def fetch(place):
            with open_store("obs://bucket/logs/", obs.environment()) as store:
                push(store, str(tmp_path / "logs"))
            return fetch_network(place, None, evaluation_workspace(str(tmp_path / "work")), Console(),
                                 lambda url: open_store(url, obs.environment()))
        (tmp_path / "logs").mkdir()
        yield fetch


@pytest.mark.parametrize("place", ["{here}/logs/model.ckpt-9", "obs://bucket/logs/model.ckpt-9",
                                   "obs://bucket/logs/model.ckpt-9.index"])
def test_a_checkpoint_of_the_reference_is_evaluated_with_its_classifier(fetch, tmp_path, values, place):
    writers.checkpoint(str(tmp_path / "logs" / "model.ckpt-9"), {"model/" + name: value
                                                                 for name, value in values.items()})
    network = fetch(place.format(here=tmp_path))
    found = network.values(CONFIG, 7)
    assert sorted(found) == sorted(values)
    np.testing.assert_array_equal(found["fc8/weights"], values["fc8/weights"])
    assert network.source.endswith("model.ckpt-9.index")


def test_a_caffe_model_of_other_classes_is_refused(fetch, tmp_path, values):
    turned = writers.named(writers.channels_first(values, {"fc6": 36}), "AlexNet with Caffe's names", CAFFE)
    (tmp_path / "logs" / "net.caffemodel").write_bytes(writers.caffemodel(turned))
    network = fetch("obs://bucket/logs/net.caffemodel")
    assert len(network.values(CONFIG, 7)) == 16
    with pytest.raises(WeightsError, match="this file has 7 classes"):
        network.values(CONFIG, 5)
