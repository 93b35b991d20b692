"""The access key of a client, and another one after the server refused it: keys are rotated and tokens expire."""
from __future__ import annotations

import contextlib
import threading
import time
from typing import Any, Callable, NamedTuple, Optional

from obs_sync.errors import StoreError
from obs_sync.esdk.credentials import Credentials

_LOOK_AGAIN = 5.0  # seconds before a source without a new key is read again


class Key(NamedTuple):
    """A key to sign with. Its repr shows no secret."""

    access_key_id: Optional[str]
    secret_access_key: Optional[str]
    security_token: Optional[str]

    def __repr__(self) -> str:
        return f"Key({self.access_key_id!r})"


class Keys:
    """Safe to use from several threads: if many are refused together, one of them reads the source again."""

    def __init__(self, client: Any, credentials: Credentials, read: Optional[Callable[[], Credentials]] = None,
                 clock: Callable[[], float] = time.monotonic):
        """`client` is the `connect.Client` that signs with them. `read` reads the credentials again."""
        self.source = credentials.source
        self._client = client
        self._key = Key(credentials.access_key_id, credentials.secret_access_key, credentials.security_token)
        self._agency = credentials.agency
        self._read = read
        self._clock = clock
        self._lock = threading.Lock()
        self._nothing_new: Optional[Key] = None
        self._looked = 0.0

    def current(self) -> Key:
        """The last key. That of an agency may be missing yet, or be about to expire."""
        if self._agency:
            from obs.loadtoken import ECS
            return Key(ECS.ak, ECS.sk, ECS.token)
        return self._key

    def of_the_moment(self) -> Key:
        """The key to sign the next request with."""
        if not self._agency:
            return self._key
        provider = self._client.sdk._get_token()
        return Key(provider.access_key_id, provider.secret_access_key, provider.security_token)

    def renew(self, refused: Key) -> bool:
        """After the server refused `refused`: whether there is another key now, so that a retry makes sense."""
        with self._lock:
            if self.current() != refused:
                return True
            now = self._clock()
            if refused == self._nothing_new and now < self._looked + _LOOK_AGAIN:
                return False
            if self._agency:
                self._ask_agency()
            elif self._read is not None:
                with contextlib.suppress(StoreError):  # being written, or gone: then the refusal is reported
                    found = self._read()
                    if not found.agency:
                        self.source = found.source
                        self._key = Key(found.access_key_id, found.secret_access_key, found.security_token)
                        self._client.sign_with(self._key)
            if self.current() != refused:
                return True
            self._nothing_new, self._looked = refused, now
            return False

    def _ask_agency(self) -> None:
        """Have the SDK fetch another key, which it would do only shortly before the present one expires."""
        from obs.loadtoken import ECS
        kept, ECS.expires = ECS.expires, None
        self._client.sdk._get_token()
        if ECS.expires is None:  # the instance did not answer
            ECS.expires = kept
