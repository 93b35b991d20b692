from __future__ import annotations

import os
import pathlib

import pytest

from obs_sync import InvalidUrl, is_remote, parse_url, split_object_url


@pytest.mark.parametrize("url, bucket, prefix", [
    ("obs://bucket", "bucket", ""),
    ("obs://bucket/", "bucket", ""),
    ("obs://bucket/a/b", "bucket", "a/b/"),
    ("obs://bucket/a/b/", "bucket", "a/b/"),
    ("s3://my-bucket.x/pacs", "my-bucket.x", "pacs/"),
    ("OBS://bucket/A%20b?x#y", "bucket", "A%20b?x#y/"),
])
def test_a_bucket_url_is_bucket_and_prefix(url, bucket, prefix):
    location = parse_url(url)
    assert (location.bucket, location.prefix, location.is_local) == (bucket, prefix, False)
    assert parse_url(location.url) == location
    assert is_remote(url)


@pytest.mark.parametrize("url, path", [
    ("/cache/data", "/cache/data"),
    ("/cache/data/", "/cache/data"),
    ("file:///cache/with%20space", "/cache/with space"),
    ("file://localhost/cache", "/cache"),
    ("./data", os.path.join(os.getcwd(), "data")),
    (pathlib.Path("/cache/data"), "/cache/data"),
])
def test_everything_else_is_a_local_path(url, path):
    assert parse_url(url).path == path
    assert not is_remote(url)


@pytest.mark.parametrize("url", ["", "  ", None, "obs://", "obs:///key", "obs:/bucket/key", "obs://Bucket/x", "obs://ab",
                                 "obs://bucket//x", "obs://bucket/a//b", "https://bucket.obs.example.com/x",
                                 "file://host/x"])
def test_what_is_no_url_is_refused_with_examples(url):
    with pytest.raises(InvalidUrl) as caught:
        parse_url(url)
    assert "obs://bucket/folder/" in str(caught.value) or "file:///cache/data" in str(caught.value)


@pytest.mark.parametrize("url, parent, name", [
    ("obs://b-b/models/w.npy", "obs://b-b/models/", "w.npy"),
    ("obs://b-b/w.npy", "obs://b-b/", "w.npy"),
    ("/data/w.npy", "/data", "w.npy"),
])
def test_a_single_object_is_split_from_its_folder(url, parent, name):
    assert split_object_url(url) == (parent, name)


@pytest.mark.parametrize("url", ["obs://bucket", "obs://bucket/folder/", "/data/"])
def test_a_folder_is_no_single_object(url):
    with pytest.raises(InvalidUrl):
        split_object_url(url)
