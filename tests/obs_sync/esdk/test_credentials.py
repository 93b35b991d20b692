from __future__ import annotations

import json
import re

import pytest

from obs_sync import CredentialsMissing, InvalidUrl
from obs_sync.esdk.credentials import has_obs_credentials, read_credentials, read_endpoint

OBS = {"OBS_ACCESS_KEY_ID": "id", "OBS_SECRET_ACCESS_KEY": "hush", "OBS_SECURITY_TOKEN": "token"}
AWS = {"AWS_ACCESS_KEY_ID": "aws", "AWS_SECRET_ACCESS_KEY": "hush", "AWS_SESSION_TOKEN": "session"}


def test_the_users_own_key_comes_before_the_platforms():
    credentials = read_credentials({**OBS, **AWS})
    assert (credentials.access_key_id, credentials.secret_access_key, credentials.security_token) == \
        ("id", "hush", "token")


def test_the_platforms_key_is_found():
    credentials = read_credentials(AWS)
    assert (credentials.access_key_id, credentials.security_token, credentials.source) == \
        ("aws", "session", "AWS_ACCESS_KEY_ID")


def test_no_token_is_none_and_not_empty():
    assert read_credentials({**OBS, "OBS_SECURITY_TOKEN": " "}).security_token is None


def test_without_any_every_variable_is_named():
    with pytest.raises(CredentialsMissing) as caught:
        read_credentials({"PATH": "/bin"})
    for name in ("OBS_ACCESS_KEY_ID", "OBS_SECRET_ACCESS_KEY", "OBS_SECURITY_TOKEN", "OBS_CREDENTIALS",
                 "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        assert name in str(caught.value)


FILES = {
    "lines": "# rotated\nexport OBS_ACCESS_KEY_ID=id\nOBS_SECRET_ACCESS_KEY = 'hu=sh'\nOBS_SECURITY_TOKEN=token\n",
    "json": '{"OBS_ACCESS_KEY_ID": "id", "OBS_SECRET_ACCESS_KEY": "hu=sh", "OBS_SECURITY_TOKEN": "token"}',
    "the answer of the instance": '{"credential": {"access": "id", "secret": "hu=sh", "securitytoken": "token", '
                                  '"expires_at": "2030-01-01T00:00:00.000000Z"}}',
}


@pytest.mark.parametrize("text", list(FILES.values()), ids=list(FILES))
def test_a_file_holds_the_key_that_is_rotated(tmp_path, text):
    path = tmp_path / "key"
    path.write_text(text)
    credentials = read_credentials({"OBS_CREDENTIALS_FILE": str(path), **AWS})
    assert (credentials.access_key_id, credentials.secret_access_key, credentials.security_token) == \
        ("id", "hu=sh", "token")
    assert str(path) in credentials.source and "OBS_CREDENTIALS_FILE" in credentials.source
    path.write_text("OBS_ACCESS_KEY_ID=id\nOBS_SECRET_ACCESS_KEY=hush")
    assert read_credentials({"OBS_CREDENTIALS_FILE": str(path)}).security_token is None
    assert read_credentials({"OBS_CREDENTIALS_FILE": str(path), **OBS}).security_token == "token"


@pytest.mark.parametrize("content", [b"", b"OBS_ACCESS_KEY_ID=id\n", b'{"OBS_ACCESS_KEY_ID": "id", "OBS_SEC',
                                     b'{"credential": []}', b'{"OBS_ACCESS_KEY_ID": 1}', b"\xff\xfe",
                                     b"OBS_SECRET_ACCESS_KEY=s3cr3t\n" + b"#" * 70000])
def test_a_file_without_a_key_is_named_and_not_shown(tmp_path, content):
    (tmp_path / "key").write_bytes(content)
    with pytest.raises(CredentialsMissing, match="OBS_CREDENTIALS_FILE holds no access key") as caught:
        read_credentials({"OBS_CREDENTIALS_FILE": str(tmp_path / "key"), **AWS})
    assert str(tmp_path / "key") in str(caught.value) and "s3cr3t" not in str(caught.value)
    with pytest.raises(CredentialsMissing, match="cannot be read"):
        read_credentials({"OBS_CREDENTIALS_FILE": str(tmp_path / "nothing")})


def test_half_a_key_is_not_passed_over():
    with pytest.raises(CredentialsMissing, match="OBS_SECRET_ACCESS_KEY is not"):
        read_credentials({"OBS_ACCESS_KEY_ID": "id", **AWS})


def test_the_agency_is_used_only_when_asked_for():
    assert read_credentials({"OBS_CREDENTIALS": "ecs"}).agency
    assert not read_credentials(OBS).agency
    with pytest.raises(CredentialsMissing, match="guess"):
        read_credentials({"OBS_CREDENTIALS": "guess"})


def test_secrets_are_not_in_the_repr():
    text = repr(read_credentials({**OBS, "OBS_SECRET_ACCESS_KEY": "s3cr3t", "OBS_SECURITY_TOKEN": "t0k3n"}))
    assert "s3cr3t" not in text and "t0k3n" not in text and "id" in text


@pytest.mark.parametrize("name", ["OBS_ACCESS_KEY_ID", "OBS_SECRET_ACCESS_KEY", "OBS_SECURITY_TOKEN"])
@pytest.mark.parametrize("character", ["\n", "\r\n", "\0", "\x7f", "\u2605"])
@pytest.mark.parametrize("in_file", [False, True])
def test_a_key_that_cannot_be_sent_is_named_and_not_shown(tmp_path, name, character, in_file):
    key = {**OBS, "OBS_SECURITY_TOKEN": "t0k3n", name: "s3c" + character + "r3t"}
    if in_file:
        (tmp_path / "key").write_text(json.dumps(key), encoding="utf-8")
    with pytest.raises(CredentialsMissing, match=name) as caught:
        read_credentials({"OBS_CREDENTIALS_FILE": str(tmp_path / "key")} if in_file else key)
    assert "s3c" not in str(caught.value) and "r3t" not in str(caught.value)
    assert not in_file or str(tmp_path / "key") in str(caught.value)


def test_has_obs_credentials_looks_at_the_users_variables_only():
    assert has_obs_credentials(OBS) and has_obs_credentials({"OBS_CREDENTIALS": "ecs"})
    assert has_obs_credentials({"OBS_CREDENTIALS_FILE": "/run/key"})
    assert not has_obs_credentials(AWS)


@pytest.mark.parametrize("environ, url", [
    ({"OBS_SERVER": "https://obs.example.com"}, "https://obs.example.com"),
    ({"OBS_SERVER": "http://127.0.0.1:9000/"}, "http://127.0.0.1:9000"),
    ({"OBS_SERVER": "obs.example.com"}, "https://obs.example.com"),
    ({"S3_ENDPOINT": "obs.example.com", "S3_USE_HTTPS": "0"}, "http://obs.example.com"),
    ({"S3_ENDPOINT": "https://obs.example.com", "S3_USE_HTTPS": "0"}, "https://obs.example.com"),
    ({"OBS_SERVER": "a.example.com", "S3_ENDPOINT": "b.example.com"}, "https://a.example.com"),
])
def test_the_server_is_found(environ, url):
    assert read_endpoint(environ).url == url


@pytest.mark.parametrize("environ, verify", [
    ({}, True), ({"S3_VERIFY_SSL": "0"}, False), ({"S3_VERIFY_SSL": "1"}, True), ({"OBS_SSL_VERIFY": "false"}, False),
    ({"OBS_SSL_VERIFY": "true", "S3_VERIFY_SSL": "0"}, True),
])
def test_tls_is_verified_unless_switched_off(environ, verify):
    assert read_endpoint({"OBS_SERVER": "obs.example.com", **environ}).verify_tls is verify


@pytest.mark.parametrize("server, told", [
    ("ftp://obs.example.com", "OBS_SERVER is not the address of a server: ftp://obs.example.com"),
    ("https://", "is not the address"), ("https://obs.example.com:port", "is not the address"),
    ("https://user:hush@[::1", "is not the address"), ("https://[::1", "is not the address"),
    ("http://obs.example.com:80/bucket?hush", "OBS_SERVER has more than the address of a server: "
                                              "http://obs.example.com:80/bucket. Expected http://obs.example.com:80."),
    ("https://user:hush@obs.example.com", "OBS_SERVER holds a user name or a password. Expected "
                                          "https://obs.example.com; keys belong in OBS_ACCESS_KEY_ID"),
])
def test_what_is_no_server_is_refused_without_telling_a_password(server, told):
    with pytest.raises(InvalidUrl, match=re.escape(told)) as caught:
        read_endpoint({"OBS_SERVER": server})
    assert "hush" not in str(caught.value)


def test_a_switch_that_is_neither_is_refused():
    with pytest.raises(InvalidUrl, match="OBS_SSL_VERIFY"):
        read_endpoint({"OBS_SERVER": "obs.example.com", "OBS_SSL_VERIFY": "maybe"})


def test_without_a_server_the_variables_are_named():
    with pytest.raises(CredentialsMissing, match="OBS_SERVER, S3_ENDPOINT"):
        read_endpoint({})
