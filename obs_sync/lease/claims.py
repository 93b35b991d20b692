"""The claims to a lease as one process sees them: who is there, for how long they were silent, and who counts no more.

See `lease` for what a claim is.
"""
from __future__ import annotations

import contextlib
import json
import logging
import time
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Set, Tuple

from obs_sync.errors import ObjectNotFound, StoreError, StoreUnavailable
from obs_sync.json_document import parse_json
from obs_sync.lease.owner import Owner, parse_owner
from obs_sync.store import ObjectInfo, Store

_log = logging.getLogger(__name__)

PREFIX = "lease/"
_CLAIM, _OVER = ".json", ".over"
_FORMAT = "masf-lease/1"
_COARSE = 2.0  # seconds: more than the difference of two times in whole seconds can be wrong by
_OVER_KEPT = 24 * 3600.0  # seconds that an .over object is kept; no straggler sleeps longer between two requests


class Claim(NamedTuple):
    """A live claim of somebody else."""

    key: str
    held: bool
    owner: Optional[Owner]  # None if the claim cannot be read
    since: str              # when the owner made it, by its own clock: for people
    age: float              # seconds since it was renewed
    renewed: bool           # since we first saw it, so its owner is alive


class Claims:
    """Those below `store`, of which any process but `owner` may be dead: after `seconds` without a renewal.

    clock: monotonic seconds. sleep: waits.
    """

    def __init__(self, store: Store, owner: Owner, seconds: float, clock: Callable[[], float],
                 sleep: Callable[[float], None]):
        self._store = store
        self._owner = owner
        self._seconds = seconds
        self._clock = clock
        self._sleep = sleep
        self._store_ahead: Optional[float] = None  # the store's time less our clock's, at most
        self._seen: Dict[str, Tuple[Any, float, bool]] = {}  # key → version, when it was first seen, renewed since
        self._closed: Set[str] = set()  # .over objects that were there before the listing that is looked at
        self.buried: Set[str] = set()  # keys of claims that count no more

    def others(self, own: Optional[str], written: float) -> Optional[List[Claim]]:
        """The live claims but `own`, whose last write was answered at `written`; the dead are buried on the way.

        None if our own was taken for dead. Raises StoreError.
        """
        while True:
            infos = self._fresh_listing(own, written)
            closed, self._closed = self._closed, {key for key in infos if key.endswith(_OVER)}
            if own is not None and over(own) in infos:
                return None
            found, again = [], False
            for key in sorted(key for key in infos if is_claim(key) and key != own and key not in self.buried):
                claim, dead = self._judged(infos[key])
                if claim is None:
                    continue
                if claim.owner is not None and claim.owner.has_ended():  # it writes nothing more: no need to close it
                    self._bury(claim, "has ended")
                elif not dead:
                    # Who renews a closed claim is about to notice, and to go.
                    found.append(claim._replace(renewed=claim.renewed and over(key) not in infos))
                elif over(key) in closed:
                    self._bury(claim, f"has not renewed it for {claim.age:.0f} s")
                else:
                    if over(key) not in infos:
                        self._store.write(over(key), b"")
                    self._closed.add(over(key))
                    again = True
            if not again:
                self._sweep(infos)
                return found

    def listed(self) -> Dict[str, ObjectInfo]:
        """Everything that there is, by key."""
        return {info.key: info for info in self._store.list(PREFIX)}

    def is_held(self, key: str) -> bool:
        """Whether the claim says that its owner holds the lease; False if it is gone."""
        try:
            return self._read(key)[0]
        except ObjectNotFound:
            return False

    def remove(self, key: str) -> None:
        """Remove a claim, or leave it to be taken for dead."""
        try:
            self._store.delete([key])
        except StoreError as error:
            _log.debug("%s stays for now: %s", self._store.locate(key), error)

    def seconds_to_die(self, claim: Claim) -> float:
        """How long it takes at most until the claim is dead, if nobody renews it."""
        return max(0.0, self._seconds + _COARSE - claim.age)

    def _judged(self, info: ObjectInfo) -> Tuple[Optional[Claim], bool]:
        """(the claim, whether it is dead); no claim if it has been removed meanwhile."""
        now, version = self._clock(), (info.etag, info.modified)
        before, since, renewed = self._seen.get(info.key, (version, now, False))
        if before != version:
            since, renewed = now, True
        self._seen[info.key] = (version, since, renewed)
        age = now - since
        if info.modified is not None and self._store_ahead is not None:
            age = max(age, now + self._store_ahead - info.modified)
        try:
            held, owner, made = self._read(info.key)
        except ObjectNotFound:
            return None, False
        restarted = owner is not None and owner.is_restarted_as(self._owner)
        return Claim(info.key, held, owner, made, age, renewed), restarted or age > self._seconds + _COARSE

    def _read(self, key: str) -> Tuple[bool, Optional[Owner], str]:
        """(held, owner, since). A claim that cannot be read counts as held: its writer knows more than we do."""
        try:
            content = parse_json(self._store.read(key))
            return bool(content["held"]), parse_owner(content["owner"]), str(content["since"])
        except (ValueError, KeyError, TypeError) as error:
            if isinstance(error, StoreError):
                raise
            return True, None, ""

    def _bury(self, claim: Claim, why: str) -> None:
        self.buried.add(claim.key)
        self.remove(claim.key)
        _log.info("%s was in use by %s, who %s; taking it over", self._store.url, claim.owner or "somebody", why)

    def _fresh_listing(self, own: Optional[str], written: float) -> Dict[str, ObjectInfo]:
        """A listing that is not behind what we have written. Raises StoreUnavailable if none is."""
        while True:
            infos = self.listed()
            if own is None or over(own) in infos:
                return infos
            if own in infos:
                modified = infos[own].modified
                if modified is not None:
                    self._store_ahead = modified - written
                return infos
            if self._clock() - written > self._seconds:
                raise StoreUnavailable("the listing does not show what was written", self._store.locate(own),
                                       "Try again later")
            self._sleep(pause_of(self._seconds))

    def _sweep(self, infos: Dict[str, ObjectInfo]) -> None:
        """Remove .over objects that are of no use any more."""
        if self._store_ahead is None:
            return
        now = self._clock() + self._store_ahead
        old = [key for key, info in infos.items() if key.endswith(_OVER) and info.modified is not None
               and now - info.modified > _OVER_KEPT and key[:-len(_OVER)] + _CLAIM not in infos]
        if old:
            with contextlib.suppress(StoreError):
                self._store.delete(old)


def claim_key(name: str) -> str:
    return PREFIX + name + _CLAIM


def is_claim(key: str) -> bool:
    return key.endswith(_CLAIM)


def over(key: str) -> str:
    """The key of the object that closes the claim `key`."""
    return key[:-len(_CLAIM)] + _OVER


def claim_content(owner: Owner, held: bool, since: str, writes: int) -> bytes:
    """writes: number of this write, so that each is another version also where that is a digest of the content."""
    content = {"format": _FORMAT, "owner": owner.to_json(), "held": held, "since": since, "writes": writes}
    return json.dumps(content, indent=1, sort_keys=True).encode("ascii")


def pause_of(seconds: float) -> float:
    """From one look at a lease of `seconds` to the next."""
    return min(1.0, seconds / 60.0)


def now_text() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
