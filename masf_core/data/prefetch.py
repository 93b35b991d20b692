"""Drawing episodes ahead of their use, in the background."""

from __future__ import annotations

import queue
import threading
from typing import Iterator, Optional

from masf_core.data.episodes import Episode, EpisodeSampler


class Prefetcher:
    """Iterates over the episodes of the steps first_step ≤ step < last_step, up to `depth` of them drawn ahead.

        with Prefetcher(sampler, 0, 300) as episodes:
            for episode in episodes: ...

    There are depth + 1 sets of buffers, which are used in turn. An episode's arrays are valid until the next episode is
    asked for, and are then overwritten: copy what must be kept longer.

    An exception of the sampler is raised by the iteration, at the step where it happened. Leaving the context ends the
    thread as soon as its current draw is finished, and ends the iteration. Only one thread may iterate.
    """

    def __init__(self, sampler: EpisodeSampler, first_step: int, last_step: int, depth: int = 2) -> None:
        if depth < 1:
            raise ValueError(f"depth must be 1 or more, got {depth}")
        self._sampler = sampler
        self._steps = range(first_step, last_step)
        self._depth = depth
        self._free: queue.Queue = queue.Queue()
        self._ready: queue.Queue = queue.Queue()
        self._in_use = None  # the buffers of the episode that the consumer has
        self._thread: Optional[threading.Thread] = None
        self._finished = False

    def __enter__(self) -> Prefetcher:
        if self._thread is not None:
            raise RuntimeError("a Prefetcher serves one 'with' statement")
        for _ in range(min(self._depth + 1, len(self._steps))):
            self._free.put(self._sampler.buffers())
        # A daemon, so that it does not keep a process alive that ends without leaving the context.
        self._thread = threading.Thread(target=self._draw_ahead, name="prefetch", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *exc_info) -> None:
        self._finished = True
        self._free.put(None)
        self._thread.join()
        self._in_use = None

    def __iter__(self) -> Iterator[Episode]:
        return self

    def __next__(self) -> Episode:
        if self._thread is None:
            raise RuntimeError("use the Prefetcher in a 'with' statement")
        if self._in_use is not None:
            self._free.put(self._in_use)
            self._in_use = None
        if self._finished:
            raise StopIteration
        episode, buffers, problem = self._ready.get()
        if episode is None:
            self._finished = True
            if problem is not None:
                raise problem
            raise StopIteration
        self._in_use = buffers
        return episode

    def _draw_ahead(self) -> None:
        problem = None
        try:
            for step in self._steps:
                buffers = self._free.get()
                if buffers is None or self._finished:
                    return
                self._ready.put((self._sampler.draw(step, buffers), buffers, None))
        except BaseException as raised:  # the consumer raises it
            problem = raised
        finally:
            self._ready.put((None, None, problem))
