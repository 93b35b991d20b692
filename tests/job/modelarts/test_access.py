"""The access key for ModelArts: where it is found, in which order, and that no message shows it."""

from __future__ import annotations

import pytest

from job.modelarts.access import Access, obs_environment, read_access, read_region, secrets_of
from job.modelarts.errors import AccessRefused

SDK = {"HUAWEICLOUD_SDK_AK": "key", "HUAWEICLOUD_SDK_SK": "hidden"}
OBS = {"OBS_ACCESS_KEY_ID": "obs-key", "OBS_SECRET_ACCESS_KEY": "obs-hidden"}


@pytest.fixture
def home(tmp_path):
    (tmp_path / ".huaweicloud").mkdir()
    return {"HOME": str(tmp_path)}


def write(home, text):
    path = home["HOME"] + "/.huaweicloud/credentials"
    with open(path, "w", encoding="utf-8") as stream:
        stream.write(text)
    return path


def test_the_variables_of_the_sdk_come_first(home):
    write(home, "[basic]\nak = other\nsk = other\nproject_id = from-file\n")
    found = read_access(dict(home, **SDK, **OBS))
    assert (found.key_id, found.secret, found.token, found.project) == ("key", "hidden", None, None)


def test_the_file_of_the_sdk_comes_before_the_key_for_obs(home):
    path = write(home, "[basic]\nak = file-key\nsk = file%hidden\nsecurity_token = token\nproject_id = project\n")
    assert read_access(dict(home, **OBS)) == Access("file-key", "file%hidden", "token", "project", path)


def test_the_key_for_obs_serves_where_there_is_no_other(home):
    found = read_access(dict(home, OBS_SECURITY_TOKEN="token", HUAWEICLOUD_SDK_PROJECT_ID="project", **OBS))
    assert found == Access("obs-key", "obs-hidden", "token", "project", "OBS_ACCESS_KEY_ID")


def test_no_secret_is_shown(home):
    found = read_access(dict(home, HUAWEICLOUD_SDK_SECURITY_TOKEN="token", **SDK))
    assert "hidden" not in repr(found) and "token='" not in repr(found)


def test_the_secrets_are_those_of_every_key_that_is_set(home):
    environ = dict(home, HUAWEICLOUD_SDK_SECURITY_TOKEN="token", AWS_SECRET_ACCESS_KEY="aws-hidden", **SDK, **OBS)
    assert secrets_of(read_access(environ), environ) == ["hidden", "token", "obs-hidden", "aws-hidden"]


@pytest.mark.parametrize("environ, told", [
    ({}, "there is no access key for ModelArts.*HUAWEICLOUD_SDK_AK.*My Credentials"),
    ({"HUAWEICLOUD_SDK_SK": "hidden"}, "HUAWEICLOUD_SDK_SK is set but HUAWEICLOUD_SDK_AK is not"),
    ({"HUAWEICLOUD_SDK_AK": "key", "HUAWEICLOUD_SDK_SK": "hid\nden"}, "holds a character that no key has"),
    ({"OBS_ACCESS_KEY_ID": "key"}, "the access key for OBS cannot be used.*OBS_SECRET_ACCESS_KEY is not"),
    ({"OBS_CREDENTIALS": "ecs"}, "there is no access key for ModelArts"),
    ({"HUAWEICLOUD_SDK_CREDENTIALS_FILE": "/no/such/file"}, "does not exist: /no/such/file"),
])
def test_a_key_that_is_not_whole_is_told_without_showing_it(home, environ, told):
    with pytest.raises(AccessRefused, match=told) as caught:
        read_access(dict(home, **environ))
    assert "hid" not in str(caught.value)


@pytest.mark.parametrize("text", ["ak = key\nsk = hidden\n", "[basic]\nak = key\n", "[global]\nak = a\nsk = hidden\n"])
def test_a_file_without_a_whole_key_is_told_without_showing_it(home, text):
    path = write(home, text)
    with pytest.raises(AccessRefused, match=r"\[basic\] with the lines ak") as caught:
        read_access(home)
    assert path in str(caught.value) and "hidden" not in str(caught.value)


@pytest.mark.parametrize("environ, given, region", [
    ({"HUAWEICLOUD_SDK_REGION": "cn-east-3"}, "cn-north-4", "cn-north-4"),
    ({"HUAWEICLOUD_SDK_REGION": "cn-east-3", "OBS_SERVER": "obs.cn-north-1.myhuaweicloud.com"}, "", "cn-east-3"),
    ({"OBS_SERVER": "obs.cn-north-1.myhuaweicloud.com"}, "", "cn-north-1"),
    ({"HUAWEICLOUD_SDK_REGION_MODELARTS_CN_SOUTH_1": "http://127.0.0.1:1", "OBS_SERVER": "http://127.0.0.1:2"}, "",
     "cn-south-1"),
])
def test_the_region_is_given_or_found(environ, given, region):
    assert read_region(environ, given) == region


def test_an_unknown_region_is_told():
    with pytest.raises(AccessRefused, match="--region=cn-north-4"):
        read_region({"OBS_SERVER": "http://127.0.0.1:2"})


def test_one_key_serves_modelarts_and_obs():
    completed = obs_environment({"HUAWEICLOUD_SDK_AK": "key"}, Access("key", "hidden", "token"), "cn-north-4")
    assert completed["OBS_ACCESS_KEY_ID"] == "key" and completed["OBS_SECURITY_TOKEN"] == "token"
    assert completed["OBS_SERVER"] == "https://obs.cn-north-4.myhuaweicloud.com"


def test_a_key_of_its_own_for_obs_is_kept():
    environ = dict(OBS, OBS_SERVER="https://obs.example.com")
    assert obs_environment(environ, Access("key", "hidden", "token"), "cn-north-4") == environ
