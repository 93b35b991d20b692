"""The refusal of keys that can be no files says how many there are, and with which pattern to leave them out."""
from __future__ import annotations

import contextlib
import re
from typing import Callable, Iterable, Iterator

from obs_sync.errors import UnsafeKey
from obs_sync.keys import check_key

_OPTION = "--exclude"  # of `sync`, and the job's setting
# `?` stands for what a shell, a terminal, or a list of patterns separated by commas could not take as it is.
_ANY = re.compile(r"""[^ -~\u00a0-\U0010ffff]|[,'"\ud800-\udfff]""")


@contextlib.contextmanager
def naming_exclude(keys: Callable[[], Iterable[str]]) -> Iterator[None]:
    """Let an UnsafeKey of the block that is about a key tell how many of `keys()` are odd, and the way out."""
    try:
        yield
    except UnsafeKey as error:
        if error.key is None:
            raise
        odd = [key for key in keys() if _is_odd(key)]
        what = error.what if len(odd) < 2 else f"{len(odd):,} keys cannot be files; the first: {error.what}"
        raise UnsafeKey(what, error.where, f"Rename the object, or leave it out with "
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
