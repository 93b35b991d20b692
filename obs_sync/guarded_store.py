"""A store that stores and removes nothing unless it may."""
from __future__ import annotations

from typing import Any, Callable, Iterable, Optional

from obs_sync.store import ObjectInfo, OnBytes, Store


class GuardedStore:
    """`inner`, with `check()` called before anything is stored or removed; what it raises, the operation raises.

    Everything else is `inner`'s own. It stays whose it was: closing this store does not close it.
    """

    def __init__(self, inner: Store, check: Callable[[], None]):
        self._inner = inner
        self._check = check

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def __repr__(self) -> str:
        return repr(self._inner)

    def write(self, key: str, data: bytes) -> ObjectInfo:
        self._check()
        return self._inner.write(key, data)

    def upload(self, path: str, key: str, on_bytes: Optional[OnBytes] = None, with_md5: bool = True) -> ObjectInfo:
        self._check()
        return self._inner.upload(path, key, on_bytes, with_md5)

    def delete(self, keys: Iterable[str]) -> None:
        self._check()
        self._inner.delete(keys)

    def close(self) -> None:
        """Nothing of ours."""
