"""Why a server refuses a request: the codes in replies of 403, and how to mend each."""
from __future__ import annotations

import re
from typing import Dict, Optional

from obs_sync.errors import AccessDenied

_CHECK_KEYS = "Check OBS_ACCESS_KEY_ID and OBS_SECRET_ACCESS_KEY"
_PAY = "The account is in arrears or has no balance left. Top it up in the console; OBS then accepts requests again"
_ACCOUNT = "The account may not use OBS (expired, frozen or closed). See the console"
_KMS = ("The object is encrypted with a KMS key that this user may not use, or that is disabled. Grant this user, or "
        "the job's agency, the use of that key (KMS CMKFullAccess or kms:cmk:get and kms:dek:*), or enable the key")

_MENDING: Dict[str, str] = {
    "InvalidAccessKeyId": f"This server does not know the access key. {_CHECK_KEYS}, and OBS_SERVER",
    "SignatureDoesNotMatch": f"The secret key does not fit the access key. {_CHECK_KEYS} for a swap or a typo",
    "InvalidToken": "The security token is wrong. Set the OBS_SECURITY_TOKEN that came with this temporary key",
    "ExpiredToken": "The temporary key has expired. Ask for a new one and set all three OBS_* variables",
    "TokenRefreshRequired": "The temporary key has expired. Ask for a new one and set all three OBS_* variables",
    "InvalidSecurityToken": "The security token is wrong or has expired. Ask for a new temporary key",
    "InvalidSecurity": f"The server does not accept this access key as valid. {_CHECK_KEYS}",
    "RequestTimeTooSkewed": "This machine's clock and the server's are more than 15 minutes apart, and another date "
                            "did not help. Set this machine's clock",
    "InvalidObjectState": "The object is in archive storage. Restore it in the console (or `obsutil restore`), wait "
                          "until it is restored, then run this again; or leave it out",
    "InArrearOrInsufficientBalance": _PAY,
    "Arrearage": _PAY,
    "AccountProblem": _ACCOUNT,
    "DeregisterUserId": _ACCOUNT,
    "FrozenUserId": _ACCOUNT,
    "NotSignedUp": "The account has not subscribed to OBS, or its identity is not verified. See the console",
    "Unauthorized": "The account's identity has not been verified. Complete real-name authentication in the console",
    "AllAccessDisabled": "Access to the bucket is switched off. See the console",
    "InsufficientStorageSpace": "The bucket's or the account's quota is used up. Delete objects there (`python -m job "
                                "sync gc` finds leftovers), or raise the quota in the console",
    "VirtualHostDomainRequired": "The server wants the bucket in its host name. Set OBS_SERVER to the region's host "
                                 "name instead of an IP address, as in https://obs.cn-north-4.myhuaweicloud.com",
}
GRANT = "Grant this user, or the job's agency, read and write access to the bucket, or use another key"
_EXPIRED = ("The server says that the request came too late. If it happens again, check this machine's clock and its "
            "proxy")

_OF_THE_KEY = ("InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken", "ExpiredToken", "TokenRefreshRequired",
               "InvalidSecurityToken", "InvalidSecurity", None)  # None: a reply to HEAD, without a reason
_KMS_WORDS = re.compile(r"\b(kms|cmk|dek)\b|customer master key", re.IGNORECASE)
_EXPIRED_WORDS = re.compile(r"request\b.*\bexpired", re.IGNORECASE)


class DateRefused(AccessDenied):
    """The server's clock and the date of the request are too far apart. A retry is dated by the server's clock."""


def advice(code: Optional[str], message: Optional[str] = None) -> Optional[str]:
    """How to mend a refusal, without a full stop; None if only more rights would help."""
    if code in _MENDING:
        return _MENDING[code]
    told = f"{code or ''} {message or ''}".replace(".", " ")
    if (code or "").upper().startswith("KMS") or _KMS_WORDS.search(told):
        return _KMS
    return _EXPIRED if is_about_time(code, message) else None


def is_about_time(code: Optional[str], message: Optional[str] = None) -> bool:
    """Whether the date of the request was refused, so that another date may be accepted."""
    if code in ("RequestTimeTooSkewed", "RequestExpired"):
        return True
    return code == "AccessDenied" and _EXPIRED_WORDS.search(message or "") is not None


def is_about_the_key(code: Optional[str]) -> bool:
    """Whether another access key may be accepted, because this one is rotated, expired or wrong."""
    return code in _OF_THE_KEY
