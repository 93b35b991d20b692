"""One writer below a prefix: who gets the lease, who waits, who is refused, and who notices that it is lost."""
from __future__ import annotations

import dataclasses
import logging
import os

import pytest

from obs_sync import LeaseHeld, LeaseLost, LocalStore, StoreUnavailable
from obs_sync.lease.claims import claim_content, claim_key, over
from obs_sync.lease.lease import Lease
from obs_sync.lease.owner import Owner, this_process
from tests.obs_sync.wrapped_store import WrappedStore

T = 60.0
EARLIER, LATER = claim_key("2000"), claim_key("3000")  # before and after the key of any claim that a test makes


class Time:
    """A clock that sleeping moves, and what else happens while one sleeps."""

    def __init__(self):
        self.now = 1000.0
        self.happens = []  # (when, what), in order

    def clock(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds
        while self.happens and self.happens[0][0] <= self.now:
            self.happens.pop(0)[1]()


class TimedStore(WrappedStore):
    """Objects are as old as the fake clock says; the store's own is 5000 s ahead, and tells whole seconds."""

    def __init__(self, root, time):
        super().__init__(LocalStore(str(root)))
        self.root, self.time = str(root), time

    def write(self, key, data):
        info = super().write(key, data)
        modified = float(int(self.time.now + 5000.0))
        os.utime(os.path.join(self.root, key), (modified, modified))
        return dataclasses.replace(info, modified=modified)


@pytest.fixture
def fake():
    return Time()


@pytest.fixture
def store(tmp_path, fake):
    return TimedStore(tmp_path / "store", fake)


def lease(store, fake, host="here", pid=1, job=None):
    return Lease(store, Owner(host, pid, job=job), T, "another --run_name", fake.clock, fake.sleep)


def keys(store):
    return [info.key for info in store.inner.list()]


def put_claim(store, key, held, host="there", job=None, writes=1):
    store.write(key, claim_content(Owner(host, 7, "another machine", "1", job), held, "2026-01-31T12:00:00Z", writes))


def test_alone_it_is_had_at_once_and_given_back_without_a_trace(store, fake):
    mine = lease(store, fake)
    mine.acquire()
    mine.check()
    assert fake.now == 1000.0
    assert len(keys(store)) == 1
    mine.release()
    assert keys(store) == []


def test_a_holder_that_renews_keeps_others_out_who_leave_nothing_behind(store, fake):
    first = lease(store, fake, "first", 11)
    first.acquire()
    begun = fake.now
    fake.happens.append((begun + T / 3, first.renew))
    with pytest.raises(LeaseHeld) as refused:
        lease(store, fake, "second").acquire()
    assert fake.now - begun == pytest.approx(T / 3, abs=1.5)  # no longer than the sign of life took
    for fragment in ("process 11 on first", "since 20", "renewed its lease 0 s ago", "another --run_name",
                     store.locate("lease/")):
        assert fragment in str(refused.value)
    assert len(keys(store)) == 1
    first.renew()
    first.check()


def test_a_holder_that_is_silent_is_waited_for_and_succeeded_and_the_log_says_so(store, fake, caplog):
    caplog.set_level(logging.INFO)
    lease(store, fake, "first", 11).acquire()
    fake.now += 20.0
    begun = fake.now
    second = lease(store, fake, "second")
    second.acquire()
    assert T - 20.0 < fake.now - begun < T - 20.0 + 6.0
    second.check()
    assert "in use by process 11 on first, which renewed its lease 20 s ago" in caplog.messages[0]
    assert "Waiting at most 42 s" in caplog.messages[0]
    assert "taking it over" in caplog.messages[-1]


def test_one_that_died_long_ago_is_succeeded_at_once(store, fake):
    lease(store, fake, "first").acquire()
    fake.now += 3600.0
    begun = fake.now
    lease(store, fake, "second").acquire()
    assert fake.now == begun


def test_clocks_of_machines_do_not_count(store, fake):
    first = lease(store, fake, "first")
    first.acquire()

    class Other(Time):
        def sleep(self, seconds):
            super().sleep(seconds)
            fake.sleep(seconds)

    other = Other()
    other.now = 1e9
    fake.happens.append((fake.now + 20.0, first.renew))
    with pytest.raises(LeaseHeld):
        Lease(store, Owner("second", 1), T, clock=other.clock, sleep=other.sleep).acquire()


@pytest.mark.parametrize("modified", [None, 1e12])
def test_a_store_that_tells_no_times_or_wrong_ones_is_watched_for_as_long(store, fake, modified):
    class Timeless(WrappedStore):
        def list(self, prefix=""):
            return (dataclasses.replace(info, modified=modified) for info in self.inner.list(prefix))

    put_claim(store, EARLIER, held=True)
    begun = fake.now
    lease(Timeless(store), fake).acquire()
    assert T < fake.now - begun < T + 6.0


def test_a_straggler_that_wakes_up_writes_nothing_and_is_told(store, fake):
    first, second = lease(store, fake, "first"), lease(store, fake, "second")
    first.acquire()
    first_store = first.guarded()
    first_store.write("run.json", b"first")
    fake.now += T + 3.0
    second.acquire()
    with pytest.raises(StoreUnavailable, match="could not be renewed for 63 s"):
        first_store.write("run.json", b"straggler")
    with pytest.raises(LeaseLost, match="our claim is gone"):
        first.renew()
    for change in (lambda: first_store.write("a", b""), lambda: first_store.delete(["run.json"]),
                   lambda: first_store.upload(__file__, "a")):
        with pytest.raises(LeaseLost):
            change()
    assert first_store.read("run.json") == b"first"
    second.renew()
    second.check()


@pytest.mark.parametrize("before_the_write", [True, False])
def test_a_straggler_that_renews_while_it_is_taken_for_dead_loses_or_keeps_but_never_both_hold(
        store, fake, before_the_write):
    """Its renewal falls between the listing that shows it dead and the .over object, or right after that."""
    first, second = lease(store, fake, "first"), lease(store, fake, "second")
    first.acquire()
    key = first._key
    fake.now += T + 3.0
    outcome = []

    def renew():
        try:
            first.renew()
            outcome.append("confirmed")
        except LeaseLost:
            outcome.append("lost")
            first.release()
            fake.happens.clear()

    def once(operation, found):
        if operation == "write" and found == over(key) and not outcome:
            outcome.append("begun")
            renew()

    setattr(store, "before" if before_the_write else "after", once)
    fake.happens.append((fake.now + T / 3, renew))
    second.acquire()
    assert outcome[1:] == (["confirmed", "lost"] if before_the_write else ["lost"])
    second.renew()
    second.check()
    with pytest.raises(LeaseLost):
        first.check()


def test_a_straggler_whose_write_was_under_way_for_long_is_told_and_harms_nobody(store, fake):
    first, second = lease(store, fake, "first"), lease(store, fake, "second")
    first.acquire()
    key = first._key
    content = store.read(key)
    fake.now += T + 3.0

    def overtaken(operation, found):
        if operation == "write" and found == key:
            store.before = lambda *_: None
            second.acquire()

    store.before = overtaken
    with pytest.raises(LeaseLost, match="was not renewed in time"):
        first.renew()
    assert key in keys(store)
    second.renew()  # and removes what came back
    assert key not in keys(store)
    store.write(key, content)  # a copy of the write that the network had kept
    second.renew()
    second.check()


def test_a_renewal_that_fails_is_made_up_for_and_an_outage_longer_than_the_lease_pauses_writing(store, fake):
    mine = lease(store, fake)
    mine.acquire()

    def outage(operation, key):
        raise StoreUnavailable("away", key)

    store.before = outage
    for _ in range(5):
        fake.now += T / 6
        with pytest.raises(StoreUnavailable):
            mine.renew()
        mine.check()
    fake.now += T / 3
    with pytest.raises(StoreUnavailable, match="could not be renewed"):
        mine.check()
    store.before = lambda *_: None
    mine.renew()
    mine.check()


def test_a_lost_reply_to_a_renewal_is_no_renewal_and_no_loss(store, fake):
    mine = lease(store, fake)
    mine.acquire()

    def lose(operation, key):
        if operation == "write":
            raise StoreUnavailable("no reply", key)

    store.after = lose
    fake.now += 50.0
    with pytest.raises(StoreUnavailable):
        mine.renew()
    fake.now += 11.0
    with pytest.raises(StoreUnavailable):
        mine.check()
    store.after = lambda *_: None
    mine.renew()
    mine.check()


def test_a_lost_reply_to_the_claim_ends_the_attempt_and_leaves_nothing(store, fake):
    def lose(operation, key):
        if operation == "write":
            raise StoreUnavailable("no reply", key)

    store.after = lose
    with pytest.raises(StoreUnavailable):
        lease(store, fake).acquire()
    assert keys(store) == []


def test_a_claim_that_cannot_be_deleted_is_closed_all_the_same(store, fake):
    put_claim(store, EARLIER, held=True)
    fake.now += 3600.0

    def refuse(operation, key):
        if operation == "delete":
            raise StoreUnavailable("no", key)

    store.before = refuse
    mine = lease(store, fake)
    mine.acquire()
    assert {EARLIER, over(EARLIER)} < set(keys(store))
    mine.renew()
    mine.check()
    store.before = lambda *_: None
    mine.renew()
    assert EARLIER not in keys(store)


def test_what_closes_a_claim_goes_after_a_day(store, fake):
    put_claim(store, EARLIER, held=True)
    fake.now += 3600.0
    mine = lease(store, fake)
    mine.acquire()
    mine.release()
    assert keys(store) == [over(EARLIER)]
    fake.now += 25 * 3600.0
    mine = lease(store, fake)
    mine.acquire()
    mine.release()
    assert keys(store) == []


def test_the_later_of_two_contenders_lets_the_earlier_one_have_it(store, fake):
    put_claim(store, EARLIER, held=False)
    mine = lease(store, fake)
    fake.happens.append((fake.now + 1.0, lambda: put_claim(store, EARLIER, held=True, writes=2)))
    with pytest.raises(LeaseHeld):
        mine.acquire()
    assert keys(store) == [EARLIER]


def test_the_earlier_of_two_contenders_waits_for_the_later_one_to_go(store, fake):
    put_claim(store, LATER, held=False)
    fake.happens.append((fake.now + 3.0, lambda: store.delete([LATER])))
    begun = fake.now
    lease(store, fake).acquire()
    assert 3.0 <= fake.now - begun < 5.0


def test_a_contender_that_died_is_waited_for_and_our_claim_lives_on_meanwhile(store, fake):
    put_claim(store, LATER, held=False)
    mine = lease(store, fake)
    ages = []
    fake.happens.extend((fake.now + wait, lambda: ages.append(
        fake.now + 5000.0 - store.head(mine._key).modified)) for wait in range(1, 60))
    mine.acquire()
    mine.check()
    assert max(ages) <= T / 3 + 3.0
    assert [key for key in keys(store) if key.endswith(".json")] == [mine._key]


def test_two_that_did_not_see_each_other_notice_and_one_goes_on(store, fake):
    first, second = lease(store, fake, "first"), lease(store, fake, "second")
    first.acquire()

    class Behind(WrappedStore):
        def list(self, prefix=""):
            return (info for info in self.inner.list(prefix) if info.key != first._key)

    second._claims._store = Behind(store)
    second.acquire()
    second._claims._store = store
    if second._key < first._key:
        first, second = second, first
    first.renew()
    with pytest.raises(LeaseLost, match="another process has it"):
        second.renew()
    first.check()


def test_a_listing_that_is_behind_our_own_write_is_not_believed(store, fake):
    class Behind(WrappedStore):
        listings = 0

        def list(self, prefix=""):
            self.listings += 1
            return iter([]) if self.listings < 4 else self.inner.list(prefix)

    put_claim(store, EARLIER, held=True)
    fake.happens.append((fake.now + 10.0, lambda: put_claim(store, EARLIER, held=True, writes=2)))
    with pytest.raises(LeaseHeld):
        lease(Behind(store), fake).acquire()
    behind = Behind(store)
    behind.listings = -10 ** 6
    with pytest.raises(StoreUnavailable, match="does not show an object that was just written"):
        lease(behind, fake).acquire()


def test_a_contender_that_slept_and_was_taken_for_dead_claims_anew(store, fake):
    mine = lease(store, fake)

    def close(operation, key):
        if operation == "list":
            store.before = lambda *_: None
            store.write(over(mine._key), b"")

    store.before = close
    mine.acquire()
    mine.check()
    assert mine._key in keys(store) and over(mine._key) not in keys(store)


def test_a_damaged_claim_is_respected_until_it_is_old(store, fake):
    store.write(EARLIER, b"not json")
    begun = fake.now
    lease(store, fake).acquire()
    assert T < fake.now - begun < T + 6.0


def test_a_stop_while_waiting_ends_it_and_leaves_nothing(store, fake):
    put_claim(store, EARLIER, held=True)

    def stop():
        raise KeyboardInterrupt

    fake.happens.append((fake.now + 3.0, stop))
    with pytest.raises(KeyboardInterrupt):
        lease(store, fake).acquire()
    assert keys(store) == [EARLIER]


def test_an_earlier_start_of_the_same_job_elsewhere_is_not_waited_for(store, fake):
    put_claim(store, EARLIER, held=True, job="job-1")
    begun = fake.now
    mine = Lease(store, dataclasses.replace(this_process("job-1")), T, clock=fake.clock, sleep=fake.sleep)
    mine.acquire()
    assert fake.now == begun
    mine.renew()
    mine.check()
