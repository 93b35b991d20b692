"""Signatures of reads: against those of others, and against one worked out by hand."""
from __future__ import annotations

import base64
import hashlib
import hmac
import os
import subprocess
import sys
from email.utils import parsedate_to_datetime

import pytest
from botocore.auth import HmacV1Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotoCredentials

from obs_sync import AccessDenied, open_store
from obs_sync.esdk import credentials
from obs_sync.esdk.connect import Client
from obs_sync.esdk.keys import Key
from obs_sync.esdk.signing import quoted_key, signed_headers
from obs_sync.esdk.store import EsdkStore
from obs_sync.mock import Credentials, mock_obs
from obs_sync.retry import Retry

NOW = 1700000000.9  # Tue, 14 Nov 2023 22:13:20 GMT
KEYS = ["plain", "folder/with space.jpg", "Ölbild/ü.png", "a+b&c=d?e#f%g", "tilde~'(paren)*!,;:@$", "line\nbreak",
        "/root"]


def lines(dialect, key, quoted, method="GET"):
    text = signed_headers(method, dialect, key, "bucket", quoted, NOW)
    assert text.endswith("\r\n")
    return dict(line.split(": ", 1) for line in text.split("\r\n")[:-1])


def test_a_signature_worked_out_by_hand():
    found = lines("obs", Key("AK", "secret", "token"), "photo/dog.jpg")
    text = b"GET\n\n\nTue, 14 Nov 2023 22:13:20 GMT\nx-obs-security-token:token\n/bucket/photo/dog.jpg"
    block = hashlib.sha1(bytes(byte ^ 0x36 for byte in b"secret".ljust(64, b"\0")) + text).digest()
    digest = hashlib.sha1(bytes(byte ^ 0x5c for byte in b"secret".ljust(64, b"\0")) + block).digest()  # RFC 2104
    assert digest == hmac.new(b"secret", text, hashlib.sha1).digest()
    assert found == {"Date": "Tue, 14 Nov 2023 22:13:20 GMT", "x-obs-security-token": "token",
                     "Authorization": "OBS AK:" + base64.b64encode(digest).decode()}


@pytest.mark.parametrize("token", [None, "the-token"])
@pytest.mark.parametrize("key", KEYS + [""])
def test_the_older_dialect_is_signed_as_botocore_signs(key, token):
    quoted = quoted_key(key)
    found = lines("v2", Key("AK", "secret", token), quoted)
    request = AWSRequest("GET", "http://127.0.0.1/bucket/" + quoted, headers={"Date": found["Date"]})
    request.auth_path = "/bucket/" + quoted
    signer = HmacV1Auth(BotoCredentials("AK", "secret", token))
    signer._get_date = lambda: found["Date"]
    signer.add_auth(request)
    assert found["Authorization"] == request.headers["Authorization"]
    assert found.get("x-amz-security-token") == token


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("key, dialect", [(key, dialect) for key in KEYS for dialect in ("obs", "v2")] + [("", "obs")])
def test_both_dialects_are_signed_as_the_sdk_signs(key, dialect, method):
    from obs import auth, convertor
    date = lines(dialect, Key("AK", "secret", None), "x")["Date"]
    prefix = {"obs": "x-obs-", "v2": "x-amz-"}[dialect]
    sdk = auth.Authentication("AK", "secret", dialect == "v2", convertor.Adapter(dialect), "host", False)
    expected = sdk.doAuth(method, "bucket", key, None, {"Date": date, prefix + "security-token": "token"})
    found = lines(dialect, Key("AK", "secret", "token"), quoted_key(key), method)
    assert found["Authorization"] == expected["Authorization"]


def test_the_date_is_now():
    assert parsedate_to_datetime(lines("v2", Key("AK", "s", None), "x")["Date"]).timestamp() == int(NOW)


def test_without_a_key_nothing_is_signed():
    assert set(lines("obs", Key("", "", None), "x")) == {"Date"}


@pytest.mark.parametrize("token", [None, "the-token"])
def test_the_mocked_obs_accepts_reads_of_any_key_in_both_dialects(token, tmp_path):
    with mock_obs(buckets=["bucket"], credentials=Credentials("id", "secret", token)) as mock:
        for number, key in enumerate(KEYS[:-1]):
            mock.put("bucket", key, b"content %d" % number)
        for path_style in (False, True):
            arguments = mock.client_arguments(path_style=path_style)
            environ = dict(mock.environment(), OBS_SERVER=arguments["server"])
            with open_store("obs://bucket/", environ) as store:
                for number, key in enumerate(KEYS[:-1]):
                    assert store.read(key) == b"content %d" % number
                    assert store.read_range(store.head(key), 1, 3) == b"ont"
            with open_store("obs://bucket/", dict(environ, OBS_SECRET_ACCESS_KEY="other")) as store:
                with pytest.raises(AccessDenied, match="SignatureDoesNotMatch"):
                    store.read("plain")


@pytest.mark.parametrize("sdk_first", [False, True])
def test_a_key_that_is_read_again_is_signed_with_by_us_and_by_the_sdk(sdk_first):
    asked = []
    with mock_obs(buckets=["bucket"]) as mock:
        mock.put("bucket", "a", b"content")
        good = credentials.Credentials(mock.credentials.access_key, mock.credentials.secret_key)
        client = Client(credentials.Credentials("expired", "hush"), credentials.read_endpoint(mock.environment()),
                        lambda: asked.append(1) or good)
        if sdk_first:
            assert client.sdk is client.made_sdk
        with EsdkStore(client, "bucket", "", Retry(1)) as store:
            assert store.read("a") == b"content"
            assert client.made_sdk is None or sdk_first
            assert store.write("b", b"other").size == 5
    assert asked == [1]


def test_to_list_to_ask_and_to_read_the_sdk_is_not_needed():
    with mock_obs(buckets=["bucket"]) as mock:
        mock.put("bucket", "folder/a", b"content")
        done = subprocess.run(
            [sys.executable, "-c", "import sys; from obs_sync import open_store\n"
             "with open_store('obs://bucket/folder/') as store:\n"
             "    print([info.key for info in store.list()], store.head('a').size, store.read('a'),\n"
             "          'obs' in sys.modules)"],
            env=dict(os.environ, **mock.environment()), stdout=subprocess.PIPE, universal_newlines=True, check=True)
    assert done.stdout.strip() == "['a'] 7 b'content' False"
