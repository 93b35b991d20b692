"""Values as people copy them: with blanks around them, or a path of OBS as consoles show it."""

from __future__ import annotations

import logging
import os
import re
from typing import Any, Dict, Mapping, Optional, Sequence, Tuple

from job.config.files import Given
from job.errors import ConfigError
from obs_sync.urls import is_remote

log = logging.getLogger(__name__)

PLATFORM_FOLDERS = ("/home/ma-user", "/cache")  # where ModelArts has folders of its own, which need not exist yet
BLANKS = "\u200b\u2060\ufeff"  # invisible characters that people copy with a value; str.strip() does not know them
_USER = re.compile(r"\w+://[^/]*@")  # key:secret@bucket
_SIGNED = re.compile(r"[?&](AccessKeyId|AWSAccessKeyId|Signature|X-(Obs|Amz)-[\w-]+)=", re.IGNORECASE)
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]\Z")


def cut_blanks(given: Mapping[str, Given]) -> Dict[str, Given]:
    """``given`` without blanks and line ends around its values. A warning names each value that is cut."""
    found = dict(given)
    for name, (value, where) in given.items():
        cut = _cut(value)
        if cut != value:
            found[name] = Given(cut, where.replace(value, cut))
            log.warning("%s: blanks around the value were cut off; it is %r", name, cut)
    return found


def _cut(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    before, cut = None, value
    while cut != before:
        before, cut = cut, cut.strip().strip(BLANKS)
    return cut


def secret_in_url(name: str, value: Any) -> Optional[str]:
    """A sentence about a URL that holds a key or a signature, which would be logged and saved; else None.

    The sentence does not show the value.
    """
    if not isinstance(value, str) or "://" not in value or not (_USER.match(value) or _SIGNED.search(value)):
        return None
    return (f"{name}: the URL holds a key or a signature, which would end up in logs and in run.json. Give the plain "
            "obs://bucket/folder/, and the key in OBS_ACCESS_KEY_ID and OBS_SECRET_ACCESS_KEY")


def console_path(url: Optional[str], environ: Mapping[str, str] = os.environ) -> Optional[str]:
    """The URL that ``url`` seems to mean, or None: consoles show obs://bucket/folder/ as /bucket/folder/.

    A path is taken for a local one if its first folder exists, if it is the platform's, or if it begins with a dot.
    """
    if not url or "://" in url or url.startswith((".", "~")):
        return None
    path = os.path.normpath(url).lstrip("/")
    bucket, separator, _ = path.partition("/")
    if not _BUCKET.match(bucket) or not (separator or url.startswith("/")):
        return None
    if os.path.isdir(bucket if not os.path.isabs(url) else "/" + bucket) or _is_platforms(url, environ):
        return None
    return f"obs://{path}{'/' if url.endswith('/') else ''}"


def refuse_empty(places: Sequence[Tuple[str, Optional[str]]]) -> None:
    """Raise ConfigError for each value of nothing but blanks.

    Args:
        places: (name of a flag or an argument, its value or None without it).
    """
    empty = [f"{name} is empty; expected a value" for name, value in places if value is not None and not value.strip()]
    if empty:
        raise ConfigError(empty)


def refuse_url(what: str, given: Optional[str]) -> None:
    """Refuse a URL where only a local path is possible: it would become a folder called ``obs:``.

    Args:
        what: names the value in the message. given: the value, or None if there is none.

    Raises:
        ConfigError: ``given`` is a URL in OBS. obs_sync.InvalidUrl: it is a URL of another scheme.
    """
    if given and is_remote(given):
        raise ConfigError(f"{what} is {given}, a URL; expected a local path (`python -m job sync` copies folders "
                          "between OBS and this machine)")


def refused_output(train_url: Optional[str], environ: Mapping[str, str] = os.environ) -> Optional[str]:
    """A sentence about a ``train_url`` that would fill a new local folder where OBS was meant; else None."""
    meant = console_path(train_url, environ)
    if meant is None:
        return None
    return (f"train_url={train_url}: there is no local folder {_first(train_url)}; write {meant} for OBS, or make "
            "the folder first")


def _first(path: Optional[str]) -> str:
    root = "/" if os.path.isabs(path or "") else ""
    return root + os.path.normpath(path or "").lstrip("/").partition("/")[0]


def _is_platforms(path: str, environ: Mapping[str, str]) -> bool:
    """ModelArts tells its folders in variables, such as MA_OUTPUTS, some of which are JSON documents."""
    real = os.path.normpath(path)
    if any(real == folder or real.startswith(folder + "/") for folder in PLATFORM_FOLDERS):
        return True
    return os.path.isabs(path) and any(
        real in value for name, value in environ.items() if name.startswith(("MA_", "DLS_LOCAL")))
