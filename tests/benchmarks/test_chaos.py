"""Broken connections and killed processes: nothing is ever wrong, and the attacks would notice if it were."""
from __future__ import annotations

import contextlib
import hashlib
import json
import random
import socket
import sys
import threading
import time

import pytest

from benchmarks.chaos import process
from benchmarks.chaos.process import insist
from benchmarks.chaos.proxy import REPLY, REQUEST, WEIGHTS, ChaosProxy, Mishap, draw_mishap
from benchmarks.chaos.tally import Tally
from benchmarks.chaos.training import BUCKET, OUTPUT, check_checkpoints, prepare, training
from benchmarks.chaos.transfers import transfers
from obs_sync.mock import mock_obs

DATA = bytes(range(256)) * 4


# --- the network

class Echo:
    """A server that sends back what it gets, to its end."""

    def __init__(self):
        self.received = b""
        self.ended = threading.Event()
        self._listener = socket.socket()
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen(1)
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self):
        with contextlib.suppress(OSError), self._listener, self._listener.accept()[0] as connection:
            while True:
                data = connection.recv(65536)
                if not data:
                    break
                self.received += data
                connection.sendall(data)
        self.ended.set()


def exchange(mishap):
    """What a client gets back of DATA, how its connection ends, and what the server has got."""
    echo = Echo()
    received, ending = b"", "closed"
    with ChaosProxy(echo.port, "1", lambda rng: mishap) as proxy:
        try:
            with socket.create_connection(("127.0.0.1", proxy.port), timeout=10) as client:
                client.sendall(DATA)
                while len(received) < len(DATA):
                    data = client.recv(65536)
                    if not data:
                        break
                    received += data
                else:
                    ending = "whole"
        except (BrokenPipeError, ConnectionResetError):  # the reset may come while it connects, sends or receives
            ending = "reset"
        if mishap is None or mishap.kind != "refuse":
            assert echo.ended.wait(10)
        happened = dict(proxy.mishaps)
    assert happened == ({} if mishap is None else {mishap.kind: 1})
    return received, ending, echo.received


@pytest.mark.parametrize("mishap, received, ending, arrived", [
    (None, DATA, "whole", DATA),
    (Mishap("reset", REPLY, 100, 0.1), DATA[:100], "reset", DATA),
    (Mishap("reset", REQUEST, 100, 0.1), None, "reset", DATA[:100]),
    (Mishap("close", REPLY, 100, 0.1), DATA[:100], "closed", DATA),
    (Mishap("close", REQUEST, 100, 0.1), None, "closed", DATA[:100]),
    (Mishap("half", REPLY, 100, 0.1), DATA[:100], "closed", DATA),
    (Mishap("half", REQUEST, 100, 0.1), None, "closed", DATA[:100]),
    (Mishap("swallow", REPLY, 0, 0.1), b"", "reset", DATA),
    (Mishap("drip", REPLY, 100, 0.1), DATA, "whole", DATA),
    (Mishap("stall", REQUEST, 100, 0.1), DATA, "whole", DATA),
    (Mishap("refuse", REQUEST, 0, 0.1), b"", "reset", b""),
], ids=lambda value: f"{value.kind} {value.direction}" if isinstance(value, Mishap) else "")
def test_a_connection_breaks_where_and_how_it_should(mishap, received, ending, arrived):
    found = exchange(mishap)
    assert found[2] == arrived
    assert found[1] == ending
    if received is None:  # of what the server sent back before, some may be lost with the connection
        assert DATA.startswith(found[0]) and len(found[0]) <= len(arrived)
    else:
        assert found[0] == received


@pytest.mark.parametrize("kind", ["stall", "drip"])
def test_a_delay_lasts_as_long_as_it_should(kind):
    started = time.monotonic()
    exchange(Mishap(kind, REPLY, 10, 0.3))
    assert 0.3 <= time.monotonic() - started < 5.0


def test_a_seed_draws_the_same_mishaps_again_and_every_kind():
    drawn, again, other = ([draw_mishap(random.Random(seed)) for seed in seeds]
                           for seeds in (range(1000), range(1000), range(1000, 2000)))
    assert drawn == again != other
    assert {mishap.kind for mishap in drawn if mishap is not None} == set(WEIGHTS)
    assert 300 < sum(mishap is not None for mishap in drawn) < 500


# --- the attacks

@pytest.mark.slow
def test_broken_connections_and_kills_leave_no_transfer_wrong(tmp_path):
    tally = Tally()
    transfers(4, str(tmp_path), tally)
    assert tally.wrong == []
    assert tally.kills + tally.stops >= 2 and sum(tally.mishaps.values()) > 10 and tally.compared > 10e6


@pytest.mark.slow
def test_broken_connections_and_kills_leave_no_training_wrong(tmp_path):
    tally = Tally()
    for name in ("undisturbed", "attacked"):
        (tmp_path / name).mkdir()
    training(1, str(tmp_path / "attacked"), tally, prepare(str(tmp_path / "undisturbed"), tally), most_kills=1)
    assert tally.wrong == []
    assert tally.kills + tally.stops == 1 and sum(tally.mishaps.values()) > 10


def test_transfers_that_do_nothing_are_found_out(tmp_path):
    tally = Tally()
    transfers(1, str(tmp_path), tally, (sys.executable, "-c", ""))
    assert len(tally.wrong) > 50 and "no file, where a file of" in tally.wrong[0]


@pytest.mark.parametrize("program, what", [
    ("raise SystemExit(1)", "exit code 1"), ("raise SystemExit(4)", "without an error message"),
    ("print('12:00:00 error: no storage'); raise SystemExit(4)", "no success in 3 attempts"),
    ("print('Traceback (most recent call last)')", "a stack trace"),
    ("import os; os.kill(os.getpid(), 9)", "exit code -9")])
def test_a_process_that_ends_wrongly_is_found_out(monkeypatch, program, what):
    monkeypatch.setattr(process, "MOST_ATTEMPTS", 3)
    tally = Tally()
    with ChaosProxy(1, "1") as proxy:
        insist(["sync", "push"], {}, proxy, tally, [], program=(sys.executable, "-S", "-c", program))
    assert what in tally.wrong[0]


def test_a_checkpoint_that_is_not_whole_is_found_out():
    data, tally = b"network", Tally()
    marker = {"name": "c", "files": [{"name": "network.npz", "size": 7, "sha256": hashlib.sha256(data).hexdigest()}]}
    with mock_obs(buckets=[BUCKET]) as obs:
        obs.put(BUCKET, OUTPUT + "checkpoints/c.json", json.dumps(marker).encode("utf-8"))
        for content, wrong in ((None, 1), (b"network", 1), (b"Network", 2)):
            if content is not None:
                obs.put(BUCKET, OUTPUT + "checkpoints/c/network.npz", content)
            check_checkpoints(obs, "here", tally)
            assert len(tally.wrong) == wrong
