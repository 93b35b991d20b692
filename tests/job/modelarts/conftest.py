"""A mocked OBS with the names of a small data set, a ModelArts in memory, and how `submit` is called over both."""

from __future__ import annotations

import pytest

from job import cli
from job.modelarts import sdk_service
from obs_sync.mock import mock_obs
from tests.job.modelarts.memory_service import FLAVOR, MemoryJobService

DOMAINS, CLASSES, IMAGES = ("art_painting", "cartoon", "photo", "sketch"), ("dog", "house"), 12


@pytest.fixture(autouse=True)
def no_credentials(monkeypatch, tmp_path):
    """No file of the person who runs the tests is read."""
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.fixture(scope="module")
def obs():
    """Only names and sizes are looked at, so the images are no images."""
    with mock_obs(buckets=["bucket"]) as server:
        for domain in DOMAINS:
            for name in CLASSES:
                for number in range(IMAGES):
                    server.put("bucket", f"pacs/{domain}/{name}/{number}.jpg", b"\xff\xd8\xff\xe0" + bytes(64))
        yield server


@pytest.fixture
def service(monkeypatch):
    """What `submit` finds in the place of ModelArts."""
    memory = MemoryJobService()
    monkeypatch.setattr(sdk_service, "connect", lambda environ, region="": memory)
    return memory


class Submit:
    """Calls the command. The output of the last call is in `out`, its log in `log`."""

    def __init__(self, capsys):
        self._capsys = capsys
        self.out = self.log = ""

    def __call__(self, *words, train_url="obs://bucket/output/"):
        code = cli.main(["submit", "--data_url=obs://bucket/pacs/", "--train_url=" + train_url, "--weights_path=none",
                         "--meta_batch_size=6", "--flavor=" + FLAVOR.id] + list(words))
        captured = self._capsys.readouterr()
        self.out, self.log = captured.out, captured.err
        return code


@pytest.fixture
def submit(obs, service, capsys):
    return Submit(capsys)
