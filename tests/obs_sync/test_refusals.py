"""Replies of 403: each code has advice of its own, through the OBS SDK as well as through moxing."""
from __future__ import annotations

import types

import pytest

from obs_sync import AccessDenied
from obs_sync.mock import Faults
from obs_sync.moxing_store import MoxingStore
from obs_sync.refusals import GRANT, advice
from obs_sync.retry import Retry

CODES = [
    ("InvalidObjectState", "archive storage. Restore it"),
    ("InArrearOrInsufficientBalance", "arrears.*Top it up"),
    ("FrozenUserId", "expired, frozen or closed"),
    ("NotSignedUp", "not subscribed to OBS"),
    ("Unauthorized", "real-name authentication"),
    ("InsufficientStorageSpace", "quota is used up"),
    ("VirtualHostDomainRequired", "bucket in its host name"),
    ("KMS.DisabledException", "KMS key"),
    ("AllAccessDisabled", "switched off"),
    ("AccessDenied", "read and write access to the bucket"),
]


@pytest.mark.parametrize("code, told", CODES)
def test_each_refusal_says_how_to_mend_it_in_reading_and_in_writing(obs, esdk_store, code, told):
    obs.put("bucket", "base/a.jpg", b"x")
    obs.faults = Faults([f"{operation} status=403 code={code}" for operation in ("GetObject", "PutObject")])
    for operation in (lambda: esdk_store.read("a.jpg"), lambda: esdk_store.write("b.jpg", b"x")):
        with pytest.raises(AccessDenied, match=told) as caught:
            operation()
        assert f"403 {code}" in str(caught.value) and (GRANT in str(caught.value)) == (code == "AccessDenied")


@pytest.mark.parametrize("code, told", CODES)
def test_moxing_tells_the_same(moxing_file, code, told):
    def refuse(*args, **kwargs):
        raise moxing_file.MoxFileRespException(types.SimpleNamespace(status=403, errorCode=code))

    api = types.SimpleNamespace(**vars(moxing_file))
    api.stat = refuse
    with pytest.raises(AccessDenied, match=told):
        MoxingStore(api, "obs://bucket/", Retry(sleep=lambda seconds: None)).head("a.jpg")


def test_moxing_does_not_advise_to_set_a_key_that_it_does_not_use(moxing_file):
    def refuse(*args, **kwargs):
        raise moxing_file.MoxFileRespException(types.SimpleNamespace(status=403, errorCode="InvalidAccessKeyId"))

    api = types.SimpleNamespace(**vars(moxing_file))
    api.stat = refuse
    with pytest.raises(AccessDenied, match="global configuration") as caught:
        MoxingStore(api, "obs://bucket/", Retry(sleep=lambda seconds: None)).head("a.jpg")
    assert "OBS_ACCESS_KEY_ID" not in str(caught.value)


@pytest.mark.parametrize("message, told", [
    ("Request has expired", "came too late"),
    ("The ciphertext refers to a customer master key that does not exist", "KMS key"),
    ("User is not allowed to use the KMS key", "KMS key"),
])
def test_a_message_tells_more_than_a_plain_denial(message, told):
    assert told in advice("AccessDenied", message)


@pytest.mark.parametrize("message", [None, "", "Access Denied", "The policy expired"])
def test_a_plain_denial_stays_one(message):
    assert advice("AccessDenied", message) is None
