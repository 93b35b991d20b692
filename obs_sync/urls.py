"""URLs of storage: `obs://bucket/prefix` or `s3://bucket/prefix`, `file:///directory` or a local path."""
from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import Tuple
from urllib.parse import unquote, urlsplit

from obs_sync.errors import InvalidUrl

_EXAMPLES = "Expected obs://bucket/folder/, s3://bucket/folder/, or a local directory such as /cache/data or ./data"
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]\Z")


@dataclass(frozen=True)
class Location:
    """Where a store is: either bucket and prefix, or a local path."""

    bucket: str = ""
    prefix: str = ""  # "" or a key prefix that ends in '/'
    path: str = ""    # absolute, of a local directory; then bucket and prefix are empty

    @property
    def is_local(self) -> bool:
        return not self.bucket

    @property
    def url(self) -> str:
        return self.path if self.is_local else f"obs://{self.bucket}/{self.prefix}"


def parse_url(url: str) -> Location:
    """Read a URL. Raises InvalidUrl with examples.

    Object keys may hold any character. So an obs:// URL is not unquoted and has no query or fragment: everything after
    the bucket is the prefix, character by character.
    """
    text = os.fspath(url) if isinstance(url, os.PathLike) else url
    if not isinstance(text, str) or not text.strip():
        raise InvalidUrl("the URL is empty", None, _EXAMPLES)
    scheme, separator, rest = text.partition("://")
    if not separator:
        if re.match(r"(obs|s3|file):", text, re.IGNORECASE):
            raise InvalidUrl("the scheme of a URL must be followed by two slashes", text, _EXAMPLES)
        return Location(path=os.path.abspath(os.path.expanduser(text)))
    if scheme.lower() in ("obs", "s3"):
        return _parse_bucket_url(text, rest)
    if scheme.lower() == "file":
        return _parse_file_url(text)
    raise InvalidUrl(f"the scheme {scheme!r} is not supported", text, _EXAMPLES)


def is_remote(url: str) -> bool:
    """Whether `url` names a bucket (else it is a local path). Raises InvalidUrl."""
    return not parse_url(url).is_local


def split_object_url(url: str) -> Tuple[str, str]:
    """The URL of a single object as (URL of the store around it, key in that store).

    'obs://b/models/w.npy' -> ('obs://b/models/', 'w.npy'); '/data/w.npy' -> ('/data', 'w.npy'). Raises
    InvalidUrl for a bucket or a directory.
    """
    location = parse_url(url)
    if location.is_local:
        directory, name = os.path.split(location.path)
        if not name or url.endswith("/"):
            raise InvalidUrl("expected a file, and this is a directory", url, _EXAMPLES)
        return directory, name
    key = location.prefix.rstrip("/")
    if not key or url.endswith("/"):
        raise InvalidUrl("expected an object, and this is a bucket or a folder", url,
                         "Expected for instance obs://bucket/folder/file.npy")
    folder, _, name = key.rpartition("/")
    return Location(location.bucket, f"{folder}/" if folder else "").url, name


def _parse_bucket_url(text: str, rest: str) -> Location:
    bucket, _, prefix = rest.partition("/")
    if not bucket:
        raise InvalidUrl("the URL names no bucket", text, _EXAMPLES)
    if not _BUCKET.match(bucket):
        raise InvalidUrl(f"{bucket!r} is not a bucket's name (3 to 63 of a-z, 0-9, '-' and '.')", text, _EXAMPLES)
    if prefix.startswith("/") or "//" in prefix:
        raise InvalidUrl("the URL has an empty segment ('//') after the bucket", text, _EXAMPLES)
    if prefix and not prefix.endswith("/"):
        prefix += "/"
    return Location(bucket=bucket, prefix=prefix)


def _parse_file_url(text: str) -> Location:
    parts = urlsplit(text)
    if parts.netloc not in ("", "localhost") or not parts.path.startswith("/"):
        raise InvalidUrl("a file URL holds an absolute path, as in file:///cache/data", text, _EXAMPLES)
    return Location(path=os.path.normpath(unquote(parts.path)))
