"""One request at a time through the OBS SDK, its results checked and translated.

The SDK returns errors as results and raises bare `Exception` on network faults; its own retries have no jitter and
ignore 429. Here every call returns a result whose status and body are right, or raises one of our errors. Retries are
ours.
"""
from __future__ import annotations

import contextlib
import dataclasses
import http.client
import os
import queue
import re
import socket
import ssl
from typing import Any, Callable, Optional, Tuple

from obs_sync.errors import (
    CHECK_PATH, AccessDenied, BucketNotFound, IntegrityError, ObjectChanged, ObjectNotFound,
    StoreError, StoreUnavailable,
)
from obs_sync.esdk.connect import Client
from obs_sync.esdk.reply import date_of, retry_after
from obs_sync.http.head import BadReply
from obs_sync.refusals import GRANT, DateRefused, advice, is_about_the_key, is_about_time
from obs_sync.retry import Retry

_NOT_RETRIED_5XX = (501, 505)
_RETRIED_4XX = (408, 429)  # 408: the server closes a connection that was idle for too long
_CUT_SHORT = ("IncompleteBody", "RequestTimeout")  # the connection ended, or stalled, before the whole body had come
_RETRIED_CODES = ("SlowDown", "InternalError", "ServiceUnavailable", *_CUT_SHORT)
_CORRUPTED = ("BadDigest", "InvalidDigest", "XObsContentSHA256Mismatch", "XAmzContentSHA256Mismatch")
_MOCK_NAMES = "MOCK_OBS_RESOLVE"
_RESOLVER_PATH = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "mock", "resolver_path")
_CHECK_NETWORK = "Check the network and OBS_SERVER"
_REDIRECTED = "OBS_SERVER seems not to be the endpoint of the bucket's region"
_WRITTEN_TO = "Another program writes to it"
_MOST_SHOWN = 300  # characters of a text that the server sent
_NO_TLS = ("WRONG_VERSION_NUMBER", "UNKNOWN_PROTOCOL", "HTTP_REQUEST", "RECORD_LAYER_FAILURE")
_PROXY_REFUSED = re.compile(r"(Tunnel connection failed: |the proxy answers )4\d\d")


class Calls:
    """Calls of the SDK's methods on one bucket."""

    def __init__(self, client: Client, bucket: str, retry: Retry):
        self.client = client
        self.bucket = bucket
        self._retry = retry

    def __call__(self, method: str, where: str, *arguments: Any,
                 check: Callable[[Any], Any] = lambda result: result, **options: Any) -> Any:
        """The result of client.method(bucket, *arguments, **options), which is retried as `repeat` does.

        `check(result)` may raise; what it returns is returned instead.
        """
        return self.repeat(lambda: check(self.once(method, where, *arguments, **options)))

    def repeat(self, attempt: Callable[[], Any]) -> Any:
        """attempt(), tried again after StoreUnavailable, Damaged and DateRefused.

        After DateRefused the next attempt is dated by the server's clock. There is one more attempt at once after
        OtherVersion, and one after the access key was refused, if the key's source holds another key by then.
        """
        return self._retry.call(lambda: self._with_a_good_key(lambda: self._twice(attempt)), _RETRIED)

    def works(self, attempt: Callable[[], Any]) -> bool:
        """attempt() once; False if it failed and `repeat` should do it. Raises what is final."""
        self._retry.before_attempt()
        try:
            attempt()
        except (KeyRefused, OtherVersion, *_RETRIED):
            return False
        return True

    def _twice(self, attempt: Callable[[], Any]) -> Any:
        """A server that ignores If-Match does so each time, and waiting would not help; a cache may do it once."""
        try:
            return attempt()
        except OtherVersion:
            self._retry.before_attempt()
            return attempt()

    def _with_a_good_key(self, attempt: Callable[[], Any]) -> Any:
        keys = self.client.keys
        used = keys.current()
        try:
            return attempt()
        except KeyRefused as error:
            refused = error
        if keys.renew(used) or refused.unexplained:
            self._retry.before_attempt()
            try:
                return attempt()
            except KeyRefused as error:
                refused = error
        told = f"{refused.what}, with the access key of {keys.source}" if keys.source else refused.what
        raise AccessDenied(told, refused.where, refused.mend) from refused

    def checking(self, check: Callable[[], None]) -> "Calls":
        """The same calls, with `check()` before each attempt."""
        return Calls(self.client, self.bucket, dataclasses.replace(self._retry, before_attempt=check))

    def once(self, method: str, where: str, *arguments: Any, **options: Any) -> Any:
        """One attempt. Returns the result of a status below 300, or raises."""
        with translated(where, self.drop_idle_connections, self.client, self.bucket):
            result = getattr(self.client.sdk, method)(self.bucket, *arguments, **options)
        if result.status is None or result.status >= 300:
            raise self.error(result, where)
        return result

    def drop_idle_connections(self) -> None:
        """After one connection failed: servers and switches forget all idle connections at once."""
        sdk = self.client.made_sdk
        holder = None if sdk is None else sdk.connHolder
        with contextlib.suppress(queue.Empty):
            while holder is not None:
                holder["connSet"].get_nowait().close()

    def close(self) -> None:
        if self.client.made_sdk is not None:
            self.client.made_sdk.close()

    def error(self, result: Any, where: str) -> StoreError:
        """What a result above 299 means. If it states no reason, this may ask the server for it."""
        status, code = result.status, result.errorCode
        if code is None and status in (403, 404):  # replies to HEAD have no body
            status, code = self._reason(status)
        told = _told(status, code, result)
        if code == "NoSuchBucket":
            return BucketNotFound(f"there is no bucket {self.bucket!r}", where, self.client.doubled(self.bucket) or
                                  "Check its name, and that OBS_SERVER is the endpoint of the bucket's region")
        if code in ("NoSuchUpload", "InvalidPart"):
            return UploadGone(told, where)
        if status == 404 and code in (None, "NoSuchKey"):
            return ObjectNotFound("there is no such object", where, CHECK_PATH)
        if status in (401, 403):
            return self._refused(code, result, told, where)
        if status == 412:
            return ObjectChanged("the object was overwritten after it was listed", where, _WRITTEN_TO)
        if code in _CORRUPTED:
            return Damaged(f"{told}: the bytes were damaged on the way", where, None)
        if _is_retried(status, code):
            unavailable = StoreUnavailable(told, where, _CHECK_NETWORK if code in _CUT_SHORT else
                                           "The server is overloaded or out of order; try again later")
            unavailable.retry_after = retry_after(getattr(result, "header", None))
            return unavailable
        return StoreError(told, where, _REDIRECTED if 300 <= status < 400 else None)

    def _refused(self, code: Optional[str], result: Any, told: str, where: str) -> AccessDenied:
        """What a status of 401 or 403 means."""
        mend = advice(code, result.errorMessage) or GRANT
        if is_about_time(code, result.errorMessage):
            self.client.clock.learn(date_of(result))
            return DateRefused(told, where, mend)
        if not is_about_the_key(code):
            return AccessDenied(told, where, mend)
        refused = KeyRefused(told, where, mend)
        refused.unexplained = code is None
        return refused

    def _reason(self, status: int) -> Tuple[int, Optional[str]]:
        """Why a request about an object was answered 403 or 404: the reply to a listing has a code."""
        with translated("", self.drop_idle_connections, self.client, self.bucket):
            result = self.client.sdk.listObjects(self.bucket, max_keys=1)
        if result.status in (403, 404) and status in (result.status, 404):
            if result.status == 404:
                return 404, "NoSuchBucket"
            if result.errorCode not in (None, "AccessDenied"):  # one may be allowed to read and not to list
                return 403, result.errorCode
        return status, None


def _told(status: int, code: Optional[str], result: Any) -> str:
    told = f"the server answered {status} {_shown(code or result.reason or '')}".rstrip()
    if result.errorMessage:
        told += f" ({_shown(result.errorMessage)})"
    if result.requestId:
        told += f", request {_shown(result.requestId)}"
    return told


def _shown(text: str) -> str:
    """What a server sent, in one line of a message: it may be long, and hold characters that control a terminal."""
    line = " ".join("".join(character if character.isprintable() else " " for character in text[:1000]).split())
    return line if len(line) <= _MOST_SHOWN else f"{line[:_MOST_SHOWN]}…"


def _is_retried(status: int, code: Optional[str]) -> bool:
    if status >= 500:
        return status not in _NOT_RETRIED_5XX
    return status in _RETRIED_4XX or code in _RETRIED_CODES


class KeyRefused(AccessDenied):
    """The access key itself may be at fault: rotated, expired or wrong."""

    unexplained = False  # the reply states no reason: it may be the date, and the next attempt has another one


class Damaged(IntegrityError):
    """Bytes were damaged on the way; worth another attempt."""

    def __init__(self, what: str, where: Optional[str] = None, mend: Optional[str] = None):
        super().__init__(what, where, mend or "Try again; if it happens again, suspect a proxy, the network or this "
                                              "machine's memory")


class OtherVersion(ObjectChanged):
    """The reply is of another version than the one that was asked for: something ignored If-Match."""


class UploadGone(StoreError):
    """There is no such upload in parts, or it has other parts: it was completed or aborted, or two write to it."""


_RETRIED = (StoreUnavailable, Damaged, DateRefused)


@contextlib.contextmanager
def translated(where: str, on_fault: Callable[[], None], client: Client, bucket: str) -> Any:
    """Turn what the SDK and the network raise into our errors. Other exceptions pass, such as those of a callback."""
    try:
        yield
    except StoreError:
        raise
    except ssl.SSLError as error:
        on_fault()
        raise _tls_fault(error, where, client.doubled(bucket)) from error
    except socket.gaierror as error:
        on_fault()
        raise _unresolved(error, where, client, bucket) from error
    except BadReply as error:
        on_fault()
        raise StoreUnavailable(f"the server's reply is not valid HTTP ({error})", where,
                               "Check OBS_SERVER, and any proxy on the way") from error
    except (OSError, http.client.HTTPException) as error:
        on_fault()
        if _PROXY_REFUSED.search(str(error)):
            raise StoreError(f"the proxy refuses ({error})", where,
                             "Check HTTPS_PROXY or HTTP_PROXY, its user and password, and NO_PROXY") from error
        raise StoreUnavailable(f"the connection failed ({type(error).__name__}: {error})", where,
                               _CHECK_NETWORK) from error
    except Exception as error:
        if type(error) is not Exception:  # the SDK raises that very class, for bodies cut short among others
            raise
        on_fault()
        raise StoreUnavailable(f"the request failed ({error})", where, _CHECK_NETWORK) from error


def _tls_fault(error: ssl.SSLError, where: str, doubled: Optional[str]) -> StoreError:
    if isinstance(error, ssl.SSLCertVerificationError):
        return StoreError(
            f"the server's TLS certificate could not be verified ({error.verify_message})", where, doubled or
            "If it is signed by a private authority set SSL_CERT_FILE to its certificate; to go without "
            "verification set OBS_SSL_VERIFY=0")
    if error.reason in _NO_TLS:
        return StoreError(f"the server does not speak TLS ({error.reason})", where,
                          "If it speaks plain HTTP, begin OBS_SERVER with http:// (or set S3_USE_HTTPS=0); else check "
                          "its port")
    return StoreUnavailable(f"the connection failed ({type(error).__name__}: {error})", where, _CHECK_NETWORK)


def _unresolved(error: socket.gaierror, where: str, client: Client, bucket: str) -> StoreUnavailable:
    """The name is unknown, or the name service does not answer, which may be temporary."""
    told = f"the host name {client.connects_to(bucket)!r} cannot be resolved ({error.strerror})"
    if client.proxy is not None:
        return StoreUnavailable(f"the address of the proxy is unknown: {told}", where,
                                "Check HTTPS_PROXY or HTTP_PROXY, and NO_PROXY")
    mocked = [item.strip().partition("=")[0] for item in os.environ.get(_MOCK_NAMES, "").split(",") if item.strip()]
    if f".{client.connects_to(bucket)}".endswith(tuple("." + name for name in mocked)):  # needs its sitecustomize
        return StoreUnavailable(told, where, f"{_MOCK_NAMES} is set for a mocked OBS, but PYTHONPATH lacks the folder "
                                f"{_RESOLVER_PATH}; put it in front of PYTHONPATH and keep the rest")
    return StoreUnavailable(told, where, client.doubled(bucket) or
                            "Check OBS_SERVER for a typo in the region, the bucket's name, and this machine's DNS")
