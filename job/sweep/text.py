"""The plan and the status of a study, for people and for programs."""
from __future__ import annotations

from typing import Dict, Iterable, Mapping

from job.config.loading import result_settings
from job.modelarts.service import Job
from job.printable import printable
from job.reports.table.variants import shown
from job.standard_output import json_text
from job.sweep.opened import Study
from job.sweep.plan import label_of, training_settings
from job.sweep.state import DONE, RUNNING, SUBMITTED, RunState, counts
from masf_core.words import plural


def plan_text(study: Study) -> str:
    """The variants with the settings in which they differ or that are drawn, and the URL of every run."""
    values = [training_settings(kind.config) for kind in study.kinds]
    drawn = study.kinds[0].drawn
    differing = [name for name in values[0] if name in drawn or len({str(each[name]) for each in values}) > 1]
    lines = ["variants:"]
    for kind, settings in zip(study.kinds, values):
        told = ", ".join(f"{name}={shown(settings[name])}" for name in differing)
        lines.append(f"  {label_of(kind.variant, kind.sample)}" + (f": {told}" if told else ""))
    lines += [f"{plural(len(study.runs), 'run')}:"] + [f"  {each.url}" for each in study.runs]
    iterations = sum(each.config.training.train_iterations for each in study.runs)
    return "\n".join(lines + [f"{iterations:,} iterations in all"])


def plan_json(study: Study) -> str:
    """The same as a JSON document, with all settings that change the result."""
    return json_text([{"name": each.name, "url": each.url, "variant": each.variant, "sample": each.sample,
                        "target": each.target, "seed": each.seed, "settings": result_settings(each.config)}
                       for each in study.runs])


def status_text(study: Study, states: Mapping[str, RunState]) -> str:
    """A line for each run, and how many are in each state. states: by name of the run."""
    width = max(len(each.name) for each in study.runs)
    lines = []
    for each in study.runs:
        state = states[each.name]
        told = f"by {state.owner}" if state.owner is not None else state.told
        if state.state == DONE and state.best:
            told = f"{state.best['target_accuracy']:.2f} % on {each.target}"
        far = f"{state.iteration}/{each.config.training.train_iterations}"
        lines.append(f"{each.name:<{width}}  {state.state:<11}  {far:>11}  {told}".rstrip())
    return "\n".join(lines + [summary(states.values())])


def with_jobs(states: Mapping[str, RunState], jobs: Mapping[str, Job]) -> Dict[str, RunState]:
    """``states``, in which runs that wait, although a job of ModelArts will train them, are submitted.

    jobs: by name of the run, those that are not final.
    """
    found = dict(states)
    for name, job in jobs.items():
        if found[name].state != RUNNING:
            found[name] = found[name]._replace(
                state=SUBMITTED, told=f"job {printable(job.name)}, {printable(job.phase)}")
    return found


def status_json(states: Mapping[str, RunState]) -> str:
    """The same as a JSON document."""
    return json_text([dict(name=name, state=state.state, iteration=state.iteration, told=state.told,
                            exit_code=state.exit_code, owner=None if state.owner is None else str(state.owner))
                       for name, state in states.items()])


def summary(states: Iterable[RunState]) -> str:
    """``5 done, 2 running …``."""
    return ", ".join(counts(list(states)))
