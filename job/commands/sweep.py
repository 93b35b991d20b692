"""Run a study: every variant on every target domain with every seed, as one YAML file says.

FILE names a base configuration, the targets, the seeds and the variants; docs/research.md explains it. The results of
each run go to their own folder below train_url. Nothing else keeps the state of the study, so `run` can be killed at
any time and started again, also on several machines at once: it continues what is not done.
`python -m job sweep FILE ACTION --help` explains an action.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
from typing import Any, List, NamedTuple

from job.commands.bench import refuse_misspelt, whole_number
from job.commands.evaluate import refuse_bare_flags
from job.commands.table import add_table_arguments, check_outputs, options_of, show
from job.config.flags import read_flags, unknown_flag
from job.console import Console
from job.environment import read_environment
from job.errors import ConfigError
from job.exits import DONE, MEANING
from job.standard_output import encodable, telling
from job.stopping import StopRequest

log = logging.getLogger(__name__)

TAKES_SETTINGS = True
USAGE = "%(prog)s FILE ACTION [...] [--name=value ...]"
ACTIONS = {
    "plan": "print the runs of the study, and start nothing",
    "run": "run what is not done; Ctrl-C stops it, and the same command continues",
    "status": "print how far each run is",
    "collect": "print the table of the study",
    "stop": "stop the sweep that runs on this machine",
}
EXAMPLES = """
  python -m job sweep study.yaml plan
  python -m job sweep study.yaml run --at_once=2
  python -m job sweep study.yaml run --data_url=obs://bucket/pacs/ --train_url=obs://bucket/study/
  python -m job sweep study.yaml status
  python -m job sweep study.yaml collect --all-selections --out table.tex
Settings on the command line count for all runs; give the same ones with each action.
Exit code 0: done; 2: wrong usage or study; 3: the data cannot be used; 4: storage; of `run` also the code of the first
run that failed; 130, 143: stopped, and the runs have published their last checkpoints.
"""
STOP_SECONDS = 40.0  # from the request to stop until this process is ended: its runs need some of them
RUN_FLAGS = ("at_once", "retry_failed", "json", "samples", "all_selections", "error", "paper", "baseline", "format",
             "out")


class Study(NamedTuple):
    """What every action needs. folder: of the sweep's files on this machine. open_at: opens a store."""

    path: str
    kinds: List[Any]
    runs: List[Any]
    folder: str
    open_at: Any


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add a sub-parser for each action."""
    parser.add_argument("file", metavar="FILE", help="YAML file of the study")
    actions = parser.add_subparsers(dest="action", metavar="ACTION", title="actions")
    actions.required = True
    for name, summary in ACTIONS.items():
        sub = actions.add_parser(name, help=summary, description=summary[0].upper() + summary[1:] + ".",
                                 allow_abbrev=False)
        if name == "run":
            sub.add_argument("--at_once", metavar="N",
                             help="runs at the same time (default: one for each GPU or Ascend card, else 1)")
            sub.add_argument("--retry_failed", action="store_true",
                             help="also start runs again whose training diverged")
        elif name == "collect":
            add_table_arguments(sub)
            sub.add_argument("--samples", action="store_true", help="show a row for each sample of a random search")
        elif name in ("plan", "status"):
            sub.add_argument("--json", action="store_true", help="print one JSON document")


def main(args: argparse.Namespace, console: Console) -> int:
    """Do the action. Returns the exit code."""
    if args.action == "collect":
        check_outputs(args.out)
    at_once = None
    if args.action == "run" and args.at_once is not None:
        at_once = whole_number("at_once", args.at_once)
    study = read(args)
    if args.action == "run":
        return run(study, at_once, args.retry_failed, console)
    if args.action == "stop":
        return stop(study)
    if args.action == "collect":
        collect(study, args)
        return DONE
    with telling(DONE):
        print(encodable(plan_text(study, args.json) if args.action == "plan" else status_text(study, args.json)))
    return DONE


def read(args: argparse.Namespace) -> Study:
    """Read the file, and resolve every run of the study."""
    refuse_bare_flags(args.settings)
    refuse_misspelt(args.settings, RUN_FLAGS)
    flags = read_flags(args.settings)
    problems = flags.problems + [unknown_flag(words) for words in flags.unknown]
    if flags.config_file is not None:
        problems.append("--config: the file of the study names the configuration: config: FILE")
    if problems:
        raise ConfigError(problems)
    from job.sweep.local import FOLDER
    from job.sweep.plan import kinds_of, runs_of
    from job.sweep.study_file import read_study
    from job.sweep.targets import domains_of
    from obs_sync import Store, open_store

    environment = read_environment(os.environ)
    study = read_study(args.file)
    kinds = kinds_of(study, flags.given)
    config = kinds[0].config
    work_dir = os.path.abspath(config.platform.work_dir or environment.work_dir)
    targets = study.targets or domains_of(config, work_dir, os.environ)

    def open_at(url: str) -> Store:
        return open_store(url, os.environ, backend=config.platform.storage)

    runs = runs_of(study, kinds, targets, config.platform.train_url or os.path.join(work_dir, "output"))
    return Study(args.file, kinds, runs, os.path.join(work_dir, FOLDER), open_at)


def run(study: Study, at_once: Any, again: bool, console: Console) -> int:
    """Run what is not done, on this machine. Returns 0, or the exit code of the first run that failed."""
    from job.inputs.check import check_inputs
    from job.sweep.drive import Driver
    from job.sweep.local import LocalRunner
    from job.sweep.locking import sole_sweep
    from job.sweep.shares import shares_of
    from job.sweep.state import look_at, look_at_all

    device = study.kinds[0].config.platform.device
    shares = shares_of(at_once, device, os.environ)
    with sole_sweep(study.folder, study.path), StopRequest(grace=STOP_SECONDS) as stopping:
        console.stop = stopping
        for kind in study.kinds:  # once, and not in every run
            check_inputs(kind.config, os.environ)
        states = look_at_all(study.runs, study.open_at)
        log.info("%d runs: %s; up to %d at the same time; their output is in %s", len(study.runs),
                 summary(states.values()), len(shares), study.folder)
        driver = Driver(study.runs, states, LocalRunner(study.folder, shares, os.environ),
                        lambda each: look_at(each, study.open_at), console, again)
        outcomes = driver.run()
    failed = [each for each in outcomes if each.code]
    for each in failed:
        log.error("failed: %s: %s", each.run.name, each.state.told or MEANING.get(each.code, "unknown"))
    log.info("%d of %d runs are done. The table: python -m job sweep %s collect", len(outcomes) - len(failed),
             len(outcomes), study.path)
    return failed[0].code if failed else DONE


def stop(study: Study) -> int:
    """Stop the sweep that runs on this machine, and say which runs others run."""
    from job.sweep.locking import stop_sweep
    from job.sweep.state import RUNNING, look_at_all

    pid = stop_sweep(study.folder, study.path, STOP_SECONDS + 5.0)
    states = look_at_all(study.runs, study.open_at)
    lines = ["no sweep of this file runs on this machine" if pid is None else
             f"process {pid} has ended; the same command continues its runs"]
    lines += [f"{name} is run by {state.owner or 'another process'}; stop it there" for name, state in states.items()
              if state.state == RUNNING]
    with telling(DONE):
        print(encodable("\n".join(lines)))
    return DONE


def collect(study: Study, args: argparse.Namespace) -> None:
    """Print the table of the study."""
    from job.reports.table.build import build
    from job.sweep.collect import collect as collected

    found = collected(study.runs, study.kinds, study.open_at, args.samples)
    show(build(found.variants, found.found.unreadable, found.notes, options_of(args)), args)


def plan_text(study: Study, as_json: bool) -> str:
    """The runs of the study."""
    from job.config.loading import result_settings
    from job.reports.table.variants import shown

    if as_json:
        return json.dumps([{"name": each.name, "url": each.url, "variant": each.variant, "sample": each.sample,
                            "target": each.target, "seed": each.seed,
                            "settings": result_settings(each.config)} for each in study.runs], indent=1)
    values = [result_settings(kind.config) for kind in study.kinds]
    differing = [name for name in values[0] if len({str(each[name]) for each in values}) > 1]
    lines = ["variants:"]
    for kind, settings in zip(study.kinds, values):
        label = kind.variant if kind.sample is None else f"{kind.variant}-r{kind.sample:02d}"
        told = ", ".join(f"{name}={shown(settings[name])}" for name in differing)
        lines.append(f"  {label}: {told}" if told else f"  {label}")
    lines += [f"{len(study.runs)} runs:"] + [f"  {each.url}" for each in study.runs]
    iterations = sum(each.config.training.train_iterations for each in study.runs)
    return "\n".join(lines + [f"{iterations:,} iterations in all"])


def status_text(study: Study, as_json: bool) -> str:
    """How far each run is, as the store says."""
    from job.sweep.state import look_at_all

    states = look_at_all(study.runs, study.open_at)
    if as_json:
        return json.dumps([dict(name=name, state=state.state, iteration=state.iteration, told=state.told,
                                exit_code=state.exit_code, owner=None if state.owner is None else str(state.owner))
                           for name, state in states.items()], indent=1)
    width = max(len(each.name) for each in study.runs)
    lines = []
    for each in study.runs:
        state = states[each.name]
        told = f"by {state.owner}" if state.owner is not None else state.told
        if state.state == "done" and state.best:
            told = f"{state.best['target_accuracy']:.2f} % on {each.target}"
        far = f"{state.iteration}/{each.config.training.train_iterations}"
        lines.append(f"{each.name:<{width}}  {state.state:<11}  {far:>11}  {told}".rstrip())
    return "\n".join(lines + [summary(states.values())])


def summary(states: Any) -> str:
    """``5 done, 2 running …``."""
    from job.sweep.state import counts

    return ", ".join(counts(list(states)))
