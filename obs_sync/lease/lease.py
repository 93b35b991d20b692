"""One writer at a time below a prefix, over stores that know no conditional write: only put, get, list and delete.

    lease/<time>-<id>.json    a claim. Its key is used by one process and never again; its last write is the renewal
    lease/<time>-<id>.over    that claim counts no more, whatever its owner does

To get the lease a process writes its claim, then lists: it has the lease once it sees no other live claim. Of two that
do so at once the later to list sees the other's claim, so both cannot have it. So that one of them does, the one with
the later key removes its own and looks on, as does anyone who sees the claim of a holder. The holder marks its claim as
held and renews it every third of `seconds`.

A claim that was not renewed for `seconds` is dead. Times are the store's: a claim's Last-Modified, and that of our own
claim as we have just written it, never clocks of two machines. A dead claim is closed with an .over object; if a later
listing shows it as dead as before, its owner can renew it only to find itself closed, which it looks for after each
renewal. So a straggler that wakes up begins no write, and no further attempt at one: unless a renewal was confirmed
within `seconds` it may not, and its next renewal tells it that the lease is lost. The one attempt that is on its way by
then can still arrive, within the time for which a store waits for a reply: what must not be overwritten gets a key that
is used once, as the files of checkpoints do.

The claim of a process of this machine that has ended, and of an earlier start of the same job, does not wait to die.
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

_FIRST_RENEWAL = 2.0  # seconds: soon, to notice what a listing that was behind the times may not have shown


class Lease:
    """The lease on everything below a store; a context manager that acquires, renews in the background, and releases.

    Args:
        store: `lease/` in it is used. owner: this process. seconds: without a renewal until a claim is dead.
        elsewhere: what the user can do instead, for messages. clock: monotonic seconds. sleep: waits; what it raises
            ends the waiting for the lease.
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
        self._written = 0.0    # when the reply to our last write came
        self._confirmed = 0.0  # when the last write that is known to count was begun
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
        """Wait until the lease is ours, or its holder is seen to be alive.

        Raises LeaseHeld, and StoreError if the store cannot be written or read.
        """
        told: Set[str] = set()
        try:
            while True:
                if self._key is None:
                    self._claim()
                others = self._claims.others(self._key, self._written)
                if others is None:  # we slept, and were taken for dead
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
        """Renew the lease, once. Raises StoreError if that is not certain, LeaseLost if it is ours no more."""
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
            elif key < own and self._claims.is_held(key):  # neither of two had seen the other
                self._lose(f"another process has it: {self._store.locate(key)}")
        self._confirmed = begun

    def check(self) -> None:
        """Raises LeaseLost if the lease is ours no more, StoreUnavailable while that is not known."""
        self._check_not_lost()
        silence = self._clock() - self._confirmed
        if silence > self._seconds:
            raise StoreUnavailable(f"the lease could not be renewed for {silence:.0f} s",
                                   self._store.locate(self._own_key()), "Nothing is written before it is")

    def guarded(self) -> GuardedStore:
        """The store, to be written to: `check` comes before each attempt at a change."""
        return GuardedStore(self._store, self.check)

    def release(self, seconds: float = 5.0) -> None:
        """Remove the claim if that takes no longer than `seconds`; else it is left to die."""
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
            self._confirmed = begun  # it counts if the listing that follows shows nobody else

    def _wait(self, others: List[Claim], told: Set[str]) -> None:
        """Until it is our turn again to claim or to look. Raises LeaseHeld."""
        while True:
            for claim in others:
                if claim.held and claim.renewed:
                    raise LeaseHeld(
                        f"{claim.owner or 'another process'} is writing here, since {claim.since or '?'}; it renewed "
                        f"its lease {max(0.0, claim.age):.0f} s ago", self._store.locate(claim.key),
                        f"Wait until it ends, or use {self._elsewhere}. If it never was, remove this object")
                if claim.held and claim.key not in told:
                    told.add(claim.key)
                    _log.info("%s is in use by %s, who renewed the lease %.0f s ago; waiting for a sign of life, for "
                              "%.0f s at most", self._store.url, claim.owner or "another process", max(0.0, claim.age),
                              self._claims.seconds_to_die(claim))
            if self._key is not None and any(claim.held or claim.key < self._key for claim in others):
                self._withdraw()
            self._sleep(pause_of(self._seconds))
            if self._key is not None:  # the others have to give way
                if self._clock() - self._written > self._seconds / 3.0:
                    self._write()
                return
            others = self._claims.others(None, 0.0) or []
            if not others:
                return

    def _withdraw(self) -> None:
        key, self._key = self._key, None
        if key is not None:
            self._claims.remove(key)

    def _own_key(self) -> str:
        return self._key or PREFIX

    def _keep(self) -> None:
        """The thread: renew, and remove the claim at the end."""
        pause = min(_FIRST_RENEWAL, self._seconds / 3.0)
        while not self._leaving.wait(pause):
            try:
                self.renew()
                pause = self._seconds / 3.0
            except LeaseLost as error:
                _log.error("%s", error)
                break
            except Exception as error:  # an outage: `check` tells whoever wants to write, once it lasts too long
                _log.debug("the lease was not renewed: %s", error)
                pause = self._seconds / 12.0
        self._claims.remove(self._own_key())

    def _check_not_lost(self) -> None:
        if self._lost is not None:
            raise LeaseLost(f"the lease is lost ({self._lost})", self._store.locate(self._own_key()),
                            f"Nothing more is written here. Look after the other process, or use {self._elsewhere}")

    def _lose(self, why: str) -> None:
        self._lost = why
        self._check_not_lost()
