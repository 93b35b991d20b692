"""Run a study: every variant on every target domain with every seed, as one YAML file says.

FILE names a base configuration, the targets, the seeds and the variants; docs/research.md explains it. The results of
each run go to their own folder below train_url. Nothing else keeps the state of the study, so `run` can be killed at
any time and started again, also on several machines at once: it continues what is not done.
`python -m job sweep FILE ACTION --help` explains an action.
"""

from __future__ import annotations

import argparse
import logging
import os
from typing import Any, Optional, Sequence

from job.commands.bench import refuse_misspelt, whole_number
from job.commands.evaluate import refuse_bare_flags
from job.commands.table import add_flag, add_table_arguments, check_outputs, options_of, show
from job.config.flags import read_flags, unknown_flag
from job.console import Console
from job.errors import ConfigError
from job.exits import DONE, FOUND, MEANING
from job.standard_output import encodable, telling
from job.stopping import StopRequest

log = logging.getLogger(__name__)

TAKES_SETTINGS = True
USAGE = "%(prog)s FILE ACTION [...] [--name=value ...]"
ACTIONS = {
    "plan": "print the runs of the study, and start nothing",
    "run": "run what is not done; the same command continues a study that was stopped or killed",
    "status": "print how far each run is",
    "collect": "print the table of the study",
    "stop": "stop the sweep that runs on this machine, or the study's jobs in ModelArts",
}
EXAMPLES = """
  python -m job sweep configs/studies/miniature.yaml plan
  python -m job sweep configs/studies/miniature.yaml run --at-once=2
  python -m job sweep study.yaml run --data_url=obs://bucket/pacs/ --train_url=obs://bucket/study/
  python -m job sweep study.yaml run --runner=modelarts --at-once=4
  python -m job sweep study.yaml status
  python -m job sweep study.yaml collect --all-selections --out table.tex
Settings on the command line count for all runs; give the same ones with each action.
Exit code 0: done; 2: wrong usage or study; 3: the data cannot be used; 4: storage; 8: ModelArts; of `run` also the code
of the first run that failed, and 6 if a check found something to correct; 130, 143: stopped, and the runs of this
machine have published their last checkpoints.
"""
STOP_SECONDS = 40.0  # from the request to stop until this process is ended: its runs need some of them
STOPPING = {False: "the sweep ends, and stops its runs", True: "the sweep ends; its jobs in ModelArts go on"}
JOBS_AT_ONCE = 4
OWN_FLAGS = {  # flag → the actions that take it
    "runner": tuple(ACTIONS), "at-once": ("run",), "retry-failed": ("run",), "skip-checks": ("run",),
    "json": ("plan", "status", "collect"), **dict.fromkeys(
        ("samples", "all-selections", "error", "paper", "baseline", "format", "out"), ("collect",))}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add a sub-parser for each action."""
    parser.add_argument("file", metavar="FILE", help="YAML file of the study")
    actions = parser.add_subparsers(dest="action", metavar="ACTION", title="actions",
                                    prog="python -m job sweep FILE")
    actions.required = True
    for name, summary in ACTIONS.items():
        sub = actions.add_parser(name, help=summary, description=summary[0].upper() + summary[1:] + ".",
                                 allow_abbrev=False)
        sub.add_argument("--runner", choices=("local", "modelarts"),
                         help="where the runs run: on this machine, or as jobs of ModelArts (default: as the file "
                              "says, else local)")
        if name == "run":
            add_flag(sub, "--at-once", metavar="N",
                     help="runs at the same time (default: one for each GPU or Ascend card, else 1; with "
                          f"modelarts {JOBS_AT_ONCE})")
            add_flag(sub, "--retry-failed", action="store_true",
                     help="also start runs again whose training diverged")
            add_flag(sub, "--skip-checks", action="store_true",
                     help="with modelarts: do not check data and permissions from here")
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
        at_once = whole_number("at-once", args.at_once)
    study = opened(args)
    if args.action == "run":
        return run(study, at_once, args, console)
    if args.action == "collect":
        collect(study, args)
    elif args.action == "stop":
        stop(study)
    else:
        tell(study, args)
    return DONE


def opened(args: argparse.Namespace) -> Any:
    """The ``Study`` of the file, with the settings of the command line."""
    refuse_misplaced(args.settings, args.action)
    refuse_misspelt(args.settings, tuple(OWN_FLAGS))
    refuse_bare_flags(args.settings)
    flags = read_flags(args.settings)
    problems = flags.problems + [unknown_flag(words) for words in flags.unknown]
    if flags.config_file is not None:
        problems.append("--config: the file of the study names the configuration: config: FILE")
    if problems:
        raise ConfigError(problems)
    from job.sweep.opened import open_study

    return open_study(args.file, flags.given, args.runner, os.environ, to_start=args.action in ("plan", "run"))


def refuse_misplaced(words: Sequence[str], action: str) -> None:
    """Raise ConfigError for a flag of another action. It names the actions that take the flag."""
    for word in words:
        flag = word[2:].partition("=")[0].replace("_", "-")
        if word.startswith("--") and action not in OWN_FLAGS.get(flag, (action,)):
            raise ConfigError(f"--{flag} belongs to {', '.join(OWN_FLAGS[flag])}; `sweep FILE {action}` does not take "
                              "it")


def run(study: Any, at_once: Optional[int], args: argparse.Namespace, console: Console) -> int:
    """Run what is not done. Returns 0, or the exit code of the first run that failed."""
    from job.sweep.drive import Driver
    from job.sweep.locking import sole_sweep
    from job.sweep.state import look_at, look_at_all
    from job.sweep.text import summary

    with sole_sweep(study.folder, study.path), StopRequest(
            grace=STOP_SECONDS, told=STOPPING[study.modelarts is not None]) as stopping:
        console.stop = stopping
        states = look_at_all(study.runs, study.open_at)
        runner = local_runner(study, at_once) if study.modelarts is None else submitted_runner(
            study, states, at_once or JOBS_AT_ONCE, args.skip_checks, console)
        if runner is None:
            return FOUND
        log.info("%d runs: %s; up to %d at the same time", len(study.runs), summary(states.values()), runner.free())
        outcomes = Driver(study.runs, states, runner, lambda each: look_at(each, study.open_at), console,
                          args.retry_failed).run()
    failed = [each for each in outcomes if each.code]
    for each in failed:
        log.error("failed: %s: %s", each.run.name, each.state.told or MEANING.get(each.code, "unknown"))
    log.info("%d of %d runs are done. The table: python -m job sweep %s collect",
             sum(each.code == 0 for each in outcomes), len(outcomes), study.path)
    return failed[0].code if failed else DONE


def local_runner(study: Any, at_once: Optional[int]) -> Any:
    """Runs on this machine. Inputs that are missing are told once, and not by every run."""
    from job.inputs.check import check_inputs
    from job.sweep.local import LocalRunner, check_writable
    from job.sweep.shares import shares_of

    shares = shares_of(at_once, study.kinds[0].config.platform.device, study.environ)
    inputs = {(kind.config.data.data_url, kind.config.data.weights_path): kind.config for kind in study.kinds}
    for config in inputs.values():
        check_inputs(config, study.environ)
    check_writable(study.runs[0].url)
    log.info("the output of each run is in %s", study.folder)
    return LocalRunner(study.folder, shares, study.environ)


def submitted_runner(study: Any, states: Any, at_once: int, skip_checks: bool, console: Console) -> Any:
    """Runs as jobs of ModelArts, whose code is uploaded once; None if a check of the first one found a mistake.

    states: of the runs, by name.
    """
    from job.commands.submit import told_checks
    from job.modelarts import submission
    from job.modelarts.code import collect_code
    from job.sweep.submitted import SubmittedRunner, first_to_start, jobs_under_way, request_maker

    service, options, secrets = study.modelarts
    first = first_to_start(study.runs, states, jobs_under_way(service, study.runs, study.open_at))
    code = collect_code(options.requirements, secrets)
    plan = submission.make_plan((first or study.runs[0]).config, options, code, service)
    if first is not None and not skip_checks and told_checks(
            submission.check_from_here(first.config, study.environ, console.check_stop, plan.request)):
        log.error("nothing was submitted; correct what is listed above, or give --skip-checks")
        return None
    make = request_maker(plan, options, service, study.open_at, console)
    return SubmittedRunner(service, make, study.open_at, at_once)


def stop(study: Any) -> None:
    """Stop the runs, and say which ones others run."""
    from job.sweep.locking import stop_sweep
    from job.sweep.state import RUNNING, look_at_all

    pid = stop_sweep(study.folder, study.path, STOP_SECONDS + 5.0)
    lines = ["no sweep of this file runs on this machine" if pid is None else
             f"process {pid} has ended; the same command continues its runs"]
    jobs = {}
    if study.modelarts is not None:
        from job.modelarts.service import TERMINATING
        from job.sweep.submitted import jobs_under_way
        from masf_core.words import plural

        jobs = jobs_under_way(study.modelarts.service, study.runs, study.open_at)
        ending = [name for name, job in jobs.items() if job.phase == TERMINATING]
        for name, job in jobs.items():
            if name not in ending:
                study.modelarts.service.stop(job.id)
                lines.append(f"asked ModelArts to stop the job of {name}")
        if ending:
            lines.append(f"{plural(len(ending), 'job')} {'is' if len(ending) == 1 else 'are'} still ending: "
                         + ", ".join(ending))
    states = look_at_all(study.runs, study.open_at)
    lines += [f"{name} is run by {state.owner or 'another process'}; stop it there" for name, state in states.items()
              if state.state == RUNNING and name not in jobs]
    with telling(DONE):
        print(encodable("\n".join(lines)))


def collect(study: Any, args: argparse.Namespace) -> None:
    """Print the table of the study."""
    from job.reports.table.build import build
    from job.sweep.collect import collect as collected

    found = collected(study.runs, study.kinds, study.open_at, args.samples)
    show(build(found.variants, found.found.unreadable, found.notes, options_of(args)), args)


def tell(study: Any, args: argparse.Namespace) -> None:
    """Print the plan or the status."""
    from job.sweep import text
    from job.sweep.state import look_at_all

    if args.action == "plan":
        told = text.plan_json(study) if args.json else text.plan_text(study)
    else:
        states = look_at_all(study.runs, study.open_at)
        if study.modelarts is not None:
            from job.sweep.submitted import jobs_under_way

            states = text.with_jobs(states, jobs_under_way(study.modelarts.service, study.runs, study.open_at))
        told = text.status_json(states) if args.json else text.status_text(study, states)
    with telling(DONE):
        print(encodable(told))
