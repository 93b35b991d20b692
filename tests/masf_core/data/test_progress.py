from __future__ import annotations

from masf_core.data.progress import Progress


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def test_the_start_and_the_end_are_always_told_and_between_five_times_a_second():
    calls, clock = [], Clock()
    progress = Progress(lambda done, total: calls.append((done, total)), 100, clock=clock)
    for done in range(100):
        progress.at(done)
        clock.now += 0.0625
    progress.finish()
    assert calls[0] == (0, 100) and calls[-1] == (100, 100)
    assert calls[1:4] == [(4, 100), (8, 100), (12, 100)]
    assert len(calls) == 2 + 24


def test_without_a_listener_nothing_happens():
    progress = Progress(None, 3)
    progress.at(1)
    progress.finish()
