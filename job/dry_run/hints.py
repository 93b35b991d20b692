"""What to try after a dry run, as commands that repeat what was given to this one."""
from __future__ import annotations

import os
import re
import shlex
import sys
from typing import NamedTuple, Optional, Sequence


DEFAULT_ROOT = "dry-run"


class Request(NamedTuple):
    """What a dry run was asked for, each as it was given. ``lane``: the one that `make dry-run` took, or None."""

    root: str
    pacs_root: Optional[str] = None
    weights: Optional[str] = None
    config_path: Optional[str] = None
    overrides: Sequence[str] = ()
    lane: Optional[str] = None
    faults: Optional[str] = None
    fault_seed: int = 0


def environments():
    """make's variable for where the environments lie, where they lie elsewhere."""
    return ["ENVS=" + shlex.quote(os.environ["ENVS"])] if os.environ.get("ENVS") else []


def command(request, **changes):
    """The command that asks for the same with other values of some settings: make's where make was used."""
    values = dict(item.split("=", 1) for item in request.overrides)
    values.update((name, str(value)) for name, value in changes.items())
    settings = [f"{name}={value}" for name, value in values.items()]
    if request.lane:
        words = ["make", "dry-run", "LANE=" + request.lane] + environments() + [
            f"{name}={shlex.quote(value)}" for name, value in (
                ("PACS_ROOT", request.pacs_root), ("WEIGHTS", request.weights), ("CONFIG", request.config_path),
                ("FAULTS", request.faults), ("FAULT_SEED", str(request.fault_seed or "")),
                ("RESULTS", None if request.root == DEFAULT_ROOT else request.root))
            if value]
        return " ".join(words + (["SET=" + within_quotes(settings)] if settings else []))
    words = [shorter(sys.executable), "-m", "job", "dry-run", "--root", shorter(request.root)]
    for flag, value in (("--pacs_root", request.pacs_root), ("--weights", request.weights),
                        ("--config", request.config_path), ("--faults", request.faults),
                        ("--fault_seed", str(request.fault_seed or ""))):
        words += [flag, value] if value else []
    return " ".join(quoted(word) for word in words + (["--set"] + settings if settings else []))


def after_work(request, config, run):
    """Text for a job that trained. ``config``: its ``Config``. ``run``: the folder of its results."""
    lines = [("look at the report", os.path.join(run, "report.html"))]
    tensorboard = os.path.join(os.path.dirname(sys.executable), "tensorboard")
    if os.path.exists(tensorboard):  # not every TensorFlow brings it
        lines.append(("look at the curves", f"{quoted(shorter(tensorboard))} --logdir {quoted(run)}"))
    other = "sketch" if config.data.target_domain != "sketch" else "cartoon"
    bucket = os.path.join(shorter(request.root), "bucket")
    lines += [
        ("go on from here", command(request, train_iterations=2 * config.training.train_iterations)),
        ("another target", command(request, target_domain=other)),
        ("serve the bucket again", f"{quoted(shorter(sys.executable))} -m obs_sync.mock serve --root {quoted(bucket)}"),
    ]
    return "\n".join(["", "Next:"] + ["  {:<22}  {}".format(*line) for line in lines])


def after_nothing(request, config, run):
    """Text for a job that found the run done by an earlier one; arguments as for ``after_work``."""
    return "\n".join([
        "", "The job had nothing to do: an earlier dry run did all of this run, and what stands above is its result.",
        "Settings that do not change the result, as test_print_interval, do not begin another run.",
        f"  see it again            rm -r {quoted(run)}",
        "  begin another run       " + command(request, seed=config.training.seed + 1),
        "  go on from here         " + command(request, train_iterations=2 * config.training.train_iterations),
    ])


def after_stop(request):
    """Text for a job that was stopped from the keyboard or by SIGTERM."""
    return "\nThe same command goes on from the last checkpoint:\n  " + command(request)


def shorter(path):
    """The path from here, unless that is the longer one."""
    return min(os.path.relpath(path), path, key=len)


def quoted(word):
    """``word`` for a shell; ``name=value`` needs no quotes, other than shlex thinks."""
    return word if re.match(r"[\w@%+=:,./-]+\Z", word) else shlex.quote(word)


def within_quotes(words):
    """Several words as one: SET is taken apart again as by a shell."""
    return shlex.quote(" ".join(quoted(word) for word in words))
