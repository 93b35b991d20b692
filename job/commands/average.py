"""Average the weights of a run's checkpoints into one network, and evaluate it beside the best and the last checkpoint.

RUN is the folder of a finished or running run (train_url/run_name/): a URL or a local path. The checkpoints are those
that keep_every keeps, or, of a run without keep_every, all that it has; --from, --to and --last choose among them. Each
counts alike. The mean is computed in float64, one checkpoint at a time.
The command writes FILE.npz, which evaluate, predict, export and weights_path take, and FILE.json beside it, which names
the checkpoints with their digests, and tells the settings and classes. It prints the accuracy on the target domain and
on the validation images of the source domains, as the run evaluates them. Nothing is written to the run.
The statistics of batch normalisation are held fixed in a run, so none are estimated anew. A damaged checkpoint is an
error that names it.
"""

from __future__ import annotations

import argparse
import logging
import os
import posixpath
from typing import Any, Optional, Sequence, Tuple

from job.commands.evaluate import begin, look_for_data
from job.config.loading import load_config
from job.console import Console
from job.errors import ConfigError
from job.exits import DONE
from job.standard_output import encodable, json_text, telling
from job.stopping import ended_by_sigterm
from masf_core.errors import WeightsError

log = logging.getLogger(__name__)

TAKES_SETTINGS = True
USAGE = "%(prog)s RUN [--from=ITERATION] [--to=ITERATION] [--last=K] [--out=FILE.npz] [--json] [--name=value ...]"
OWN_FLAGS = ("from", "to", "last", "out", "json")
EXAMPLES = """
  python -m job average obs://bucket/output/masf_cartoon
  python -m job average obs://bucket/output/masf_cartoon --last=5 --out=obs://bucket/averages/cartoon.npz
  python -m job average masf-work/output/masf_cartoon --from=200 --to=600 --data_url=/data/pacs --json
Exit code 0: done; 2: wrong usage or settings, or there is something at FILE; 3: the data cannot be used, or there are
fewer than two checkpoints, or they are of different networks; 4: storage or the local disk failed, a checkpoint is
damaged, or there is no run at RUN.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("place", metavar="RUN", help="folder of a run: a URL or a local path")
    parser.add_argument("--from", dest="begin", metavar="ITERATION", help="first iteration to take (default: all)")
    parser.add_argument("--to", dest="end", metavar="ITERATION", help="last iteration to take (default: all)")
    parser.add_argument("--last", metavar="K", help="take the K newest of them (default: all)")
    parser.add_argument("--out", metavar="FILE",
                        help="file to make, a path or a URL that ends in .npz (default: averages/RUN-FROM-TO.npz below "
                             "the current folder)")
    parser.add_argument("--json", action="store_true", help="print FILE.json")


def main(args: argparse.Namespace, console: Console) -> None:
    """Write the file of --out and its sidecar, and print to standard output what was found."""
    from job.inputs.run_checkpoints import Choice, checkpoints_of, choose

    choice = Choice(_whole("from", args.begin, 0), _whole("to", args.end, 0), _whole("last", args.last, 2))
    opening = begin(args, console, OWN_FLAGS, [("RUN", args.place), ("--out", args.out)])
    out = None if args.out is None else _place(args.out, args.place)
    if opening.waits("averages"):
        return
    with ended_by_sigterm():
        from job.inputs.fetch_trained import settings_of
        from job.workspace import evaluation_workspace
        from obs_sync import is_remote

        workspace = evaluation_workspace(os.path.abspath(opening.work_dir))
        chosen = choose(checkpoints_of(args.place, opening.open_at), choice)
        run = args.place if is_remote(args.place) else os.path.abspath(args.place)
        out = _default(run, chosen) if out is None else out
        _refuse_existing(*out, open_at=opening.open_at)
        newest = _newest(run, chosen, opening.open_at)
        config, provenance = load_config(args.settings, fallback=opening.urls, base=settings_of(newest))
        _refuse_source_as_target(config.data.target_domain, newest, provenance["target_domain"])
        look_for_data(config, provenance)
        if newest.classes is None:
            raise WeightsError(f"{newest.file.told} does not say the names of its classes; expected them in the "
                               "run.json of the run")
        from job.averaging import Averaging, average_run, deliver, discard, sidecar_content  # imports TensorFlow
        from job.reports.averaged import text

        request = Averaging(run, newest, chosen, config, tuple(newest.classes), out)
        try:
            found = average_run(request, workspace, console, os.environ, opening.open_at)
            told = json_text(sidecar_content(request, found))
            console.close()
            try:
                deliver(request, workspace, told + "\n", opening.open_at)
            finally:  # what was found is told even where the file cannot be written
                with telling(DONE):
                    print(told if args.json else encodable("\n".join(text(found))))
        finally:
            discard(request, workspace)


def _whole(flag: str, given: Optional[str], least: int) -> Optional[int]:
    """The value of a flag, None without it. Raises ConfigError if it is no whole number from ``least``."""
    if given is None:
        return None
    if not (given.isascii() and given.isdigit() and len(given) <= 12 and int(given) >= least):
        raise ConfigError(f"--{flag}={given}: expected a whole number from {least}")
    return int(given)


def _place(out: str, run: str) -> Tuple[str, str]:
    """(folder, name) of the file that --out names. Raises ConfigError if it can be no such file."""
    from job.reports.image_results import place_of

    if not out.endswith(".npz"):
        raise ConfigError(f"--out={out}: expected a name that ends in .npz, the format that average writes")
    return place_of(out, run, "--out", "average", "average.npz")


def _default(place: str, chosen: Sequence[Any]) -> Tuple[str, str]:
    """(folder, name) of the file without --out. chosen: the checkpoints, ``Trained``.

    Raises:
        ConfigError: the current folder is in the run.
    """
    from job.reports.image_results import refuse_inside

    run = posixpath.basename(place.rstrip("/")) or "run"
    folder = os.path.abspath("averages")
    refuse_inside(folder, folder, place, "average", "give --out, or call the command in another folder")
    return folder, f"{run}-{chosen[0].iteration:06d}-{chosen[-1].iteration:06d}.npz"


def _newest(run: str, chosen: Sequence[Any], open_at: Any) -> Any:
    """The newest checkpoint, ``Trained``, whose progress.json is whole: it tells the settings and the classes.

    Raises:
        IntegrityError: neither the last checkpoint of the run nor one of ``chosen`` is such.
    """
    from job.inputs.trained import LAST, find_trained
    from obs_sync import IntegrityError

    damaged = None
    for name in [LAST] + [each.file.checkpoint for each in reversed(chosen)]:
        try:
            found = find_trained(run, name, open_at)
        except IntegrityError as error:
            damaged = damaged or error
            continue
        if damaged is not None:
            log.warning("settings and classes are read from %s, not from a newer one: %s: %s", found.file.told,
                        damaged.where, damaged.what)
        return found
    raise IntegrityError(damaged.what, damaged.where, "The other checkpoints are damaged, too. Average those of "
                         "another run")


def _refuse_source_as_target(target: str, newest: Any, where: str) -> None:
    """Raise ConfigError if ``target`` is a domain that the run was trained on, which is not unseen.

    Args:
        newest: a checkpoint of the run, ``Trained``. where: what sets ``target``.
    """
    from masf_core.data.naming import canonical

    if canonical(target) in map(canonical, newest.sources()):
        own = newest.config.data.target_domain if newest.config is not None else None
        of_run = f"; its target domain is {own}" if own else ""
        raise ConfigError(f"target_domain is {target} ({where}), but the run was trained on {target}{of_run}. Leave "
                          "target_domain out, or give a domain that the run has not seen")


def _refuse_existing(folder: str, name: str, open_at: Any) -> None:
    """Raise ConfigError if the file or its sidecar exists."""
    from job.inputs.average_sidecar import sidecar_of
    from job.reports.image_results import joined
    from obs_sync import is_remote

    for each in (name, sidecar_of(name)):
        if is_remote(folder):
            with open_at(folder) as store:
                place, exists = store.locate(each), store.exists(each)
        else:
            place = joined(folder, each)
            exists = os.path.lexists(place)
        if exists:
            raise ConfigError(f"{place} exists already; choose another name with --out, or delete it")
