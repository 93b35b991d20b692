from __future__ import annotations

import threading

import numpy as np
import pytest

from masf_core.data.episodes import Buffers, Episode
from masf_core.data.prefetch import Prefetcher
from tests.masf_core.data.test_episodes import sampler


class CountingSampler:
    """Draws episodes that say their step; can fail at one, or wait for leave at each."""

    def __init__(self, fail_at=None, gate=None):
        self.fail_at, self.gate = fail_at, gate
        self.drawn, self.made = [], []
        self.drawing = threading.Event()

    def buffers(self):
        self.made.append(Buffers(np.zeros(1), np.zeros(1)))
        return self.made[-1]

    def draw(self, step, out):
        self.drawing.set()
        if self.gate is not None:
            assert self.gate.acquire(timeout=30)
        if step == self.fail_at:
            raise ZeroDivisionError(f"step {step}")
        self.drawn.append(step)
        out.images[:] = step
        return Episode(out.images, out.labels, ("a", "b"), step)


def no_thread_left():
    return not [thread for thread in threading.enumerate() if thread.name == "prefetch"]


def test_steps_come_in_order_from_the_first_to_before_the_last():
    with Prefetcher(CountingSampler(), 3, 20) as episodes:
        assert [(episode.step, episode.images[0]) for episode in episodes] == [(n, n) for n in range(3, 20)]
    assert no_thread_left()


def test_episodes_are_those_that_the_sampler_draws():
    source = sampler(flip=0.5)
    with Prefetcher(source, 5, 9, depth=1) as episodes:
        for episode in episodes:
            expected = sampler(flip=0.5).draw(episode.step)
            np.testing.assert_array_equal(episode.images, expected.images)
            np.testing.assert_array_equal(episode.labels, expected.labels)
            assert episode.order == expected.order


@pytest.mark.parametrize("depth", [1, 2, 5])
def test_depth_is_how_far_it_draws_ahead_and_memory_goes_round(depth):
    source = CountingSampler()
    with Prefetcher(source, 0, 50, depth=depth) as episodes:
        for episode in episodes:
            assert episode.images[0] == episode.step  # not written over while it is ours
            assert len(source.drawn) <= episode.step + 1 + depth
    assert len(source.made) == depth + 1


def test_it_draws_while_the_consumer_is_busy():
    source = CountingSampler()
    with Prefetcher(source, 0, 9, depth=2) as episodes:
        next(episodes)
        for _ in range(1000):
            if len(source.drawn) == 3:
                break
            threading.Event().wait(0.01)
    assert source.drawn == [0, 1, 2]


def test_what_the_sampler_raises_is_raised_at_its_step():
    with Prefetcher(CountingSampler(fail_at=2), 0, 9) as episodes:
        assert [next(episodes).step, next(episodes).step] == [0, 1]
        with pytest.raises(ZeroDivisionError, match="step 2"):
            next(episodes)
        assert list(episodes) == []
    assert no_thread_left()


def test_leaving_early_ends_the_thread_after_the_draw_it_is_at():
    gate = threading.Semaphore(0)
    source = CountingSampler(gate=gate)
    with Prefetcher(source, 0, 1000000):
        assert source.drawing.wait(30)
        gate.release()
        gate.release()
        gate.release()
    assert no_thread_left() and len(source.drawn) <= 3


def test_an_exception_in_the_consumer_goes_through():
    with pytest.raises(KeyboardInterrupt):
        with Prefetcher(CountingSampler(), 0, 1000000) as episodes:
            next(episodes)
            raise KeyboardInterrupt
    assert no_thread_left()


def test_iteration_is_over_once_the_context_is_left():
    with Prefetcher(CountingSampler(), 0, 9) as episodes:
        next(episodes)
    assert list(episodes) == []


def test_no_steps_are_no_episodes():
    with Prefetcher(CountingSampler(), 4, 4) as episodes:
        assert list(episodes) == []


def test_it_is_used_in_one_with_statement():
    episodes = Prefetcher(CountingSampler(), 0, 3)
    with pytest.raises(RuntimeError, match="with"):
        next(episodes)
    with episodes:
        with pytest.raises(RuntimeError, match="one"):
            episodes.__enter__()


def test_depth_is_at_least_one():
    with pytest.raises(ValueError, match="depth"):
        Prefetcher(CountingSampler(), 0, 3, depth=0)
