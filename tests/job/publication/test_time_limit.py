"""What does not end is left behind."""
from __future__ import annotations

import threading

import pytest

from job.publication.time_limit import within
from obs_sync import StoreUnavailable


def test_what_ends_in_time_returns_or_raises_as_ever():
    assert within(20, "this", lambda: 3) == 3
    with pytest.raises(KeyError):
        within(20, "this", lambda: {}["x"])


@pytest.mark.parametrize("seconds", [0.05, -1.0])
def test_what_hangs_is_waited_for_no_longer(seconds):
    blocked = threading.Event()
    with pytest.raises(StoreUnavailable, match="this did not end within"):
        within(seconds, "this", lambda: blocked.wait(20))
    blocked.set()
