"""The other ranks of a job: they train together with rank 0.

They publish nothing, write no logs and hold no lease; rank 0 decides everything. On a machine without rank 0, the first
rank there pulls and decodes for all ranks of that machine.
"""
from __future__ import annotations

import os
from typing import Callable, Dict, Mapping, Optional

from job.card_paths import ascend_settings, place_of
from job.compilation import compile_early
from job.config.settings import Config
from job.console import Console
from job.inputs.fetch import fetch_inputs, fetch_inputs_patiently
from job.opened_run import Followed
from job.preparation import device_of, make_trainer, open_model, prepare_data
from job.ranks.group import WAIT_FOR_INPUTS, Group
from job.start_times import StartTimes
from job.stopping import Stopped
from job.workspace import prepare_workspace
from masf_core.records.checkpoints import Progress
from masf_core.trainer import Observer


class Attentive(Observer):
    """Checks whether the job is to stop, at the places where rank 0 does."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def iteration(self, iteration: int, scalars: Dict[str, float], seconds: float) -> None:
        self._console.check_stop()

    def evaluation(self, domain: str) -> Optional[Callable[[int, int], None]]:
        return lambda done, total: self._console.check_stop()


def follow(config: Config, work_dir: str, run_name: str, console: Console, environ: Mapping[str, str],
           group: Group) -> None:
    """Train together with rank 0, which calls ``run.run_job``. Arguments and errors are as there."""
    own = os.path.join(work_dir, "runs", run_name, f"rank-{group.rank}")
    run = Followed(config, prepare_workspace(work_dir, run_name, own), console, StartTimes())
    done = group.gather(False, "the opening of the run")[0]
    if done:
        group.disband()
        return
    place = place_of(run.workspace, group)
    here = device_of(config, ascend_settings(config.ascend, place))
    group.check_device(here.name)
    if group.leads_node:
        index, images = prepare_data(run, fetch_inputs_patiently(config, run.workspace, console, environ))
        group.gather(None, "the end of pulling and decoding", WAIT_FOR_INPUTS)
    else:
        group.gather(None, "the end of pulling and decoding", WAIT_FOR_INPUTS)
        index, images = prepare_data(run, fetch_inputs(config, run.workspace, console, environ, present=True))
    group.check_same_data(index.fingerprint)
    with open_model(run, here, place, index, group, environ) as model:
        model.load({})  # what is in the variables comes from rank 0
        progress = Progress(*group.gather(None, "the start of training", WAIT_FOR_INPUTS)[0], details={})
        model.share()
        try:
            compile_early(run, model, here, group, progress.iteration)
            make_trainer(run, model, index, images, progress, Attentive(console)).run()
        except Stopped:
            group.disband()
            raise
        group.disband()
