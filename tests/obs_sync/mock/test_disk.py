"""A mocked OBS in a directory: plain files, awkward keys, restarts, files put there by hand, crashes."""
from __future__ import annotations

import hashlib
import os
import stat

import pytest
from obs import CompleteMultipartUploadRequest, CompletePart

from obs_sync.mock import ObsError, RootInUse, mock_obs
from obs_sync.mock.shelf.objects import StoredObject
from tests.obs_sync.mock.support import BUCKET, make_client, request

AWKWARD_KEYS = ["dir/", "/leading", "a//b", "..", "../up", "a/../../up", ".", "./a", "n\u0000ul", "long" * 100,
                "a" * 200 + "/" + "b" * 300, ".mock_obs/x", "con\ntrol", "ünï/文件", "back\\slash", "C:\\x", "%2e%2e/x"]


@pytest.fixture
def root(tmp_path):
    return str(tmp_path / "root")


@pytest.fixture
def mock(root):
    with mock_obs(root=root, buckets=[BUCKET]) as running:
        yield running


def state(mock):
    """Everything about every object."""
    return {key: (mock.info(BUCKET, key)[:6], mock.get(BUCKET, key)) for key in mock.keys(BUCKET)}


def files_below(directory):
    return sorted(os.path.relpath(os.path.join(parent, name), directory)
                  for parent, _, names in os.walk(directory) for name in names)


def test_objects_are_plain_files_to_be_looked_at(mock, root):
    client = make_client(mock)
    client.putContent(BUCKET, "a/b.txt", "content")
    client.putContent(BUCKET, "c", "c")
    assert files_below(os.path.join(root, BUCKET)) == ["a/b.txt", "c"]
    with open(os.path.join(root, BUCKET, "a", "b.txt"), "rb") as file:
        assert file.read() == b"content"
    client.deleteObject(BUCKET, "a/b.txt")
    assert os.listdir(os.path.join(root, BUCKET)) == ["c"]  # no empty directories


def test_the_same_objects_are_there_after_a_restart(root):
    with mock_obs(root=root, buckets=[BUCKET, "empty"]) as mock:
        client = make_client(mock)
        client.putContent(BUCKET, "a/b.txt", "content", metadata={"step": "1"})
        upload_id = client.initiateMultipartUpload(BUCKET, "big").body.uploadId
        parts = [CompletePart(number, client.uploadPart(BUCKET, "big", number, upload_id, b"1" * 102400).body.etag)
                 for number in (1, 2)]
        client.completeMultipartUpload(BUCKET, "big", upload_id, CompleteMultipartUploadRequest(parts))
        for key in AWKWARD_KEYS:
            mock.put(BUCKET, key, key.encode("utf-8"))
        before = state(mock)
        assert before["big"][0][2].endswith("-2")
    with mock_obs(root=root) as mock:
        assert mock.buckets() == [BUCKET, "empty"]
        assert state(mock) == before
        assert make_client(mock).getObjectMetadata(BUCKET, "a/b.txt").body.contentType == "text/plain"


def test_an_unfinished_upload_can_be_finished_after_a_restart(root):
    with mock_obs(root=root, buckets=[BUCKET]) as mock:
        client = make_client(mock)
        upload_id = client.initiateMultipartUpload(BUCKET, "key", metadata={"step": "1"}).body.uploadId
        client.uploadPart(BUCKET, "key", 1, upload_id, b"superseded")
        first = client.uploadPart(BUCKET, "key", 1, upload_id, b"1" * 102400).body.etag
    with mock_obs(root=root) as mock:
        assert mock.uploads(BUCKET) == [("key", upload_id)]
        client = make_client(mock)
        assert [part.etag for part in client.listParts(BUCKET, "key", upload_id).body.parts] == [first]
        second = client.uploadPart(BUCKET, "key", 2, upload_id, b"2").body.etag
        parts = CompleteMultipartUploadRequest([CompletePart(1, first), CompletePart(2, second)])
        assert client.completeMultipartUpload(BUCKET, "key", upload_id, parts).status == 200
        assert mock.get(BUCKET, "key") == b"1" * 102400 + b"2"
        assert mock.info(BUCKET, "key").properties.metadata == {"step": "1"}
        assert os.listdir(os.path.join(root, ".mock_obs", BUCKET, "uploads")) == []


@pytest.mark.parametrize("key", AWKWARD_KEYS)
def test_a_key_that_cannot_be_a_path_stays_inside_and_comes_back(mock, root, tmp_path, key):
    (tmp_path / "up").write_bytes(b"outside")
    mock.put(BUCKET, key, b"content")
    mock.put(BUCKET, key, b"content again")
    assert (mock.keys(BUCKET), mock.get(BUCKET, key)) == ([key], b"content again")
    assert sorted(os.listdir(str(tmp_path))) == ["root", "up"]
    assert (tmp_path / "up").read_bytes() == b"outside"
    assert sorted(os.listdir(root)) == [".mock_obs", BUCKET]
    mock.delete(BUCKET, key)
    assert mock.keys(BUCKET) == [] and files_below(os.path.join(root, BUCKET)) == []
    assert files_below(os.path.join(root, ".mock_obs", BUCKET)) == []


def test_a_key_may_be_the_beginning_of_another(mock, root):
    for key in ("a", "a/b", "a/b/c", "d/e", "d"):
        mock.put(BUCKET, key, key.encode())
    assert mock.keys(BUCKET) == ["a", "a/b", "a/b/c", "d", "d/e"]
    assert [mock.get(BUCKET, key) for key in mock.keys(BUCKET)] == [b"a", b"a/b", b"a/b/c", b"d", b"d/e"]
    mock.delete(BUCKET, "a")
    mock.put(BUCKET, "a/b", b"now a file")
    assert [mock.get(BUCKET, key) for key in mock.keys(BUCKET)] == [b"now a file", b"a/b/c", b"d", b"d/e"]
    assert files_below(os.path.join(root, BUCKET)) == ["a/b", "d/e"]
    assert len(files_below(os.path.join(root, ".mock_obs", BUCKET, "odd"))) == 2  # of a/b/c and d


def test_a_file_copied_in_by_hand_is_an_object_after_a_restart(root):
    with mock_obs(root=root, buckets=[BUCKET]) as mock:
        mock.put(BUCKET, "kept", b"as long")
    os.makedirs(os.path.join(root, BUCKET, "by", "hand"))
    os.makedirs(os.path.join(root, "new-bucket"))
    for path in ((BUCKET, "by", "hand", "ü.txt"), (BUCKET, "kept"), ("new-bucket", "file")):
        with open(os.path.join(root, *path), "wb") as file:
            file.write(b"by hand")
    with mock_obs(root=root) as mock:
        assert mock.buckets() == [BUCKET, "new-bucket"]
        assert mock.keys(BUCKET) == ["by/hand/ü.txt", "kept"]
        listed = make_client(mock).listObjects(BUCKET).body.contents
        assert {item.etag for item in listed} == {f'"{hashlib.md5(b"by hand").hexdigest()}"'}
        assert mock.get(BUCKET, "kept") == mock.get("new-bucket", "file") == b"by hand"


def test_a_file_changed_by_hand_while_serving_is_read_as_it_is_now(mock, root):
    mock.put(BUCKET, "key", b"content")
    with open(os.path.join(root, BUCKET, "key"), "wb") as file:
        file.write(b"changed by hand")
    reply = request(mock, "GET", "/key")
    assert (reply.body, reply.headers["etag"]) == (b"changed by hand",
                                                   f'"{hashlib.md5(b"changed by hand").hexdigest()}"')


def test_a_file_removed_by_hand_while_serving_is_gone(mock, root):
    mock.put(BUCKET, "key", b"content")
    os.unlink(os.path.join(root, BUCKET, "key"))
    assert request(mock, "GET", "/key").code == "NoSuchKey"
    assert mock.keys(BUCKET) == []


def test_symbolic_links_are_not_followed(root, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_bytes(b"secret")
    with mock_obs(root=root, buckets=[BUCKET]):
        pass
    os.symlink(str(outside), os.path.join(root, BUCKET, "link"))
    os.symlink(str(outside / "secret"), os.path.join(root, BUCKET, "file"))
    os.symlink(str(outside), os.path.join(root, "linked-bucket"))
    with mock_obs(root=root) as mock:
        assert (mock.buckets(), mock.keys(BUCKET)) == ([BUCKET], [])
        for key in ("link/new", "link/secret", "link/a/b", "file"):
            mock.put(BUCKET, key, b"content")
        assert len(mock.keys(BUCKET)) == 4
        assert os.listdir(str(outside)) == ["secret"] and (outside / "secret").read_bytes() == b"secret"


def test_what_is_no_plain_file_is_passed_over(root):
    with mock_obs(root=root, buckets=[BUCKET]):
        pass
    os.mkfifo(os.path.join(root, BUCKET, "pipe"))
    os.makedirs(os.path.join(root, BUCKET, "empty", "directory"))
    os.makedirs(os.path.join(root, "Not_A_Bucket"))
    with open(os.path.join(os.fsencode(root), BUCKET.encode(), b"not utf-8 \xff"), "wb"):
        pass
    with mock_obs(root=root) as mock:
        assert (mock.buckets(), mock.keys(BUCKET)) == ([BUCKET], [])


def test_overwriting_never_changes_the_file_that_was_linked_in(root, tmp_path):
    original = tmp_path / "original"
    original.write_bytes(b"original")
    os.makedirs(os.path.join(root, BUCKET))
    os.link(str(original), os.path.join(root, BUCKET, "key"))
    with mock_obs(root=root) as mock:
        assert mock.get(BUCKET, "key") == b"original"
        mock.put(BUCKET, "key", b"another")
    assert original.read_bytes() == b"original"


def test_a_bucket_that_was_deleted_leaves_nothing(mock, root):
    mock.create_bucket("another")
    mock.put("another", "a/b", b"content")
    mock.delete("another", "a/b")
    os.makedirs(os.path.join(root, "another", "empty", "directory"))
    client = make_client(mock)
    assert client.deleteBucket("another").status == 204
    assert sorted(os.listdir(root)) == [".mock_obs", BUCKET]
    assert sorted(os.listdir(os.path.join(root, ".mock_obs"))) == [BUCKET, "incoming", "lock"]


def test_a_reset_empties_the_directory(mock, root):
    mock.create_bucket("another")
    mock.put(BUCKET, "a/b", b"content")
    mock.reset()
    assert (mock.buckets(), files_below(os.path.join(root, BUCKET))) == ([BUCKET], [])
    mock.put(BUCKET, "a/b", b"content")
    assert mock.get(BUCKET, "a/b") == b"content"


def test_two_servers_do_not_share_a_directory(mock, root):
    with pytest.raises(RootInUse, match="another mocked OBS"):
        mock_obs(root=root).start()
    mock.stop()
    mock_obs(root=root).start().stop()


@pytest.mark.parametrize("crash_at", ["about", "object"])
def test_a_crash_while_overwriting_leaves_the_old_or_the_new_object(root, monkeypatch, crash_at):
    with mock_obs(root=root, buckets=[BUCKET]) as mock:
        mock.put(BUCKET, "key", b"old", metadata={"version": "old"})
        real = os.replace

        def replace(source, target):
            if (f"{os.sep}about{os.sep}" in target) == (crash_at == "about"):
                raise KeyboardInterrupt
            real(source, target)

        monkeypatch.setattr(os, "replace", replace)
        with pytest.raises(KeyboardInterrupt):
            mock.put(BUCKET, "key", b"newer", metadata={"version": "new"})
        monkeypatch.undo()
        assert mock.get(BUCKET, "key") == b"old"
    with mock_obs(root=root) as mock:
        assert (mock.keys(BUCKET), mock.get(BUCKET, "key")) == (["key"], b"old")
        assert mock.info(BUCKET, "key").etag == hashlib.md5(b"old").hexdigest()


def test_a_failed_completion_leaves_the_upload_as_it_was(mock, root, monkeypatch):
    client = make_client(mock)
    upload_id = client.initiateMultipartUpload(BUCKET, "key").body.uploadId
    etag = client.uploadPart(BUCKET, "key", 1, upload_id, b"content").body.etag
    parts = CompleteMultipartUploadRequest([CompletePart(1, etag)])

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("obs_sync.mock.shelf.disk.DiskShelf.place", full)
    answer = client.completeMultipartUpload(BUCKET, "key", upload_id, parts)
    assert (answer.status, answer.errorCode) == (500, "InternalError")
    assert "No space left" in answer.errorMessage
    monkeypatch.undo()
    assert client.completeMultipartUpload(BUCKET, "key", upload_id, parts).status == 200
    assert mock.get(BUCKET, "key") == b"content"


def test_nothing_that_came_in_by_halves_is_left(mock, root):
    for body, headers in ((b"x" * 1000000, {"Content-MD5": "1B2M2Y8AsgTpgAmY7PhCfg=="}), (b"x", {"Content-MD5": "x"})):
        assert request(mock, "PUT", "/key", body, headers).status == 400
    mock.put(BUCKET, "large", b"x" * 1000000)
    assert os.listdir(os.path.join(root, ".mock_obs", "incoming")) == []


def test_leftovers_of_a_server_that_was_killed_are_removed_at_the_start(root):
    with mock_obs(root=root, buckets=[BUCKET]) as mock:
        mock.put(BUCKET, "gone", b"content")
        upload_id = make_client(mock).initiateMultipartUpload(BUCKET, "key").body.uploadId
    hidden = os.path.join(root, ".mock_obs")
    os.mkdir(os.path.join(hidden, "incoming"))
    with open(os.path.join(hidden, "incoming", "7"), "wb") as file:
        file.write(b"half a body")
    os.unlink(os.path.join(root, BUCKET, "gone"))
    os.unlink(os.path.join(hidden, BUCKET, "uploads", upload_id, "upload.json"))
    with mock_obs(root=root) as mock:
        assert (mock.keys(BUCKET), mock.uploads(BUCKET)) == ([], [])
        assert files_below(hidden) == ["lock"]


def test_large_objects_in_memory_use_files_that_go_with_the_mock(monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    content = b"x" * (9 << 20)
    with mock_obs(buckets=[BUCKET]) as mock:
        mock.put(BUCKET, "small", b"small")
        assert os.listdir(str(tmp_path)) == []
        mock.put(BUCKET, "key", content)
        mock.put(BUCKET, "key", content)
        directory, = os.listdir(str(tmp_path))
        assert len(os.listdir(str(tmp_path / directory))) == 1
        assert stat.S_IMODE(os.stat(str(tmp_path / directory)).st_mode) == 0o700
        assert make_client(mock).getObject(BUCKET, "key", loadStreamInMemory=True).body.buffer == content
        mock.delete(BUCKET, "key")
        assert os.listdir(str(tmp_path / directory)) == []
    assert os.listdir(str(tmp_path)) == []


def test_the_root_must_be_a_directory(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OSError):
        mock_obs(root=str(tmp_path / "file")).start()


def test_what_is_known_of_an_object_is_told(mock):
    stored = mock.put(BUCKET, "key", b"content", content_type="text/plain", metadata={"step": "1"})
    assert isinstance(stored, StoredObject) and stored == mock.info(BUCKET, "key")
    assert (stored.size, stored.properties.content_type) == (7, "text/plain")
    with pytest.raises(ObsError):
        mock.info(BUCKET, "absent")
