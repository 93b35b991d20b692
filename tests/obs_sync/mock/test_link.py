"""The slow network of the mocked OBS."""
from __future__ import annotations

import io
import os
import time

import pytest

from obs_sync.mock import mock_obs
from obs_sync.mock.__main__ import main
from obs_sync.mock.http.link import Link
from tests.obs_sync.mock.support import BUCKET, make_client

PIECE = 1000  # bytes


class FakeTime:
    """A clock that only sleeping moves."""

    def __init__(self):
        self.now = 100.0
        self.slept = []

    def clock(self):
        return self.now

    def sleep(self, seconds):
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def fake():
    return FakeTime()


@pytest.fixture
def link(fake):
    return Link(10000.0, fake.clock, fake.sleep)


def test_bytes_take_the_time_that_the_rate_says(link, fake):
    for _ in range(20):
        link.carry(PIECE)
    assert fake.now - 100.0 == pytest.approx(20 * PIECE / 10000.0)


def test_who_asks_while_others_wait_comes_after_them(link, fake):
    waits = []
    link._sleep = waits.append  # nobody's waiting moves the clock: all ask at once
    for _ in range(3):
        link.carry(PIECE)
    assert waits == pytest.approx([0.1, 0.2, 0.3])


def test_a_pause_is_not_made_up_for(link, fake):
    link.carry(PIECE)
    fake.now += 60.0
    started = fake.now
    for _ in range(10):
        link.carry(PIECE)
    assert 0.9 <= fake.now - started <= 1.0


def test_sleeps_that_end_late_do_not_lower_the_rate(fake):
    def oversleep(seconds):
        fake.now += seconds + 0.004

    link = Link(10000.0, fake.clock, oversleep)
    for _ in range(100):
        link.carry(PIECE // 10)
    assert fake.now - 100.0 == pytest.approx(1.0, abs=0.02)


@pytest.mark.parametrize("rate", [0, -1.0, float("nan")])
def test_no_rate_is_refused(rate):
    with pytest.raises(ValueError, match="expected more than 0"):
        Link(rate)


def test_a_slow_link_passes_small_pieces_so_that_connections_share_it():
    assert Link(1e9).piece == 64 * 1024
    assert Link(20000.0).piece == 1000
    assert Link(0.5).piece == 1


class FakeSocket:
    def __init__(self, incoming=b""):
        self.incoming = incoming
        self.sent = []

    def makefile(self, mode, buffering):
        return io.BytesIO(self.incoming)

    def sendall(self, data):
        self.sent.append(bytes(data))

    def sendfile(self, file, offset, count):
        file.seek(offset)
        self.sent.append(file.read(count))
        return len(self.sent[-1])


def test_what_is_received_and_what_is_sent_share_the_link_and_arrive_whole(link, fake):
    data = os.urandom(5000)
    socket = FakeSocket(data)
    connection = link.connection(socket)
    with connection.makefile("rb", 8192) as stream:
        assert stream.read() == data
    connection.sendall(data)
    assert connection.sendfile(io.BytesIO(b"before" + data), 6, 5000) == 5000
    assert b"".join(socket.sent) == data + data
    assert max(map(len, socket.sent)) == link.piece == 500
    assert fake.now - 100.0 == pytest.approx(1.5)


def test_a_file_that_is_shorter_than_said_ends_the_sending(link):
    assert link.connection(FakeSocket()).sendfile(io.BytesIO(b"x" * 700), 0, 2000) == 700


def test_a_real_transfer_keeps_to_the_rate():
    data = os.urandom(400000)
    with mock_obs(buckets=[BUCKET], link_bytes_per_second=2e6) as mock:
        client = make_client(mock)
        started = time.perf_counter()
        assert client.putContent(BUCKET, "key", data.hex()).status < 300  # 0.8 MB
        assert client.getObject(BUCKET, "key", loadStreamInMemory=True).body.buffer == data.hex().encode()
        seconds = time.perf_counter() - started
        client.close()
    assert 0.6 < seconds < 8.0  # 0.8 s by the rate; the socket's buffers may hide a little, a busy machine add


def test_a_mock_ends_at_once_in_the_middle_of_a_transfer():
    with mock_obs(buckets=[BUCKET], link_bytes_per_second=1000.0) as mock:
        mock.put(BUCKET, "key", bytes(10 ** 6))
        response = make_client(mock).getObject(BUCKET, "key").body.response
        response.read(10)
        started = time.perf_counter()
    assert time.perf_counter() - started < 5.0


@pytest.mark.parametrize("rate", ["0", "fast", "inf", "nan"])
def test_the_command_refuses_what_is_no_rate(rate, capsys):
    with pytest.raises(SystemExit):
        main(["serve", "--link-mb-per-second", rate])
    assert "is not a rate" in capsys.readouterr().err
