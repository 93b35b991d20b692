from __future__ import annotations

import pytest

from obs_sync import CredentialsMissing, InvalidUrl, LocalStore, StoreError, open_store
from obs_sync.esdk.store import EsdkStore
from obs_sync.moxing_store import MoxingStore

OBS = {"OBS_ACCESS_KEY_ID": "id", "OBS_SECRET_ACCESS_KEY": "hush", "OBS_SERVER": "https://obs.example.com"}


def test_a_path_is_a_directory(tmp_path):
    for url in (str(tmp_path), "file://" + str(tmp_path)):
        store = open_store(url, {})
        assert isinstance(store, LocalStore) and store.url == str(tmp_path)


def test_a_bucket_is_opened_through_the_sdk():
    with open_store("s3://bucket/runs", OBS) as store:
        assert isinstance(store, EsdkStore) and store.url == "obs://bucket/runs/"


def test_inside_a_job_moxing_is_taken(moxing_file):
    store = open_store("obs://bucket/runs", {"S3_ENDPOINT": "https://obs.example.com"})
    assert isinstance(store, MoxingStore) and store.url == "obs://bucket/runs/"


def test_the_users_own_credentials_come_before_moxing(moxing_file):
    with open_store("obs://bucket/runs", OBS) as store:
        assert isinstance(store, EsdkStore)
    assert isinstance(open_store("obs://bucket/runs", OBS, backend="moxing"), MoxingStore)


def test_without_credentials_and_moxing_the_error_says_what_to_set():
    with pytest.raises(CredentialsMissing, match="OBS_ACCESS_KEY_ID"):
        open_store("obs://bucket/runs", {})


def test_moxing_cannot_be_asked_for_where_it_is_not():
    with pytest.raises(StoreError, match="only inside ModelArts"):
        open_store("obs://bucket/runs", OBS, backend="moxing")


def test_other_schemes_and_backends_are_refused():
    with pytest.raises(InvalidUrl):
        open_store("https://bucket.obs.example.com/", OBS)
    with pytest.raises(ValueError, match="auto, esdk, moxing"):
        open_store("obs://bucket/", OBS, backend="boto")


def test_nothing_secret_is_in_a_stores_repr():
    with open_store("obs://bucket/runs", OBS) as store:
        assert "hush" not in repr(store) and "hush" not in repr(vars(store))
