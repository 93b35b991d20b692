"""Evaluate a trained network on the target domain of its run, or on other domains, without writing to the run.

RUN is the folder of a finished or running run (train_url/run_name/), the folder of one checkpoint, or a network.npz or
another file that weights_path takes: a URL or a local path. The settings of the run count, with its rules for lists and
splits. Settings on the command line take precedence, and those about the machine (device, storage, work_dir) are this
machine's own. Of a domain that the network was trained on, its validation images are evaluated; of any other, all
images.
The command prints accuracy and loss, the accuracy by class, the confusion, what the run itself recorded, and the line
of eva.txt. The classes of the data must be those of the run.
"""

from __future__ import annotations

import argparse
import logging
import os
from typing import Any, Callable, Mapping, NamedTuple, Optional, Sequence, Tuple

from job.commands.bench import refuse_misspelt
from job.config.given_values import refuse_empty, secret_in_url
from job.config.kinds import folder_names
from job.config.loading import IN_RUN, load_config
from job.config.settings import Config
from job.console import Console
from job.environment import read_environment
from job.errors import ConfigError, NoSuchData
from job.exits import DONE
from job.standard_output import encodable, json_text, telling
from job.stopping import ended_by_sigterm

log = logging.getLogger(__name__)

TAKES_SETTINGS = True
USAGE = "%(prog)s RUN [--checkpoint=best|last|NAME] [--domains=all|A,B] [--out=FILE] [--json] [--name=value ...]"
OWN_FLAGS = ("checkpoint", "domains", "out", "json")
EXAMPLES = """
  python -m job evaluate obs://bucket/output/masf_cartoon
  python -m job evaluate masf-work/output/masf_cartoon --checkpoint=last --domains=all --data_url=/data/pacs
  python -m job evaluate obs://bucket/output/masf_cartoon --out=predictions.csv --json
  python -m job evaluate ckpt-000300-1a2b3c4d --data_url=/data/pacs --device=cpu
  python -m job evaluate network.npz --config=configs/pacs_cartoon.yaml --data_url=/data/pacs
Exit code 0: done; 2: wrong usage or settings; 3: the data or the network cannot be used, or their classes differ;
4: storage or the local disk failed, or there is nothing at RUN.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("place", metavar="RUN",
                        help="run, checkpoint, network.npz or another file of weights: a URL or a local path")
    parser.add_argument("--checkpoint", metavar="WHICH",
                        help="checkpoint of the run: best, last, or its name (default: best)")
    parser.add_argument("--domains", metavar="NAMES",
                        help="domains to evaluate, separated by commas, or all (default: the target domain of the run)")
    parser.add_argument("--out", metavar="FILE",
                        help="also write a line for each image to this CSV file, a path or a URL: path, label, "
                             "predicted class, its probability")
    parser.add_argument("--json", action="store_true", help="print one JSON document")


def main(args: argparse.Namespace, console: Console) -> None:
    """Print to standard output, and write the file of --out."""
    domains = names_of("--domains", args.domains, "all, or ")
    opening = begin(args, console, OWN_FLAGS, [("RUN", args.place), ("--checkpoint", args.checkpoint),
                                               ("--out", args.out)])
    from job.reports.image_results import check_writable, place_of, write_csv

    out = None if args.out is None else place_of(args.out, args.place)
    if opening.waits("evaluates"):
        return
    with ended_by_sigterm():
        from job.workspace import evaluation_workspace

        if out is not None:
            check_writable(*out, flag="--out")
        workspace = evaluation_workspace(opening.work_dir)
        network, config = look(args, opening, workspace, console)
        classes = network.trained.classes  # where they are known, another network is told before data are fetched
        values = None if classes is None else network.values(config, len(classes))
        from job.evaluation import Request, evaluate_network  # imports TensorFlow, which takes seconds
        from job.reports.evaluated import document, text
        from masf_core.memory import keep_freed_memory

        keep_freed_memory()
        found = evaluate_network(Request(network, config, values, domains, out is not None), workspace, console,
                                 os.environ, opening.open_at)
        console.close()
        try:
            if out is not None:
                write_csv(*out, images=found.images, open_at=opening.open_at)
        finally:  # what was found is told even where the file cannot be written
            with telling(DONE):
                print(json_text(document(found)) if args.json else encodable("\n".join(text(found))))


class Opening(NamedTuple):
    """What every command that opens a trained network begins with.

    work_dir: local working directory. urls: data_url and train_url as the platform says them. rank: of this process.
    open_at: opens a store as a context manager.
    """

    work_dir: str
    urls: Mapping[str, Tuple[str, str]]
    rank: int
    open_at: Callable[[str], Any]

    def waits(self, does: str) -> bool:
        """Whether another process does the work; logs it."""
        if self.rank:
            log.info("rank %d has nothing to do: rank 0 %s alone", self.rank, does)
        return bool(self.rank)


def begin(args: argparse.Namespace, console: Console, own: Sequence[str],
          places: Sequence[Tuple[str, Optional[str]]]) -> Opening:
    """Check the words of a command line, as far as that needs no network, and set the log level.

    Args:
        own: flags of the command. places: (name, value) of its arguments that may be URLs, and may not be empty.

    Raises:
        ConfigError: a word is wrong, a value is empty, or a URL holds a secret.
    """
    refuse_empty(places)
    refuse_bare_flags(args.settings)
    refuse_misspelt(args.settings, own)
    secrets = [told for told in (secret_in_url(name, value) for name, value in places) if told]
    if secrets:
        raise ConfigError(secrets)
    environment = read_environment(os.environ)
    given, _ = load_config(args.settings, fallback=environment.urls)
    console.set_log_level(given.platform.log_level)

    def open_at(url: str) -> Any:
        from obs_sync import open_store

        return open_store(url, os.environ, backend=given.platform.storage)

    return Opening(given.platform.work_dir or environment.work_dir, environment.urls, environment.rank_id or 0, open_at)


class Named(NamedTuple):
    """A trained network whose classes have names. workspace: ``Workspace``. network: ``Network``. config: the settings
    that count for it. names: of its classes, in the classifier's order. values: variable name → float32 array."""

    workspace: Any
    network: Any
    config: Config
    names: Tuple[str, ...]
    values: Mapping[str, Any]


def open_named(args: argparse.Namespace, opening: Opening, console: Console,
               names: Optional[Sequence[str]]) -> Named:
    """Fetch a trained network for a command that does not need the data of its run.

    Args:
        names: of the classes, of the command line.
    """
    from job.inputs.fetch_trained import class_names, open_network
    from job.workspace import evaluation_workspace

    workspace = evaluation_workspace(os.path.abspath(opening.work_dir))
    network, config, _ = open_network(args.place, args.checkpoint, args.settings, opening.urls, workspace, console,
                                      opening.open_at)
    found = class_names(network, config, names)
    return Named(workspace, network, config, found, network.values(config, len(found)))


def look(args: argparse.Namespace, opening: Opening, workspace: Any, console: Console) -> Tuple[Any, Config]:
    """(the network on the local disk, the settings that count for it). The data are looked for, and not fetched yet.

    Args:
        workspace: ``Workspace``.
    """
    from job.inputs.fetch_trained import open_network

    network, config, provenance = open_network(args.place, args.checkpoint, args.settings, opening.urls, workspace,
                                               console, opening.open_at)
    look_for_data(config, provenance)
    return network, config


def look_for_data(config: Config, provenance: Mapping[str, str]) -> None:
    """Look for the data, which are not fetched yet.

    Args:
        provenance: where each setting comes from, see ``load_config``.

    Raises:
        NoSuchData: there are none. DataError: they cannot be used. StoreError: storage.
    """
    from job.inputs.check import check_data

    try:
        check_data(config.data, config.platform.storage, os.environ)
    except NoSuchData as error:
        if provenance["data_url"] != IN_RUN:
            raise
        raise NoSuchData(f"{error}. It is the data_url of the run; give the place of the data on this machine with "
                         "--data_url") from None


def refuse_bare_flags(words: Sequence[str]) -> None:
    """Refuse ``--name value``: beside RUN, nobody could tell which of the words is the value.

    Raises:
        ConfigError: there is such a flag; names it.
    """
    for word in words:
        if word.startswith("--") and "=" not in word:
            raise ConfigError(f"{word}: give the value behind an equals sign, as in {word}=VALUE")


def names_of(flag: str, given: Optional[str], besides: str = "") -> Optional[Tuple[str, ...]]:
    """The names in the value of a flag, None without it. besides: what else it takes, for the message.

    Raises:
        ConfigError: they are no names.
    """
    if given is None:
        return None
    try:
        return folder_names().convert(given)
    except ValueError:
        raise ConfigError(f"{flag}={given}: expected {besides}{folder_names().expected}") from None
