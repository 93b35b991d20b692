"""Log lines about compilation, which takes minutes on a card and prints nothing itself.

A card compiles each graph of a run in its first run. Graphs that do not change variables are compiled before the first
iteration by a run whose result is dropped. The training graph is compiled in the first iteration: to run it before
would change the variables.
"""
from __future__ import annotations

import contextlib
import logging
import time
from typing import TYPE_CHECKING, Callable, Iterator, List, Optional

from job.config.settings import Config
from job.console import Console
from job.ranks.group import WAIT_FOR_INPUTS, Alone

if TYPE_CHECKING:
    from masf_core.devices.device import Device  # both bring TensorFlow
    from masf_core.model import Model

log = logging.getLogger(__name__)


class Compilation:
    """What ``Model`` calls around the first run of each graph: logs a line before it, and its seconds after it.

    Args:
        graphs: names of all graphs that this rank compiles. check_stop: raises if the job was asked to stop; called
            before each compilation. clock: monotonic seconds.
    """

    def __init__(self, graphs: List[str], check_stop: Callable[[], None],
                 clock: Callable[[], float] = time.monotonic) -> None:
        self._graphs, self._check_stop, self._clock = graphs, check_stop, clock
        self._done = 0

    @contextlib.contextmanager
    def __call__(self, graph: str) -> Iterator[None]:
        self._check_stop()
        self._done += 1
        log.info("compiling the %s graph for the card (%d of %d); this takes minutes", graph, self._done,
                 max(self._done, len(self._graphs)))
        started = self._clock()
        yield
        seconds = self._clock() - started
        log.info("compiled in %s s", f"{seconds:.1f}" if seconds < 10.0 else f"{seconds:.0f}")


def announced(here: Device, config: Config, console: Console, group: Alone) -> Optional[Compilation]:
    """What ``Model`` calls on this device; None where it compiles nothing."""
    return Compilation(graphs_of(config, group), console.check_stop) if here.compiles else None


def graphs_of(config: Config, group: Alone) -> List[str]:
    """Names of the graphs that this rank runs; see ``Model``."""
    of_rank_0 = ["snapshot"] + (["histogram"] if config.interval.histogram_interval else [])
    return (["loading"] + (["broadcast"] if group.size > 1 else []) + ["evaluation"]
            + (of_rank_0 if group.rank == 0 else []) + ["training"])


def compile_early(model: Model, here: Device, config: Config, group: Alone, iteration: int) -> None:
    """Compile the graphs of later before the first iteration, where the device compiles.

    All ranks wait here for one another, so that none waits inside a collective, which has a time limit.

    Args:
        here: the device of ``model``. iteration: where training begins; at the end of the schedule nothing more is
            compiled.
    """
    if here.compiles and iteration < config.training.train_iterations:
        graphs = graphs_of(config, group)
        model.compile_early("snapshot" in graphs, "histogram" in graphs)
        group.gather(None, "the compilation of the training graph", WAIT_FOR_INPUTS)
