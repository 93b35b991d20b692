"""One request at a time through the OBS SDK, its results checked and translated.

The SDK returns errors as results, raises bare `Exception` on network faults, and its own retries know neither
jitter nor 429. Here every call either returns a result whose status and body are right or raises one of our errors;
retries are ours.
"""
from __future__ import annotations

import contextlib
import dataclasses
import http.client
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
from obs_sync.refusals import GRANT, DateRefused, advice, is_about_the_key, is_about_time
from obs_sync.retry import Retry

_NOT_RETRIED_5XX = (501, 505)
_RETRIED_CODES = ("RequestTimeout", "SlowDown", "InternalError", "ServiceUnavailable")
_CORRUPTED = ("BadDigest", "InvalidDigest", "XObsContentSHA256Mismatch", "XAmzContentSHA256Mismatch")
_CHECK_NETWORK = "Check the network and OBS_SERVER"
_NO_TLS = ("WRONG_VERSION_NUMBER", "UNKNOWN_PROTOCOL", "HTTP_REQUEST", "RECORD_LAYER_FAILURE")
_PROXY_REFUSED = re.compile(r"(Tunnel connection failed: |the proxy answers .*)4\d\d")


class Calls:
    """Calls of the SDK's methods on one bucket."""

    def __init__(self, client: Client, bucket: str, retry: Retry):
        self.client = client
        self.bucket = bucket
        self._retry = retry

    def __call__(self, method: str, where: str, *arguments: Any,
                 check: Callable[[Any], Any] = lambda result: result, **options: Any) -> Any:
        """client.method(bucket, *arguments, **options), tried again where it makes sense; returns its result.

        `check(result)` may raise, or return what is to be returned instead.
        """
        return self.repeat(lambda: check(self.once(method, where, *arguments, **options)))

    def repeat(self, attempt: Callable[[], Any]) -> Any:
        """attempt(), tried again after StoreUnavailable, after bytes that were damaged on the way and after the date of
        the request was refused: by then it is the server's.

        Once also after the access key was refused, if where it came from there is another one by now.
        """
        return self._retry.call(lambda: self._with_a_good_key(attempt), (StoreUnavailable, Damaged, DateRefused))

    def works(self, attempt: Callable[[], Any]) -> bool:
        """attempt() once; whether it has come to an end, or `repeat` should have it. Raises what is final."""
        self._retry.before_attempt()
        try:
            attempt()
        except (StoreUnavailable, Damaged, KeyRefused, DateRefused):
            return False
        return True

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
        """After one connection failed the idle ones are suspect: servers and switches forget all at once."""
        sdk = self.client.made_sdk
        holder = None if sdk is None else sdk.connHolder
        with contextlib.suppress(queue.Empty):
            while holder is not None:
                holder["connSet"].get_nowait().close()

    def close(self) -> None:
        if self.client.made_sdk is not None:
            self.client.made_sdk.close()

    def error(self, result: Any, where: str) -> StoreError:
        """What a result above 299 means. May ask the server why, where it did not say."""
        status, code = result.status, result.errorCode
        if code is None and status in (403, 404):  # replies to HEAD have no body
            status, code = self._reason(status)
        told = f"the server answered {status} {code or result.reason or ''}".rstrip()
        if result.errorMessage:
            told += f" ({result.errorMessage})"
        if result.requestId:
            told += f", request {result.requestId}"
        if code == "NoSuchBucket":
            return BucketNotFound(f"there is no bucket {self.bucket!r}", where, self.client.doubled(self.bucket) or
                                  "Check its name, and that OBS_SERVER is the endpoint of the bucket's region")
        if code in ("NoSuchUpload", "InvalidPart"):
            return UploadGone(told, where)
        if status == 404 and code in (None, "NoSuchKey"):
            return ObjectNotFound("there is no such object", where, CHECK_PATH)
        if status in (401, 403):
            mend = advice(code, result.errorMessage) or GRANT
            if is_about_time(code, result.errorMessage):
                self.client.clock.learn(date_of(result))
                return DateRefused(told, where, mend)
            denied = (KeyRefused if is_about_the_key(code) else AccessDenied)(told, where, mend)
            if isinstance(denied, KeyRefused):
                denied.unexplained = code is None
            return denied
        if status == 412:
            return ObjectChanged("the object is another version by now", where, "Somebody else writes to it")
        if code in _CORRUPTED:
            return Damaged(f"{told}: the bytes were damaged on the way", where, None)
        if status == 429 or status >= 500 and status not in _NOT_RETRIED_5XX or code in _RETRIED_CODES:
            unavailable = StoreUnavailable(told, where, "The server is overloaded or out of order; try again later")
            unavailable.retry_after = retry_after(getattr(result, "header", None))
            return unavailable
        if 300 <= status < 400:
            return StoreError(told, where, "OBS_SERVER seems not to be the endpoint of the bucket's region")
        return StoreError(told, where)

    def _reason(self, status: int) -> Tuple[int, Optional[str]]:
        """Why a request about an object was answered 403 or 404: the answer to a listing has a code."""
        with translated("", self.drop_idle_connections, self.client, self.bucket):
            result = self.client.sdk.listObjects(self.bucket, max_keys=1)
        if result.status in (403, 404) and status in (result.status, 404):
            if result.status == 404:
                return 404, "NoSuchBucket"
            if result.errorCode not in (None, "AccessDenied"):  # one may be allowed to read and not to list
                return 403, result.errorCode
        return status, None


class KeyRefused(AccessDenied):
    """The access key itself may be at fault: rotated, expired or wrong."""

    unexplained = False  # a reply to HEAD, which tells no reason: it may have been its date, which is another by now


class Damaged(IntegrityError):
    """Bytes were damaged on the way; worth another attempt."""

    def __init__(self, what: str, where: Optional[str] = None, mend: Optional[str] = None):
        super().__init__(what, where, mend or "Try again; if it goes on, suspect a proxy, the network or this "
                                              "machine's memory")


class UploadGone(StoreError):
    """There is no such upload in parts, or not with the parts that we know: it was completed, aborted or shared."""


@contextlib.contextmanager
def translated(where: str, on_fault: Callable[[], None], client: Client, bucket: str) -> Any:
    """Turn what the SDK and the network raise into our errors. Others, such as a callback's, pass."""
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
    """A name that is not known, or a name service that does not answer: that happens for a while, too."""
    told = f"the host name {client.connects_to(bucket)!r} cannot be resolved ({error.strerror})"
    if client.proxy is not None:
        return StoreUnavailable(f"the proxy's address is not known: {told}", where,
                                "Check HTTPS_PROXY or HTTP_PROXY, and NO_PROXY")
    return StoreUnavailable(told, where, client.doubled(bucket) or
                            "Check OBS_SERVER for a typo in the region, the bucket's name, and this machine's DNS")
