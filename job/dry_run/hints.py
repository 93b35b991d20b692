"""Commands to try after a dry run. They repeat what was given to this one."""
from __future__ import annotations

import os
import re
import shlex
import sys
from typing import Any, List, Mapping, NamedTuple, Optional, Sequence

from job.config.loading import from_dict, replace_settings
from job.config.settings import Config

DEFAULT_ROOT = "dry-run"


class Request(NamedTuple):
    """What a dry run was asked for, each value as it was given."""

    root: str  # folder of everything that the dry run makes; the next one uses it again
    pacs_root: Optional[str] = None  # folder of the domains; None draws a miniature
    weights: Optional[str] = None  # file of weights; None makes random ones for AlexNet, none for other networks
    config_path: Optional[str] = None  # YAML file; None takes the one of the dry run
    overrides: Sequence[str] = ()  # ``name=value`` settings
    lane: Optional[str] = None  # lane that `make dry-run` took, or None without make
    faults: Optional[str] = None  # of the mocked OBS, only while the job runs
    fault_seed: int = 0
    platform_faults: Optional[str] = None  # of the mocked ModelArts


def environments() -> List[str]:
    """ENVS=DIR for make, if the environments are in another folder than usual."""
    return ["ENVS=" + shlex.quote(os.environ["ENVS"])] if os.environ.get("ENVS") else []


def command(request: Request, **changes: Any) -> str:
    """The command of the same dry run with other values of some settings: ``make dry-run`` where make was used."""
    values = dict(item.split("=", 1) for item in request.overrides)
    values.update((name, str(value)) for name, value in changes.items())
    settings = [f"{name}={value}" for name, value in values.items()]
    if request.lane:
        words = ["make", "dry-run", "LANE=" + request.lane] + environments() + [
            f"{name}={shlex.quote(value)}" for name, value in (
                ("PACS_ROOT", request.pacs_root), ("WEIGHTS", request.weights), ("CONFIG", request.config_path),
                ("FAULTS", request.faults), ("PLATFORM_FAULTS", request.platform_faults),
                ("FAULT_SEED", str(request.fault_seed or "")),
                ("RESULTS", None if request.root == DEFAULT_ROOT else request.root))
            if value]
        return " ".join(words + (["SET=" + within_quotes(settings)] if settings else []))
    words = [shorter(sys.executable), "-m", "job", "dry-run", "--root", shorter(request.root)]
    for flag, value in (("--pacs_root", request.pacs_root), ("--weights", request.weights),
                        ("--config", request.config_path), ("--faults", request.faults),
                        ("--platform_faults", request.platform_faults),
                        ("--fault_seed", str(request.fault_seed or ""))):
        words += [flag, value] if value else []
    return " ".join(quoted(word) for word in words + (["--set"] + settings if settings else []))


def as_trained(config: Config, record: Mapping[str, Any]) -> Config:
    """``config`` with the iterations of the run, where it has more than were asked for. record: run.json, or empty."""
    trained = from_dict(record["config"]).training.train_iterations if record.get("config") else 0
    return replace_settings(config, train_iterations=max(config.training.train_iterations, trained))


def after_work(request: Request, config: Config, run: str, domains: Sequence[str]) -> str:
    """Text for a job that trained. run: the folder of its results. domains: of its data, the target among them."""
    lines = [("look at the report", os.path.join(run, "report.html"))]
    tensorboard = os.path.join(os.path.dirname(sys.executable), "tensorboard")
    if os.path.exists(tensorboard):  # not every TensorFlow comes with it
        lines.append(("look at the curves", f"{quoted(shorter(tensorboard))} --logdir {quoted(run)}"))
    others = [domain for domain in domains if domain != config.data.target_domain]
    bucket = os.path.join(shorter(request.root), "bucket")
    lines += [
        ("train longer", command(request, train_iterations=2 * config.training.train_iterations)),
        ("another target", command(request, target_domain=others[-1] if others else "NAME")),
        ("serve the bucket again", f"{quoted(shorter(sys.executable))} -m obs_sync.mock serve --root {quoted(bucket)}"),
    ]
    return "\n".join(["", "Next:"] + [f"  {what:<22}  {how}" for what, how in lines])


def after_nothing(request: Request, config: Config, run: str, domains: Sequence[str]) -> str:
    """Text for a job that found its run complete. The arguments are those of ``after_work``."""
    return "\n".join([
        "", "The job had nothing to do: an earlier dry run has completed this run, and the lines above are its result.",
        "Settings that do not change the result, such as test_print_interval, do not start another run.",
        f"  delete this run         rm -r {quoted(run)}",
        "  start another run       " + command(request, seed=config.training.seed + 1),
        "  train longer            " + command(request, train_iterations=2 * config.training.train_iterations),
    ])


def after_stop(request: Request) -> str:
    """Text for a job that Ctrl-C or SIGTERM stopped."""
    return "\nThe same command resumes from the last checkpoint:\n  " + command(request)


def shorter(path: str) -> str:
    """The path relative to the current directory, or as it is if that is shorter."""
    return min(os.path.relpath(path), path, key=len)


def quoted(word: str) -> str:
    """``word`` quoted for a shell. ``name=value`` gets no quotes, although shlex would add them."""
    return word if re.match(r"[\w@%+=:,./-]+\Z", word) else shlex.quote(word)


def within_quotes(words: Sequence[str]) -> str:
    """Several words as one, for SET, which dry-run splits as a shell does."""
    return shlex.quote(" ".join(quoted(word) for word in words))
