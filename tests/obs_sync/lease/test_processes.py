"""The lease among real processes and threads: one of many gets it, a killed one has it no more, a thread keeps it."""
from __future__ import annotations

import dataclasses
import inspect
import json
import os
import subprocess
import sys
import threading
import time

import pytest

from obs_sync import Lease, LeaseHeld, LeaseLost, LocalStore, this_process
from obs_sync.lease.guarded_store import GuardedStore
from obs_sync.lease.owner import Owner, parse_owner
from tests.obs_sync.wrapped_store import WrappedStore

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))


def test_a_process_of_this_machine_that_was_killed_is_not_waited_for(tmp_path):
    program = ("import os, signal, sys; from obs_sync import Lease, LocalStore, this_process; "
               "Lease(LocalStore(sys.argv[1]), this_process()).acquire(); "
               "os.kill(os.getpid(), signal.SIGKILL)")
    child = subprocess.Popen([sys.executable, "-c", program, str(tmp_path)])
    while not os.listdir(str(tmp_path)):
        time.sleep(0.01)
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # killed, and not yet asked for: still in the list
    store = LocalStore(str(tmp_path))
    (claim,) = [info.key for info in store.list()]
    assert json.loads(store.read(claim).decode())["owner"]["pid"] == child.pid
    started = time.monotonic()
    with Lease(store, this_process()):
        assert time.monotonic() - started < 5.0
    assert list(store.list()) == []
    assert child.wait() < 0


def test_a_living_process_of_this_machine_has_not_ended_and_no_job_restarts_it():
    me = this_process("job-1")
    assert not me.has_ended()
    assert not me.is_restarted_as(me)
    assert dataclasses.replace(me, started="1").has_ended()  # the pid is used again
    assert not dataclasses.replace(me, machine="another", pid=10 ** 8).has_ended()
    assert parse_owner(json.loads(json.dumps(me.to_json()))) == me
    with pytest.raises(ValueError):
        parse_owner({"host": "x"})


def test_in_the_background_it_is_renewed_and_released(tmp_path):
    store = WrappedStore(LocalStore(str(tmp_path)))
    with Lease(store, this_process(), seconds=0.3) as mine:
        deadline = time.monotonic() + 20.0
        while len(store.calls_of("write")) < 6:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        mine.check()
    assert list(store.list()) == []


def test_in_the_background_a_loss_is_noticed_and_logged(tmp_path, caplog):
    store = LocalStore(str(tmp_path))
    with Lease(store, this_process(), seconds=0.3) as mine:
        store.delete([mine._key])
        mine._thread.join(20.0)
        with pytest.raises(LeaseLost):
            mine.check()
    assert "the lease is lost" in caplog.text


def test_releasing_takes_no_longer_than_it_may(tmp_path):
    store, blocked = WrappedStore(LocalStore(str(tmp_path))), threading.Event()
    mine = Lease(store, this_process())
    mine.__enter__()
    store.before = lambda operation, key: blocked.wait(20)
    started = time.monotonic()
    mine.release(seconds=0.1)
    assert time.monotonic() - started < 5.0
    blocked.set()


@pytest.mark.parametrize("kind", ["local", "obs"])
def test_of_processes_that_want_it_at_once_exactly_one_gets_it_each_time(request, tmp_path, kind):
    url, environ = str(tmp_path / "store"), None
    if kind == "obs":
        url, environ = "obs://bucket/run/", request.getfixturevalue("obs").environment()
    contenders = [subprocess.Popen(
        [sys.executable, "-m", "tests.obs_sync.lease.contender", url], env=environ, cwd=ROOT, stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, universal_newlines=True, bufsize=1) for _ in range(4)]

    def say(word):
        for contender in contenders:
            contender.stdin.write(word + "\n")

    def heard():
        return sorted(contender.stdout.readline().strip() for contender in contenders)

    assert heard() == ["ready"] * 4
    for _ in range(3):
        say("want")
        assert heard() == ["held"] + ["refused"] * 3
        say("leave")
        assert heard() == ["held still"] + ["left"] * 3
    for contender in contenders:
        contender.communicate(timeout=30)
        assert contender.returncode == 0


@pytest.mark.parametrize("round_", range(10))
def test_of_threads_that_want_it_at_once_exactly_one_gets_it(tmp_path, round_):
    store = LocalStore(str(tmp_path))
    start, found, done = threading.Barrier(8), [], threading.Event()

    def want(number):
        start.wait(30)
        try:
            with Lease(store, Owner(f"host-{number}", 1), seconds=3.0) as mine:
                found.append("held")
                done.wait(30)
                mine.check()
        except LeaseHeld:
            found.append("refused")

    threads = [threading.Thread(target=want, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + 30
    while len(found) < 8 and time.monotonic() < deadline:
        time.sleep(0.01)
    done.set()
    for thread in threads:
        thread.join(30)
    assert sorted(found) == ["held"] + ["refused"] * 7


def test_every_store_can_have_one(local_store, esdk_store, moxing_store):
    for inner in (local_store, esdk_store, moxing_store):
        with Lease(inner, this_process()) as mine:
            mine.renew()
            mine.guarded().write("run.json", b"x")
        assert [info.key for info in inner.list()] == ["run.json"]


def test_a_guarded_store_guards_what_changes_it_and_takes_it_as_any_store_does(local_store):
    asked = []
    guarded = GuardedStore(local_store, lambda: asked.append(1))
    for name in ("write", "upload", "delete"):
        assert inspect.signature(getattr(guarded, name)) == inspect.signature(getattr(local_store, name))
    guarded.write("a", b"1")
    guarded.upload(__file__, "b")
    guarded.delete(["a"])
    assert len(asked) == 3
    assert not guarded.exists("a") and guarded.read_range(guarded.head("b"), 0, 3) == b'"""'
    assert guarded.locate("b") == local_store.locate("b")
    assert len(asked) == 3
