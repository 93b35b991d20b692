from __future__ import annotations

import os

import pytest

from obs_sync import UnsafeKey
from obs_sync.keys import check_key, check_together, path_below, writable_path_below


@pytest.mark.parametrize("key", ["a", "a/b/c.jpg", "with space", "ümläut/犬", ".hidden", "a..b", "...", "a/.obs_sync2"])
def test_plain_keys_are_paths(key):
    assert check_key(key, "url") == key
    assert path_below("/dest", key, "url") == "/dest/" + key


@pytest.mark.parametrize("key", ["", "/a", "..", "../a", "a/..", "a/../b", ".", "./a", "a//b", "a/", "a\\b", "..\\a",
                                 "a\0", "\udcff", ".obs_sync/x", "a/.obs_sync/x"])
def test_keys_that_could_leave_their_directory_are_refused_with_the_url(key):
    with pytest.raises(UnsafeKey, match="obs://bucket/"):
        check_key(key, "obs://bucket/" + key)


@pytest.mark.parametrize("key", ["d/" * 254 + "f", "/".join(["é" * 127] * 16), "a/" + "é" * 127 + "1"])
def test_a_key_of_the_most_segments_or_bytes_is_a_path(key):
    assert check_key(key, "url") == key


@pytest.mark.parametrize("key", ["d/" * 255 + "f", "d/" * 1500 + "f", "a/" + "é" * 2047, "n" * 10000])
def test_a_key_that_no_file_system_holds_is_refused(key):
    with pytest.raises(UnsafeKey, match="segments and .* bytes, so it cannot be a file"):
        check_key(key, "obs://bucket/" + key)


@pytest.mark.parametrize("key", ["a/" + "অ" * 86, "é" * 128 + "/a", "a/" + "n" * 256 + "/b"])
def test_a_name_that_is_too_long_for_a_file_is_told_with_its_length(key):
    with pytest.raises(UnsafeKey, match="a segment of 25[68] bytes.* at most 255: obs://bucket/"):
        check_key(key, "obs://bucket/" + key)


def test_a_link_on_the_way_is_refused_and_at_the_end_is_not(tmp_path):
    (tmp_path / "outside").mkdir()
    (tmp_path / "dest").mkdir()
    (tmp_path / "dest" / "link").symlink_to(tmp_path / "outside")
    destination = str(tmp_path / "dest")
    with pytest.raises(UnsafeKey, match="symbolic link"):
        writable_path_below(destination, "link/file", "url")
    with pytest.raises(UnsafeKey, match="symbolic link"):
        writable_path_below(destination, "link/deeper/file", "url")
    assert writable_path_below(destination, "link", "url") == os.path.join(destination, "link")


def test_a_key_cannot_be_a_file_and_a_directory():
    with pytest.raises(UnsafeKey, match="'a/b' cannot be both a file and the directory of 'a/b/c/d'"):
        check_together(["a/b/c/d", "a/b"], "url")
    check_together(["a/b", "a/c", "ab"], "url")


def test_case_counts_only_where_the_file_system_says_so():
    check_together(["Dog.jpg", "dog.jpg", "DIR", "dir/x"], "url")
    with pytest.raises(UnsafeKey, match="same file"):
        check_together(["Dog.jpg", "dog.jpg"], "url", fold_case=True)
    with pytest.raises(UnsafeKey, match="directory"):
        check_together(["DIR", "dir/x"], "url", fold_case=True)
