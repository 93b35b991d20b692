"""The claims to a lease as one process sees them: whose they are, how long ago each was renewed, which are dead.

See `lease` for what a claim is.
"""
from __future__ import annotations

import contextlib
import json
import logging
import time
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Set, Tuple

from obs_sync.errors import ObjectNotFound, StoreError, StoreUnavailable
from obs_sync.json_document import DocumentError, members, one_of, read_json, text, truth
from obs_sync.lease import owner as owners
from obs_sync.lease.owner import Owner, parse_owner
from obs_sync.store import ObjectInfo, Store

_log = logging.getLogger(__name__)

PREFIX = "lease/"
_CLAIM, _OVER = ".json", ".over"
_FORMAT = "masf-lease/1"
_LARGEST = 1 << 20  # bytes of a claim that is read
_COARSE = 2.0  # seconds; a difference of two times that are rounded to whole seconds is wrong by less
_OVER_KEPT = 24 * 3600.0  # seconds that an .over object is kept; no suspended process sleeps longer than that

_SHAPE = members({"format": one_of(_FORMAT), "held": truth(), "owner": owners.SHAPE, "since": text(longest=40)})


class ClaimContent(NamedTuple):
    """What a claim says."""

    held: bool              # its owner has the lease, and does not only ask for it
    owner: Optional[Owner]  # None if the claim cannot be read
    since: str              # when the owner made it, by the owner's clock; for people


# A claim that cannot be read counts as held: another version may have written it, and may be writing here now.
_UNREADABLE = ClaimContent(True, None, "")


class Claim(NamedTuple):
    """A claim of another process."""

    key: str
    content: ClaimContent
    age: float     # seconds since it was renewed
    renewed: bool  # it was renewed since we first saw it, so its owner is alive

    @property
    def held(self) -> bool:
        return self.content.held

    @property
    def owner(self) -> Optional[Owner]:
        return self.content.owner


class Claims:
    """The claims below `store`. A claim of another process than `owner` is dead after `seconds` without a renewal.

    clock: monotonic seconds. sleep: waits so many seconds.
    """

    def __init__(self, store: Store, owner: Owner, seconds: float, clock: Callable[[], float],
                 sleep: Callable[[float], None]):
        self._store = store
        self._owner = owner
        self._seconds = seconds
        self._clock = clock
        self._sleep = sleep
        self._store_ahead: Optional[float] = None  # upper bound of the store's time minus our clock's
        self._seen: Dict[str, Tuple[Any, float, bool]] = {}  # key → version, when it was first seen, renewed since
        self._closed: Set[str] = set()  # .over objects that existed before the latest listing
        self.buried: Set[str] = set()  # keys of dead claims that we have deleted

    def others(self, own: Optional[str], written: float) -> Optional[List[Claim]]:
        """The live claims of other processes. Dead claims are closed, and deleted once they are closed.

        Args:
            own: key of our claim, if we have one. written: when the reply to our last write of it came.

        Returns None if another process has closed our own claim, taking us for dead. Raises StoreError.
        """
        while True:
            infos = self._fresh_listing(own, written)
            closed, self._closed = self._closed, {key for key in infos if key.endswith(_OVER)}
            if own is not None and over(own) in infos:
                return None
            found = self._living(infos, own, closed)
            if found is not None:
                self._sweep(infos)
                return found

    def _living(self, infos: Dict[str, ObjectInfo], own: Optional[str], closed: Set[str]) -> Optional[List[Claim]]:
        """The live claims of a listing but `own`. None: a dead one has just been closed, so list again.

        A dead claim is deleted if it was `closed` before the listing, and still is as dead as it was then.
        """
        found, again = [], False
        for key in sorted(key for key in infos if is_claim(key) and key != own and key not in self.buried):
            claim, dead = self._judged(infos[key])
            if claim is None:
                continue
            if claim.owner is not None and claim.owner.has_ended():  # it cannot write any more: no need to close it
                self._bury(claim, "has ended")
            elif not dead:
                # The owner of a closed claim is about to find out that it lost the lease.
                found.append(claim._replace(renewed=claim.renewed and over(key) not in infos))
            elif over(key) in closed:
                self._bury(claim, f"has not renewed its lease for {claim.age:.0f} s")
            else:
                if over(key) not in infos:
                    self._store.write(over(key), b"")
                self._closed.add(over(key))
                again = True
        return None if again else found

    def listed(self) -> Dict[str, ObjectInfo]:
        """Every object below the prefix of leases, by key."""
        return {info.key: info for info in self._store.list(PREFIX)}

    def is_held(self, info: ObjectInfo) -> bool:
        """Whether the claim says that its owner has the lease; False if the claim is gone."""
        content = read_claim(self._store, info)
        return content is not None and content.held

    def remove(self, key: str) -> None:
        """Delete a claim. If that fails, the claim stays until others take it for dead."""
        try:
            self._store.delete([key])
        except StoreError as error:
            _log.debug("%s could not be deleted: %s", self._store.locate(key), error)

    def seconds_to_die(self, claim: Claim) -> float:
        """In how many seconds the claim is dead at the latest, if its owner does not renew it."""
        return max(0.0, self._seconds + _COARSE - claim.age)

    def _judged(self, info: ObjectInfo) -> Tuple[Optional[Claim], bool]:
        """(the claim, whether it is dead); no claim if it has been deleted since it was listed."""
        now, version = self._clock(), (info.etag, info.modified)
        before, since, renewed = self._seen.get(info.key, (version, now, False))
        if before != version:
            since, renewed = now, True
        self._seen[info.key] = (version, since, renewed)
        age = now - since
        if info.modified is not None and self._store_ahead is not None:
            age = max(age, now + self._store_ahead - info.modified)
        content = read_claim(self._store, info)
        if content is None:
            return None, False
        restarted = content.owner is not None and content.owner.is_restarted_as(self._owner)
        return Claim(info.key, content, age, renewed), restarted or age > self._seconds + _COARSE

    def _bury(self, claim: Claim, why: str) -> None:
        self.buried.add(claim.key)
        self.remove(claim.key)
        _log.info("%s was in use by %s, which %s; taking it over", self._store.url,
                  claim.owner or "another process", why)

    def _fresh_listing(self, own: Optional[str], written: float) -> Dict[str, ObjectInfo]:
        """A listing that shows our own last write. Raises StoreUnavailable if there is none within `seconds`."""
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
                raise StoreUnavailable("the listing of the storage does not show an object that was just written",
                                       self._store.locate(own), "Try again later")
            self._sleep(pause_of(self._seconds))

    def _sweep(self, infos: Dict[str, ObjectInfo]) -> None:
        """Delete .over objects whose claim is gone, once no owner of such a claim can still be asleep."""
        if self._store_ahead is None:
            return
        now = self._clock() + self._store_ahead
        old = [key for key, info in infos.items() if key.endswith(_OVER) and info.modified is not None
               and now - info.modified > _OVER_KEPT and key[:-len(_OVER)] + _CLAIM not in infos]
        if old:
            with contextlib.suppress(StoreError):
                self._store.delete(old)


def read_claim(store: Store, info: ObjectInfo) -> Optional[ClaimContent]:
    """What the listed claim `info` says, or None if it has been deleted since.

    A claim that cannot be read counts as held by an unknown process. Raises StoreError if the store fails.
    """
    try:
        if info.size > _LARGEST:
            return _UNREADABLE
        content = read_json(store.read(info.key), _SHAPE, _LARGEST)
    except ObjectNotFound:
        return None
    except DocumentError:
        return _UNREADABLE
    return ClaimContent(content["held"], parse_owner(content["owner"]), content["since"])


def claim_key(name: str) -> str:
    return PREFIX + name + _CLAIM


def is_claim(key: str) -> bool:
    return key.endswith(_CLAIM)


def over(key: str) -> str:
    """The key of the object that closes the claim `key`."""
    return key[:-len(_CLAIM)] + _OVER


def claim_content(owner: Owner, held: bool, since: str, writes: int) -> bytes:
    """The bytes of a claim.

    writes: number of this write. It makes each write another version also where an ETag is a digest of the content.
    """
    content = {"format": _FORMAT, "owner": owner.to_json(), "held": held, "since": since, "writes": writes}
    return json.dumps(content, indent=1, sort_keys=True).encode("ascii")


def pause_of(seconds: float) -> float:
    """Seconds between two looks at a lease of `seconds`."""
    return min(1.0, seconds / 60.0)


def now_text() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
