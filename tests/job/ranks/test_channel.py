"""The connection between the ranks of a job: gathering values, and learning that a rank is lost."""
from __future__ import annotations

import socket
import threading

import pytest

from job.errors import ConfigError, PeerFailed
from job.exits import RANK_LOST
from job.ranks import channel as rank_channel
from job.ranks.channel import Channel
from job.ranks.launch import free_port


class Members:
    """Channels of several ranks in threads of one process; ``ended`` are the codes that they would have exited with."""

    def __init__(self, size, sizes=None):
        self.ended = []
        address = ("127.0.0.1", free_port())
        self.channels = [Channel(rank, (sizes or {}).get(rank, size), address, exit=self.ended.append)
                         for rank in range(size)]
        self.results = [None] * size

    def do(self, *actions):
        """Each rank's action in a thread of its own; what it returns or raises is in ``results``."""
        def run(rank, action):
            try:
                self.results[rank] = action(self.channels[rank])
            except BaseException as error:
                self.results[rank] = error

        threads = [threading.Thread(target=run, args=item) for item in enumerate(actions)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20.0)
            assert not thread.is_alive()
        return self.results


def joined(size, **given):
    members = Members(size, **given)
    members.do(*[lambda channel: channel.__enter__()] * size)
    return members


def test_values_come_in_the_order_of_the_ranks_every_time():
    members = joined(3)
    for step in range(3):
        values = members.do(*[lambda channel, step=step: channel.gather([channel.rank, step, (1.5,)])] * 3)
        assert values == [[[rank, step, [1.5]] for rank in range(3)]] * 3


def test_ranks_of_different_sizes_are_refused():
    found = Members(2, sizes={1: 3}).do(*[lambda channel: channel.__enter__()] * 2)
    assert isinstance(found[0], ConfigError) and isinstance(found[1], ConfigError)
    assert "rank 1 has RANK_SIZE=3, but rank 0 has RANK_SIZE=2" in str(found[0])


def test_one_that_does_not_come_is_named(monkeypatch):
    monkeypatch.setattr(rank_channel, "JOIN", 0.5)
    with pytest.raises(ConfigError, match="RANK_SIZE=2, but rank 1 did not join"):
        Channel(0, 2, ("127.0.0.1", free_port())).__enter__()
    with pytest.raises(ConfigError, match="rank 1 could not connect to rank 0 at 127.0.0.1"):
        Channel(1, 2, ("127.0.0.1", free_port())).__enter__()


def test_a_goodbye_with_an_error_ends_the_others_with_the_same_code():
    members = joined(3)
    found = members.do(lambda channel: channel.gather(0), lambda channel: channel.leave(4, "the bucket is gone"),
                       lambda channel: channel.gather(0))
    for rank in (0, 2):
        assert isinstance(found[rank], PeerFailed) and found[rank].code == 4
        assert "rank 1 has ended: the bucket is gone" in str(found[rank])


def test_one_lost_without_a_word_ends_those_who_wait_for_a_collective(monkeypatch):
    monkeypatch.setattr(rank_channel, "PATIENCE", 0.2)
    members = joined(3)
    said = threading.Event()
    members.channels[0].last_words = lambda error: said.set()
    members.channels[1]._peers[0]._connection.shutdown(socket.SHUT_RDWR)  # as the system does for a killed process
    assert said.wait(10.0)
    deadline = threading.Event()
    for _ in range(100):
        if len(members.ended) >= 2:
            break
        deadline.wait(0.1)
    assert set(members.ended) == {RANK_LOST}


def test_a_silent_one_is_given_up(monkeypatch):
    monkeypatch.setattr(rank_channel, "SILENCE", 0.5)
    monkeypatch.setattr(rank_channel, "PATIENCE", 60.0)
    members = joined(2)  # signs of life come every 5 s, which is too seldom here
    with pytest.raises(PeerFailed, match="rank 1 was lost: no sign of life"):
        members.channels[0].gather(0)


def test_after_disbanding_nothing_of_the_others_matters(monkeypatch):
    monkeypatch.setattr(rank_channel, "PATIENCE", 0.1)
    members = joined(2)
    members.channels[0].disband()
    members.channels[1].leave(5, "diverged")
    threading.Event().wait(0.5)
    assert members.ended == []
