"""One writer at a time below a prefix, in stores that have no conditional write: only put, get, list and delete.

    lease/<time>-<id>.json    a claim. One process uses this key, once; the claim's last write is its renewal
    lease/<time>-<id>.over    closes that claim: it no longer counts, whatever its owner does

To get the lease, a process writes its claim and then lists the claims. It has the lease if it sees no other live claim.
If two processes do so at once, the one that lists later sees the claim of the other, so both cannot have the lease. So
that one of the two gets it, the process with the later key deletes its own claim and waits. So does a process that sees
the claim of a holder. The holder marks its claim as held and renews it every third of `seconds`.

A claim that was not renewed for `seconds` is dead. Ages are counted by the store's times only: the Last-Modified of a
claim, compared with that of our own claim just after we wrote it; never by the clocks of two machines. A dead claim is
closed with an .over object. If a later listing shows the claim unchanged, its owner can renew it only to find it
closed, because the owner looks for an .over object after each renewal. So a process that was suspended and wakes up
begins no write, and no retry of one: it may write only within `seconds` of its last confirmed renewal, and its next
renewal tells it that the lease is lost. One attempt that is on its way by then can still arrive, within the time for
which a store waits for a reply. Therefore data that must not be overwritten get keys that are used once, as the files
of checkpoints do.

A claim of a process of this machine that has ended, or of an earlier start of the same job, is dead at once.
"""
from __future__ import annotations

import logging
import threading
import time
import uuid
from typing import Callable, List, Optional, Set

from obs_sync.errors import LeaseHeld, LeaseLost, StoreUnavailable
from obs_sync.lease.claims import PREFIX, Claim, Claims, claim_content, claim_key, is_claim, now_text, over, pause_of
from obs_sync.lease.guarded_store import GuardedStore
from obs_sync.lease.owner import Owner
from obs_sync.store import Store

_log = logging.getLogger(__name__)

_FIRST_RENEWAL = 2.0  # seconds: soon, because the first listing may have been too old to show another claim


class Lease:
    """The lease on everything below a store. A context manager: acquires it, renews it in the background, releases it.

    Args:
        store: claims are kept below `lease/` in it. owner: this process. seconds: a claim is dead if it is not renewed
            for so long. elsewhere: where the user can write instead, for messages. clock: monotonic seconds.
        sleep: waits so many seconds; an exception that it raises ends the wait for the lease.
    """

    def __init__(self, store: Store, owner: Owner, seconds: float = 60.0, elsewhere: str = "another prefix",
                 clock: Callable[[], float] = time.monotonic, sleep: Callable[[float], None] = time.sleep):
        self._store = store
        self._owner = owner
        self._seconds = seconds
        self._elsewhere = elsewhere
        self._clock = clock
        self._sleep = sleep
        self._claims = Claims(store, owner, seconds, clock, sleep)
        self._key: Optional[str] = None  # of our claim
        self._held = False
        self._since = ""
        self._writes = 0
        self._written = 0.0    # when the reply to our last write of the claim came
        self._confirmed = 0.0  # when the last write began after which a listing showed that the lease is still ours
        self._lost: Optional[str] = None
        self._leaving = threading.Event()
        self._thread: Optional[threading.Thread] = None

    def __enter__(self) -> Lease:
        self.acquire()
        self._thread = threading.Thread(target=self._keep, name="lease", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.release()

    def acquire(self) -> None:
        """Wait until the lease is ours, or until its holder proves to be alive.

        Raises LeaseHeld if the holder is alive, StoreError if the store cannot be written or read.
        """
        told: Set[str] = set()
        try:
            while True:
                if self._key is None:
                    self._claim()
                others = self._claims.others(self._key, self._written)
                if others is None:  # we were suspended, and another process took us for dead
                    self._withdraw()
                elif others:
                    self._wait(others, told)
                else:
                    break
            self._held = True
            self._write()
        except BaseException:
            self._withdraw()
            raise

    def renew(self) -> None:
        """Renew the lease once. Raises StoreError if that may have failed, LeaseLost if the lease is no longer ours."""
        own = self._own_key()
        self._check_not_lost()
        if not self._store.exists(own):
            self._lose("our claim is gone")
        begun = self._clock()
        self._write()
        infos = self._claims.listed()
        if over(own) in infos:
            self._lose("it was not renewed in time, or this job was started again: another process has taken it over")
        for key in sorted(key for key in infos if is_claim(key) and key != own):
            if key in self._claims.buried:
                self._claims.remove(key)
            elif key < own and self._claims.is_held(infos[key]):  # neither process had seen the other's claim
                self._lose(f"another process has it: {self._store.locate(key)}")
        self._confirmed = begun

    def check(self) -> None:
        """Raises LeaseLost if the lease is no longer ours, StoreUnavailable as long as we cannot know."""
        self._check_not_lost()
        silence = self._clock() - self._confirmed
        if silence > self._seconds:
            raise StoreUnavailable(f"the lease could not be renewed for {silence:.0f} s",
                                   self._store.locate(self._own_key()),
                                   "Nothing is written until it is renewed")

    def guarded(self) -> GuardedStore:
        """The store to write to: it calls `check` before each attempt at a change."""
        return GuardedStore(self._store, self.check)

    def release(self, seconds: float = 5.0) -> None:
        """Delete the claim. If that takes longer than `seconds`, leave it: it is dead once it is not renewed."""
        self._leaving.set()
        if self._thread is None:
            self._withdraw()
        else:
            self._thread.join(seconds)

    def _claim(self) -> None:
        self._since = now_text()
        stamp = self._since.replace("-", "").replace(":", "")
        self._key = claim_key(f"{stamp}-{uuid.uuid4().hex[:12]}")
        self._write()

    def _write(self) -> None:
        self._writes += 1
        begun = self._clock()
        self._store.write(self._own_key(), claim_content(self._owner, self._held, self._since, self._writes))
        self._written = self._clock()
        if not self._held:
            self._confirmed = begun  # valid if the listing that follows shows no other claim

    def _wait(self, others: List[Claim], told: Set[str]) -> None:
        """Wait until it is our turn again to claim or to list. Raises LeaseHeld.

        told: keys of the claims that the log names already.
        """
        while others:
            self._refuse_if_alive(others)
            self._tell_once(others, told)
            if self._key is not None and any(claim.held or claim.key < self._key for claim in others):
                self._withdraw()
            self._sleep(pause_of(self._seconds))
            if self._key is not None:  # our claim is the first one: the others have to withdraw theirs
                if self._clock() - self._written > self._seconds / 3.0:
                    self._write()
                return
            others = self._claims.others(None, 0.0) or []

    def _refuse_if_alive(self, others: List[Claim]) -> None:
        for claim in others:
            if claim.held and claim.renewed:
                raise LeaseHeld(
                    f"{claim.owner or 'another process'} is writing here, since "
                    f"{claim.content.since or 'an unknown time'}; it renewed its lease {max(0.0, claim.age):.0f} s ago",
                    self._store.locate(claim.key),
                    f"Wait until that process ends, or use {self._elsewhere}. If there is no such process, delete this "
                    "object")

    def _tell_once(self, others: List[Claim], told: Set[str]) -> None:
        for claim in others:
            if claim.held and claim.key not in told:
                told.add(claim.key)
                _log.info("%s is in use by %s, which renewed its lease %.0f s ago. Waiting at most %.0f s: if it does "
                          "not renew its lease by then, it is taken for dead", self._store.url,
                          claim.owner or "another process", max(0.0, claim.age), self._claims.seconds_to_die(claim))

    def _withdraw(self) -> None:
        key, self._key = self._key, None
        if key is not None:
            self._claims.remove(key)

    def _own_key(self) -> str:
        return self._key or PREFIX

    def _keep(self) -> None:
        """The thread: renew the claim, and delete it at the end."""
        pause = min(_FIRST_RENEWAL, self._seconds / 3.0)
        while not self._leaving.wait(pause):
            try:
                self.renew()
                pause = self._seconds / 3.0
            except LeaseLost as error:
                _log.error("%s", error)
                break
            except Exception as error:  # an outage: if it lasts too long, `check` raises for every writer
                _log.debug("the lease was not renewed: %s", error)
                pause = self._seconds / 12.0
        self._claims.remove(self._own_key())

    def _check_not_lost(self) -> None:
        if self._lost is not None:
            raise LeaseLost(f"the lease is lost ({self._lost})", self._store.locate(self._own_key()),
                            f"Nothing more is written here. Check the other process, or use {self._elsewhere}")

    def _lose(self, why: str) -> None:
        self._lost = why
        self._check_not_lost()
