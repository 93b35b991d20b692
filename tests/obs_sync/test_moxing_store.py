"""The moxing adapter against a stand-in that keeps moxing's oddities, and the stand-in itself."""

from __future__ import annotations

import errno
import inspect
import os
import types

import pytest

from obs_sync import (
    AccessDenied, BucketNotFound, IntegrityError, LocalStorageError, ObjectNotFound, StoreError,
    StoreUnavailable, pull, push,
)
from obs_sync.moxing_store import MoxingStore
from obs_sync.retry import Retry
from tests.obs_sync.trees import leftovers, read_tree, write_tree


def twisted(moxing_file, **functions):
    """A MoxingStore over moxing.file with some functions replaced, that does not really sleep."""
    api = types.SimpleNamespace(**{name: getattr(moxing_file, name) for name in dir(moxing_file)})
    vars(api).update(functions)
    return MoxingStore(api, "obs://bucket/base/", Retry(3, sleep=lambda seconds: None))


def refusal(moxing_file, status, code):
    def refuse(*args, **kwargs):
        raise moxing_file.MoxFileRespException(types.SimpleNamespace(status=status, errorCode=code))
    return refuse


def test_a_missing_bucket_is_told(moxing_file):
    store = MoxingStore(moxing_file, "obs://no-such-bucket/")
    for operation in (lambda: list(store.list()), lambda: store.head("a"), lambda: store.write("a", b"x")):
        with pytest.raises(BucketNotFound, match="no-such-bucket"):
            operation()


@pytest.mark.parametrize("status, code, error_class, told", [
    (403, "AccessDenied", AccessDenied, "agency"),
    (404, "NoSuchKey", ObjectNotFound, "case-sensitive"),
    (404, "NoSuchBucket", BucketNotFound, "name"),
    (503, "SlowDown", StoreUnavailable, "503 SlowDown.*tried 3 times"),
])
def test_refusals_are_told_apart(moxing_file, status, code, error_class, told):
    store = twisted(moxing_file, stat=refusal(moxing_file, status, code))
    with pytest.raises(error_class, match=told):
        store.write("a", b"x")


def test_faults_of_every_kind_are_tried_again(moxing_file):
    failures = [Exception("bare, from the SDK inside"), OSError("reset"), KeyError("request-id")]

    def flaky(*args, **kwargs):
        if failures:
            raise failures.pop()
        return moxing_file.write(*args, **kwargs)

    store = MoxingStore(twisted(moxing_file, write=flaky)._api, "obs://bucket/base/", Retry(4, sleep=lambda _: None))
    store.write("a", b"content")
    assert store.read("a") == b"content"


def test_a_copy_that_is_cut_short_in_silence_is_noticed(moxing_file, tmp_path):
    def short(src_url, dst_url):
        with open(dst_url, "wb") as stream:
            stream.write(b"abc")

    store = twisted(moxing_file, copy=short)
    store.write("a", b"content")
    with pytest.raises(StoreUnavailable, match="3 bytes of 7"):
        store.download(store.head("a"), str(tmp_path / "out"))


def short_at_first(moxing_file, times, requests):
    """moxing.file.read, which brings the first 3 bytes only of the first `times` reads."""
    def read(url, binary=False):
        requests.append(url)
        data = moxing_file.read(url, binary=binary)
        return data[:3] if len(requests) <= times else data
    return read


def test_a_read_that_is_cut_short_in_silence_is_tried_again(moxing_file):
    requests = []
    store = twisted(moxing_file, read=short_at_first(moxing_file, 2, requests))
    store.write("a", b"content")
    assert store.read("a") == b"content" and len(requests) == 3


def test_a_read_that_stays_short_is_an_error(moxing_file):
    store = twisted(moxing_file, read=short_at_first(moxing_file, 99, []))
    store.write("a", b"content")
    with pytest.raises(StoreUnavailable, match="3 bytes of 7.*tried 3 times"):
        store.read("a")


def test_an_object_that_is_written_while_it_is_read_comes_as_the_new_one(moxing_file):
    quiet, pieces = twisted(moxing_file), []

    def read(url, binary=False):
        data = moxing_file.read(url, binary=binary)
        if not pieces:
            quiet.write("a", b"another, longer")
            data = data[:3] + moxing_file.read(url, binary=binary)[3:7]  # as long as what was asked for, and of both
        pieces.append(data)
        return data

    store = twisted(moxing_file, read=read)
    store.write("a", b"content")
    assert store.read("a") == b"another, longer" and len(pieces) == 2


def test_an_upload_that_stores_less_is_noticed(moxing_file, tmp_path):
    (tmp_path / "file").write_bytes(b"content")
    store = twisted(moxing_file, copy=lambda src_url, dst_url: moxing_file.write(dst_url, "abc"))
    with pytest.raises(IntegrityError, match="3"):
        store.upload(str(tmp_path / "file"), "a")


def test_a_removal_that_does_nothing_is_noticed(moxing_file):
    store = twisted(moxing_file, remove=lambda url: None)
    store.write("a", b"x")
    with pytest.raises(StoreError, match="still exists after it was deleted"):
        store.delete(["a"])


def test_a_full_disk_is_a_local_error(moxing_file, tmp_path):
    def full(src_url, dst_url):
        raise OSError(errno.ENOSPC, "No space left on device", dst_url)

    store = twisted(moxing_file, copy=full)
    store.write("a", b"x")
    with pytest.raises(LocalStorageError, match="No space left"):
        store.download(store.head("a"), str(tmp_path / "out"))


def test_directories_among_the_names_are_left_out(moxing_file):
    store = MoxingStore(moxing_file, "obs://bucket/base/")
    moxing_file.make_dirs("obs://bucket/base/empty")
    store.write("a/b/c", b"x")
    assert list(store.list()) == [store.head("a/b/c")]


# The stand-in keeps what the documentation says.

def test_the_stand_ins_functions_are_wrappers_with_the_real_parameters(moxing_file):
    assert str(inspect.signature(moxing_file.copy_parallel)) == "(*args, **kwargs)"
    with pytest.raises(TypeError):
        moxing_file.copy_parallel(src="a", dst="b")


def test_remove_without_recursive_does_nothing_to_a_directory(moxing_file):
    moxing_file.write("s3://bucket/dir/a", "x")
    moxing_file.remove("s3://bucket/dir")
    moxing_file.remove("s3://bucket/dir/a/")
    assert moxing_file.exists("s3://bucket/dir/a")
    moxing_file.remove("s3://bucket/dir", recursive=True)
    assert not moxing_file.exists("s3://bucket/dir")


def test_copy_parallel_takes_directories_returns_nothing_and_may_leave_files_out(moxing_file, tmp_path, monkeypatch):
    source = write_tree(tmp_path / "source", {"a": b"1", "b/c": b"2"})
    assert moxing_file.copy_parallel(source, "obs://bucket/up") is None
    assert moxing_file.list_directory("obs://bucket/up", recursive=True) == ["a", "b/c", "b"]
    assert moxing_file.get_size("obs://bucket/up", recursive=True) == 2
    monkeypatch.setenv("FAKE_MOXING_DROP", "1")
    moxing_file.copy_parallel("obs://bucket/up", str(tmp_path / "down"))
    assert read_tree(tmp_path / "down") == {"a": b"1"}
    with pytest.raises(OSError):
        moxing_file.copy_parallel("obs://bucket/up/a", str(tmp_path / "file"))


def test_stat_of_nothing_raises_moxings_own(moxing_file):
    with pytest.raises(moxing_file.MoxFileNotExistsException):
        moxing_file.stat("obs://bucket/nothing")
    moxing_file.write("obs://bucket/dir/a", b"123", binary=True)
    assert moxing_file.stat("obs://bucket/dir/a").length == 3
    assert moxing_file.stat("obs://bucket/dir").is_directory
    with pytest.raises(moxing_file.MoxFileRespException) as caught:
        moxing_file.read("obs://bucket/nothing")
    assert caught.value.resp.status == 404


MANY = {f"class{number % 3}/{number}.jpg": bytes([number]) * (100 + number) for number in range(40)}


def counted(moxing_file, calls, after=lambda: None):
    """moxing.file, with the keys of every copy_parallel noted and something done after it."""
    def copy_parallel(*args, **kwargs):
        calls.append(kwargs["file_list"])
        moxing_file.copy_parallel(*args, **kwargs)
        after()
    return twisted(moxing_file, copy_parallel=copy_parallel)


def test_many_objects_are_brought_by_copy_parallel(moxing_file, tmp_path):
    calls = []
    store = counted(moxing_file, calls)
    push(store, write_tree(tmp_path / "source", MANY))
    report = pull(store, str(tmp_path / "out"))
    assert (report.files, report.bytes) == (40, sum(map(len, MANY.values())))
    assert read_tree(tmp_path / "out") == MANY and not leftovers(tmp_path / "out")
    assert [sorted(keys) for keys in calls] == [sorted(MANY)]


def test_objects_that_copy_parallel_leaves_out_silently_are_fetched(moxing_file, tmp_path, monkeypatch):
    store = twisted(moxing_file)
    push(store, write_tree(tmp_path / "source", MANY))
    monkeypatch.setenv("FAKE_MOXING_DROP", "7")
    assert pull(store, str(tmp_path / "out")).files == 40
    assert read_tree(tmp_path / "out") == MANY


def test_what_copy_parallel_cuts_short_is_fetched_again(moxing_file, tmp_path):
    def cut(src, dst, **options):
        moxing_file.copy_parallel(src, dst, **options)
        for parent, _, names in os.walk(dst):
            for name in names[:1]:
                os.truncate(os.path.join(parent, name), 5)

    store = twisted(moxing_file, copy_parallel=cut)
    push(store, write_tree(tmp_path / "source", MANY))
    pull(store, str(tmp_path / "out"))
    assert read_tree(tmp_path / "out") == MANY


def test_a_copy_parallel_that_fails_half_way_is_no_end(moxing_file, tmp_path):
    def fail(src, dst, file_list, **options):
        moxing_file.copy_parallel(src, dst, file_list=file_list[:10], **options)
        raise Exception("some parts are failed")

    store = twisted(moxing_file, copy_parallel=fail)
    push(store, write_tree(tmp_path / "source", MANY))
    pull(store, str(tmp_path / "out"))
    assert read_tree(tmp_path / "out") == MANY


def test_an_object_that_is_overwritten_beside_copy_parallel_comes_as_the_new_one(moxing_file, tmp_path):
    newer = dict(MANY, **{"class0/0.jpg": b"the new one, of another length"})
    quiet = twisted(moxing_file)
    push(quiet, write_tree(tmp_path / "source", MANY))
    store = counted(moxing_file, [], after=lambda: quiet.write("class0/0.jpg", newer["class0/0.jpg"]))
    pull(store, str(tmp_path / "out"))
    assert read_tree(tmp_path / "out") == newer
