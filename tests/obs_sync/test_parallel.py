from __future__ import annotations

import threading
import time

import pytest

from obs_sync import parallel
from obs_sync.parallel import Progress, in_turn, run_parallel


def threads_of_ours():
    return [thread for thread in threading.enumerate() if thread.name.startswith("obs_sync-")]


def test_results_are_in_the_order_of_the_items():
    def work(item):
        time.sleep(0.01 * (3 - item % 4))
        return item * item

    assert run_parallel(work, range(20), 4, Progress(0, None)) == [item * item for item in range(20)]
    assert run_parallel(work, [], 4, Progress(0, None)) == []
    assert threads_of_ours() == []


def test_progress_is_told_at_both_ends_and_from_the_callers_thread():
    seen, tellers = [], set()

    def on_progress(done, total):
        seen.append((done, total))
        tellers.add(threading.current_thread())

    progress = Progress(30, on_progress)
    run_parallel(lambda _: (time.sleep(0.1), progress.add(10)), range(3), 1, progress)
    assert seen[0] == (0, 30) and seen[-1] == (30, 30) and len(seen) >= 3
    assert tellers == {threading.current_thread()}


def test_progress_stays_within_its_bounds():
    seen = []
    progress = Progress(10, lambda done, total: seen.append(done))
    progress.add(-5)
    progress.report()
    progress.add(50)
    progress.report()
    assert seen == [0, 10]


def test_without_work_progress_is_told_once():
    seen = []
    run_parallel(print, [], 4, Progress(0, lambda done, total: seen.append((done, total))))
    assert seen == [(0, 0)]


def test_a_workers_exception_stops_the_others():
    progress, done = Progress(0, None), []

    def work(item):
        if item == 0:
            raise KeyError("broken")
        while len(done) < 1000:
            time.sleep(0.001)
            progress.add(1)
        done.append(item)

    with pytest.raises(KeyError):
        run_parallel(work, range(50), 4, progress)
    assert done == [] and threads_of_ours() == []


def test_an_exception_of_on_progress_stops_the_work():
    class Stop(Exception):
        pass

    def on_progress(done, total):
        if done:
            raise Stop()

    progress = Progress(10 ** 9, on_progress)

    def work(_):
        while True:
            time.sleep(0.001)
            progress.add(1)

    started = time.monotonic()
    with pytest.raises(Stop):
        run_parallel(work, range(8), 4, progress)
    assert threads_of_ours() == [] and time.monotonic() - started < 4


def test_no_more_threads_than_asked_for():
    running, most, lock = set(), [], threading.Lock()

    def work(_):
        with lock:
            running.add(threading.current_thread())
            most.append(len(running))
        time.sleep(0.01)
        with lock:
            running.discard(threading.current_thread())

    run_parallel(work, range(20), 3, Progress(0, None))
    assert max(most) <= 3


def test_one_thread_at_a_time_has_its_turn():
    inside, most = [], []

    def work(item):
        with in_turn():
            inside.append(item)
            most.append(len(inside))
            time.sleep(0.002)
            inside.remove(item)

    run_parallel(work, range(40), 8, Progress(0, None))
    assert max(most) == 1 and len(most) == 40


def test_nobody_waits_long_for_a_turn_and_it_ends_with_an_exception(monkeypatch):
    monkeypatch.setattr("obs_sync.parallel._PATIENCE", 0.05)
    holds, ends = threading.Event(), threading.Event()

    def hold():
        with in_turn():
            holds.set()
            ends.wait(10)

    holder = threading.Thread(target=hold)
    holder.start()
    assert holds.wait(10)
    with in_turn():
        assert not ends.is_set()
    ends.set()
    holder.join(10)
    with pytest.raises(KeyError), in_turn():
        raise KeyError
    with in_turn():
        assert parallel._turn.locked()
    assert not parallel._turn.locked()
