"""A store that stores and removes nothing unless it may."""
from __future__ import annotations

from typing import Any, Callable, Iterable, Iterator, Optional

from obs_sync.store import ObjectInfo, OnBytes, Store


class GuardedStore:
    """`inner`, with `check()` called before anything is stored or removed; what it raises, the operation raises.

    It is called again before each attempt that `inner` makes, of each part of a large object, and of each batch of
    what is removed: nothing that failed is tried again once `check` says no. What it cannot take back is the one
    attempt that is under way by then. That may still be heard as long as the store waits for a reply, and what is
    stored through moxing, which has retries of its own, for as long as moxing takes.

    Everything else is `inner`'s own. It stays whose it was: closing this store does not close it.
    """

    def __init__(self, inner: Store, check: Callable[[], None]):
        self._inner = inner
        self._changing = inner.checking(check)
        self._check = check

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def __repr__(self) -> str:
        return repr(self._inner)

    def write(self, key: str, data: bytes) -> ObjectInfo:
        self._check()
        return self._changing.write(key, data)

    def upload(self, path: str, key: str, on_bytes: Optional[OnBytes] = None, with_md5: bool = True) -> ObjectInfo:
        self._check()
        return self._changing.upload(path, key, on_bytes, with_md5)

    def delete(self, keys: Iterable[str]) -> None:
        def checked() -> Iterator[str]:
            for key in keys:
                self._check()  # a directory's files are removed one by one
                yield key

        self._changing.delete(checked())

    def close(self) -> None:
        """Nothing of ours."""
