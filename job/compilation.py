"""Log lines about compilation, which takes minutes on a card and prints nothing itself.

A card compiles each graph of a run in its first run. So every graph runs once before the first iteration, and the
result is dropped. The training graph changes the variables, so they are loaded again afterwards.
"""
from __future__ import annotations

import contextlib
import logging
import time
from typing import TYPE_CHECKING, Callable, Iterator, List, Optional

from job.config.settings import Config
from job.opened_run import AnyRun
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


def announced(run: AnyRun, here: Device, group: Alone, resumes: bool) -> Optional[Compilation]:
    """What ``Model`` calls on this device; None where it compiles nothing. resumes: see ``graphs_of``."""
    if not here.compiles:
        return None
    return Compilation(graphs_of(run.config, group, resumes), run.console.check_stop)


def graphs_of(config: Config, group: Alone, resumes: bool) -> List[str]:
    """Names of the graphs that this rank runs; see ``Model``.

    resumes: rank 0 loads a checkpoint, which has every variable.
    """
    is_first = group.rank == 0
    run = {
        "initialisation": not (is_first and resumes),
        "loading": is_first,
        "broadcast": group.size > 1,
        "evaluation": True,
        "histogram": is_first and config.interval.histogram_interval > 0,
        "snapshot": is_first,
        "training": True,
    }
    return [name for name, is_run in run.items() if is_run]


def compile_early(run: AnyRun, model: Model, here: Device, group: Alone, iteration: int) -> None:
    """Compile every graph before the first iteration, where the device compiles. From then on the ranks agree to stop.

    All ranks wait here for one another, so that none waits inside a collective, which has a time limit.

    Args:
        here: the device of ``model``. iteration: where training begins; at the end of the schedule nothing more is
            compiled.
    """
    if not here.compiles or iteration >= run.config.training.train_iterations:
        group.hold_stop()
        return
    graphs = graphs_of(run.config, group, resumes=False)
    values = model.compile_early("snapshot" in graphs, "histogram" in graphs)
    group.gather(None, "the compilation of the training graph", WAIT_FOR_INPUTS)
    group.hold_stop()
    model.compile_training()
    run.console.check_stop()  # on every rank, or on none
    if values is not None:
        model.load(values)
    model.share()
