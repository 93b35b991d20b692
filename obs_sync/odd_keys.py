"""The error about keys that cannot be files says how many there are, and which pattern excludes one."""
from __future__ import annotations

import contextlib
import re
from typing import Callable, Iterable, Iterator

from obs_sync.errors import UnsafeKey
from obs_sync.keys import check_key

_OPTION = "--exclude"  # of `sync`, and the job's setting
# A `?` replaces each character that a shell, a terminal or a comma-separated list of patterns cannot take.
_ANY = re.compile(r"""[^ -~\u00a0-\U0010ffff]|[,'"\ud800-\udfff]""")


@contextlib.contextmanager
def naming_exclude(keys: Callable[[], Iterable[str]]) -> Iterator[None]:
    """Add to an UnsafeKey of the block how many of `keys()` cannot be files, and a pattern that excludes the first."""
    try:
        yield
    except UnsafeKey as error:
        if error.key is None:
            raise
        odd = [key for key in keys() if _is_odd(key)]
        what = error.what if len(odd) < 2 else f"{len(odd):,} keys cannot be files; the first: {error.what}"
        raise UnsafeKey(what, error.where, f"Rename the object, or exclude it with "
                                           f"{_OPTION}='{pattern_of(error.key)}'", error.key) from error


def pattern_of(key: str) -> str:
    """A pattern of `filters` that matches this key."""
    return "/" + _ANY.sub("?", re.sub(r"[*?[]", r"[\g<0>]", key))


def _is_odd(key: str) -> bool:
    try:
        check_key(key, key)
    except UnsafeKey:
        return True
    return False
