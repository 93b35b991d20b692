"""The exceptions of storage. Every message says what is wrong, where, and how to mend it."""
from __future__ import annotations

from typing import Optional


CHECK_PATH = "Check the path; keys are case-sensitive"


class StoreError(Exception):
    """Base of everything that obs_sync raises on purpose.

    Several subclasses are also the built-in exception that a caller would expect, such as FileNotFoundError, so that
    code which knows nothing of object stores handles them too.
    """

    def __init__(self, what: str, where: Optional[str] = None, mend: Optional[str] = None):
        """`what` happened, `where` (a URL or a path), how to `mend` it: each without a full stop."""
        message = what if where is None else f"{what}: {where}"
        super().__init__(message if mend is None else f"{message}. {mend}.")
        self.what = what
        self.where = where
        self.mend = mend


class ObjectNotFound(StoreError, FileNotFoundError):
    """There is no object under this key, or nothing below this prefix."""


class BucketNotFound(StoreError):
    """The bucket does not exist on this server."""


class AccessDenied(StoreError, PermissionError):
    """The server refused the credentials, or the credentials do not allow this operation."""


class CredentialsMissing(StoreError):
    """The environment holds no credentials, or no server address."""


class StoreUnavailable(StoreError, ConnectionError):
    """The network or the server failed, and all retries failed too."""

    retry_after: Optional[float] = None  # seconds that the server asked us to wait


class IntegrityError(StoreError, IOError):
    """The bytes have another length or digest than was announced."""


class WrongDigest(IntegrityError):
    """The bytes do not have the SHA-256 that the caller knows."""


class ObjectChanged(IntegrityError):
    """The object is no longer the version that was listed: it was overwritten meanwhile."""


class AlreadyPublished(StoreError, FileExistsError):
    """A checkpoint of this name exists, whole or in part. No name is used twice."""


class UnsafeKey(StoreError, ValueError):
    """A key that cannot be a file below the destination directory."""

    def __init__(self, what: str, where: Optional[str] = None, mend: Optional[str] = None, key: Optional[str] = None):
        """`key`: the key at fault, if excluding it would solve the problem."""
        super().__init__(what, where, mend)
        self.key = key


class InvalidUrl(StoreError, ValueError):
    """Neither an obs:// or s3:// URL nor a local path."""


class LocalStorageError(StoreError, OSError):
    """The local disk is full, or the directory cannot be written or read."""


class LeaseHeld(StoreError):
    """Another process, alive, holds the lease on this prefix."""


class LeaseLost(StoreError):
    """Our lease on this prefix was taken over or deleted. Nothing more may be written there."""
