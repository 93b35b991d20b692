"""A store that writes and deletes only while a check passes."""
from __future__ import annotations

from typing import Any, Callable, Iterable, Iterator, Optional

from obs_sync.store import ObjectInfo, OnBytes, Store


class GuardedStore:
    """`inner`, with `check()` called before anything is stored or deleted. What it raises, the operation raises.

    `check` is called again before each attempt that `inner` makes, of each part of a large object and of each batch of
    keys to delete: no attempt is retried once `check` raises. One attempt that is under way by then cannot be taken
    back. It may still take effect for as long as the store waits for a reply. An upload through moxing, which retries
    by itself, may still take effect for as long as moxing takes.

    Everything else is `inner`'s own. Closing this store does not close `inner`.
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
                self._check()  # the local store deletes files one by one
                yield key

        self._changing.delete(checked())

    def close(self) -> None:
        """Nothing to close: `inner` belongs to whoever opened it."""
