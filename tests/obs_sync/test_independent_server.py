"""The contract once more, against a server by other people: client and mock must not merely agree with each other.

By address the SDK speaks its v2 dialect, which moto knows.
"""

from __future__ import annotations

import itertools
import os
import threading

import pytest
from moto.server import create_backend_app
from werkzeug.serving import make_server

from obs_sync import fetch_checkpoint, list_markers, open_store, publish_checkpoint, pull
from tests.obs_sync import test_store_contract
from tests.obs_sync.trees import read_tree, write_tree

pytestmark = pytest.mark.slow

globals().update({name: test for name, test in vars(test_store_contract).items() if name.startswith("test_")})

_numbers = itertools.count()


@pytest.fixture(scope="module")
def server():
    server = make_server("127.0.0.1", 0, create_backend_app("s3"), threaded=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def store(server):
    """A new bucket."""
    environ = {"OBS_ACCESS_KEY_ID": "id", "OBS_SECRET_ACCESS_KEY": "hush",
               "OBS_SERVER": f"http://127.0.0.1:{server.server_port}"}
    bucket = f"bucket-{next(_numbers)}"
    with open_store(f"obs://{bucket}/base/", environ) as store:
        assert store._calls.client.createBucket(bucket).status < 300
        yield store


def test_a_file_in_parts_comes_back_with_its_digest(store, tmp_path):
    data = os.urandom(65 << 20)
    (tmp_path / "big").write_bytes(data)
    stored = store.upload(str(tmp_path / "big"), "big")
    assert stored.etag.endswith("-5") and store.head("big").md5 == stored.md5
    assert pull(store, str(tmp_path / "out")).bytes == len(data)
    assert read_tree(tmp_path / "out") == {"big": data}
    assert pull(store, str(tmp_path / "out")).files == 0


def test_a_checkpoint_is_published_and_fetched(store, tmp_path):
    files = {"a": b"1", "b/c": os.urandom(100000)}
    marker = publish_checkpoint(store, write_tree(tmp_path / "ckpt", files), "one", {"step": 1})
    assert list_markers(store) == [marker]
    assert read_tree(fetch_checkpoint(store, marker, str(tmp_path / "restored"))) == files
