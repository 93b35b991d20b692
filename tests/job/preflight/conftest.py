"""A bucket with a data set that a small run could use, and the command on it."""
from __future__ import annotations

import json
import os

import pytest

from job import cli
from job.preflight.rows import MARKS
from masf_core.data import miniature
from obs_sync import open_store, push
from obs_sync.mock import mock_obs

DATA, OUT = "obs://bucket/pacs/", "obs://bucket/out/"
RUN = OUT + "masf_cartoon/"
SMALL = ["--width=0.05", "--meta_batch_size=3", "--metric_hidden=4", "--metric_embedding=3", "--weights_path=none"]


@pytest.fixture(scope="session")
def pacs(tmp_path_factory):
    folder = str(tmp_path_factory.mktemp("doctor") / "pacs")
    miniature.write_miniature(folder, images_per_class=4)
    return folder


@pytest.fixture
def obs(pacs):
    """The mocked OBS, which the command finds in the environment."""
    with mock_obs(buckets=["bucket"]) as mock:
        with open_store(DATA) as store:
            push(store, pacs)
        yield mock


@pytest.fixture
def doctor(capsys, tmp_path):
    """Runs the command in this process."""
    def run(*arguments, **urls):
        """{check: [row, …]} of the JSON document; ``code`` and ``err`` say the rest."""
        run.code = cli.main(["doctor", "--json", "--work_dir=" + str(tmp_path / "work")] + [
            f"--{name}={value}" for name, value in dict(dict(data_url=DATA, train_url=OUT), **urls).items()
            if value] + SMALL + list(arguments))
        out, run.err = capsys.readouterr()
        assert "Traceback" not in run.err
        found = json.loads(out)
        assert found["ok"] == (run.code == 0) and run.code in (0, 6), run.err
        rows = {}
        for row in found["checks"]:
            assert row["state"] in MARKS and row["told"] and (row["mend"] or row["state"] != "bad"), row
            assert not str(row["told"]).endswith((".", ";")) or row["mend"] is None, row
            rows.setdefault(row["name"], []).append(row)
        return rows

    return run


def bad(rows):
    return sorted(name for name, found in rows.items() if any(row["state"] == "bad" for row in found))


def left(url=OUT):
    """Keys and unfinished uploads below a URL."""
    with open_store(url, os.environ) as store:
        return [info.key for info in store.list()] + [upload.key for upload in store.unfinished_uploads()]
