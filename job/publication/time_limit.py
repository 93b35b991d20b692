"""Calls that are abandoned after some seconds: no client of a store promises that its calls end."""
from __future__ import annotations

import queue
import threading
from typing import Callable, TypeVar

from obs_sync import StoreUnavailable

T = TypeVar("T")


def within(seconds: float, what: str, work: Callable[[], T]) -> T:
    """work(), in a thread of its own, which is abandoned when the time is over; returns or raises what it does.

    Args:
        seconds: to wait. what: is done, for the message.

    Raises:
        StoreUnavailable: the time is over.
    """
    outcomes: queue.Queue = queue.Queue()

    def run() -> None:
        try:
            outcomes.put((work(), None))
        except BaseException as error:  # the waiting thread's to handle, all of it
            outcomes.put((None, error))

    threading.Thread(target=run, name=what, daemon=True).start()
    try:
        result, error = outcomes.get(timeout=max(0.0, seconds))
    except queue.Empty:
        raise StoreUnavailable(f"{what} did not end within {seconds:.0f} s") from None
    if error is not None:
        raise error
    return result
