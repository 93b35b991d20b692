"""What a job would take: hours, from an earlier run or from the graph, and how its nodes are billed."""

from __future__ import annotations

import logging
import statistics
from typing import List, NamedTuple, Optional, Tuple

from job.config.settings import Config
from job.modelarts.service import Flavor
from job.publication.history import read_history
from masf_core.words import plural
from obs_sync import Store, StoreError

log = logging.getLogger(__name__)


class Duration(NamedTuple):
    """How long the iterations of a job take. least, most: hours. source: how that is known."""

    least: float
    most: float
    source: str


def duration_of_run(config: Config, store: Store) -> Optional[Duration]:
    """From what is published of an earlier attempt at this run; None if there is nothing.

    Args:
        store: of the run.
    """
    try:
        history = read_history(store)
    except StoreError as error:
        log.debug("no earlier run: %s", error)
        return None
    seconds = [record["seconds_per_iteration"] for record in history if record.get("seconds_per_iteration")]
    if not seconds:
        return None
    left = max(0, config.training.train_iterations - history[-1]["iteration"])
    hours = left * statistics.median(seconds) / 3600
    return Duration(hours, hours, f"the run has {statistics.median(seconds):.3f} s an iteration so far, on the nodes "
                                  f"that it ran on; {left} iterations are left")


def duration_of_graph(config: Config, ranks: int) -> Duration:
    """From the arithmetic of the graph, at the published rates of an Ascend 910. Imports TensorFlow: seconds.

    Raises:
        ConfigError: so many cards cannot share a batch, or an Ascend has no such precision.
    """
    from job.preflight.graph import check
    from masf_core.graph_check.cost import GOOD, PEAK, costs, predict

    checked = check(config, ranks)
    found = costs(checked.graph, checked.steps["training"])
    least, most = sorted(predict(found, device, checked.images) for device in (PEAK, GOOD))
    hours = config.training.train_iterations / 3600
    return Duration(least * hours, most * hours,
                    f"predicted from the graph for an Ascend 910, not measured: {1e3 * least:.0f} to {1e3 * most:.0f} "
                    "ms an iteration; without start, compilation, evaluations and uploads")


def cost_lines(duration: Optional[Duration], flavor: Optional[Flavor], nodes: int,
               max_hours: Optional[int]) -> List[str]:
    """What is known of the cost of a job, and what is not."""
    if duration is None:
        lines = ["hours: not known; there is no earlier attempt at this run, and a prediction only for an Ascend 910"]
    else:
        unit, factor = unit_for(duration.most)
        least, most = shown(factor * duration.least), shown(factor * duration.most)
        lines = [f"{unit}s: {least if least == most else f'{least} to {most}'} ({duration.source})"]
    if max_hours is not None:
        lines.append(f"ModelArts stops the job after {max_hours} h")
    if flavor is None:
        lines.append(f"billing: not known for this flavor; {plural(nodes, 'node')}")
    else:
        units = "" if flavor.billing_units is None else f" × {flavor.billing_units} units"
        node_hours = ""
        if duration is not None:
            unit, factor = unit_for(duration.most * nodes)
            node_hours = f", {shown(factor * duration.most * nodes)} node {unit}s at most"
        lines.append(f"billing: {nodes} × {flavor.id}, code {flavor.billing_code or 'not known'}{units}{node_hours}")
    lines.append("price: ModelArts' API does not tell it; the console shows it beside the flavor")
    return lines


def unit_for(hours: float) -> Tuple[str, int]:
    """The unit in which so many hours are shown, and how many of it one hour has. 0.00 hours would say nothing."""
    return next((each for each in (("hour", 1), ("minute", 60)) if hours * each[1] >= 0.1), ("second", 3600))


def shown(value: float) -> str:
    return f"{value:.2f}" if value < 10 else f"{value:.0f}"
