"""``python -m job COMMAND``: find the command, run it, and turn whatever happens into an exit code."""

from __future__ import annotations

import argparse
import importlib
import logging
from typing import Any, NamedTuple, NoReturn, Sequence

from job.config.near_miss import suggestion
from job.console import Console
from job.errors import ConfigError
from job.printable import printable
from job.standard_output import UNREAD, OutputClosed, encodable, is_closed, telling
from job.stopping import begin_line
from job.streams import open_closed_streams

log = logging.getLogger(__name__)


class Command(NamedTuple):
    """A command. Its module is imported only when the command is used, because some modules import TensorFlow."""

    module: str  # see ``job.commands``
    summary: str  # its line in the list of commands


COMMANDS = {
    "run": Command("job.commands.run", "train; what boot_modelarts.py does"),
    "launch": Command("job.commands.launch", "start one rank for each card of this machine"),
    "config": Command("job.commands.config", "print the configuration that a command line resolves to"),
    "dry-run": Command("job.commands.dry_run", "do the whole job on this machine, against a mocked ModelArts and OBS"),
    "jobs": Command("job.commands.jobs", "list the jobs of ModelArts, with their runs and accuracies"),
    "logs": Command("job.commands.logs", "print or follow the log of a job of ModelArts"),
    "status": Command("job.commands.status", "show phase, tasks, restarts and events of a job of ModelArts"),
    "stop": Command("job.commands.stop", "stop a job of ModelArts, and say what it saved"),
    "flavors": Command("job.commands.flavors", "list the kinds of nodes on which a job of ModelArts can run"),
    "engines": Command("job.commands.engines", "list the images that ModelArts provides"),
    "doctor": Command("job.commands.doctor", "check whether a run can work here, before it costs time"),
    "check-graph": Command("job.commands.check_graph", "find what an Ascend 910 refuses, and predict its speed"),
    "submit": Command("job.commands.submit", "submit this job to ModelArts"),
    "show": Command("job.commands.show", "show the files, the accuracy and the attempts of a run"),
    "report": Command("job.commands.report", "write the report of a run, with figures"),
    "evaluate": Command("job.commands.evaluate", "evaluate a trained network, without writing to its run"),
    "average": Command("job.commands.average", "average the checkpoints of a run into one network, and evaluate it"),
    "predict": Command("job.commands.predict", "predict the classes of images with a trained network"),
    "export": Command("job.commands.export", "write a trained network for TensorFlow, ONNX or an Ascend 310"),
    "compare": Command("job.commands.compare", "compare runs interval by interval"),
    "sweep": Command("job.commands.sweep", "run a study: variants, target domains and seeds, from one file"),
    "table": Command("job.commands.table", "print the table of a study: variants, targets, seeds, and the paper"),
    "track": Command("job.commands.track", "copy a run into MLflow"),
    "sync": Command("job.commands.sync", "copy folders between OBS and this machine, list, verify, compare, clean up"),
    "pack": Command("job.commands.pack", "pack a folder into a few large objects, which a job pulls much faster"),
    "convert-weights": Command("job.commands.convert_weights",
                               "convert weights of Caffe, PyTorch, Keras or TensorFlow into a .npz"),
    "parity": Command("job.commands.parity", "compare this machine's arithmetic with the reference's numbers"),
    "bench": Command("job.commands.bench", "measure the time of iterations, as the published figures do"),
    "mock": Command("job.commands.mock", "run a mocked ModelArts, OBS and IAM for other programs"),
    "make-miniature": Command("job.commands.make_miniature", "draw a miniature PACS"),
}


def main(argv: Sequence[str]) -> int:
    """Run a command line and return the exit code.

    A mistake of the user ends with one message, an unexpected error with its stack trace.
    """
    open_closed_streams()
    console = Console()
    console.set_up_logging()
    try:
        code = _run(list(argv), console)
        with telling(code):
            pass  # writes out what the command has printed and Python still holds
        return code
    except OutputClosed as closed:
        return closed.code
    except BrokenPipeError as error:  # of a print, or of a connection
        return UNREAD if is_closed() else _report(error)
    except BaseException as error:
        console.close()  # first, so that the message is the last thing on screen
        if isinstance(error, KeyboardInterrupt):
            begin_line()
        return _report(error)
    finally:
        console.close()
        console.give_back_logging()


def _run(argv: Sequence[str], console: Console) -> int:
    if not argv or argv[0] in ("-h", "--help", "help"):
        with telling():
            print(encodable(overview()))
        return 0 if argv else 2
    name, rest = argv[0], argv[1:]
    if name not in COMMANDS:
        raise ConfigError(f"unknown command {name!r}{suggestion(name, COMMANDS)} (python -m job --help lists them)")
    command = importlib.import_module(COMMANDS[name].module)
    try:
        args = _parse(name, command, rest)
    except SystemExit as leaving:  # argparse has printed its help or its error
        return int(leaving.code or 0)
    return command.main(args, console) or 0


def _parse(name: str, command: Any, arguments: Sequence[str]) -> argparse.Namespace:
    """Read the command's own arguments."""
    takes_settings = getattr(command, "TAKES_SETTINGS", False)
    epilog = "examples:\n" + command.EXAMPLES.strip("\n")
    if takes_settings:
        from job.config.loading import settings_help

        epilog += "\n\n" + settings_help()
    parser = _Parser(
        "python -m job " + name, description=command.__doc__, epilog=epilog, allow_abbrev=False,
        usage=getattr(command, "USAGE", "%(prog)s [--config=FILE] [--name=value ...]") if takes_settings else None,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    command.add_arguments(parser)
    if not takes_settings and not hasattr(command, "explain_unknown"):
        return parser.parse_args(arguments)
    args, rest = parser.parse_known_args(arguments)
    if takes_settings:
        args.settings = rest
    elif rest:
        raise ConfigError(command.explain_unknown(rest))
    return args


class _Parser(argparse.ArgumentParser):
    """A parser whose errors hold no control characters. A sub-parser of it is one as well."""

    def error(self, message: str) -> NoReturn:
        super().error(printable(message))


def _report(error: BaseException) -> int:
    """Log how the command ended; return its exit code."""
    from job.exits import ending

    end = ending(error)
    if end.expected:
        log.error("%s", end.message)
        log.debug("where it was raised:", exc_info=error)
    else:
        log.error("%s", end.message, exc_info=error)
    return end.code


def overview() -> str:
    """The help of the program: all commands, a line for each."""
    lines = ["usage: python -m job COMMAND ...", "", "MASF as a ModelArts training job.", "", "commands:"]
    lines += [f"  {name:<16} {command.summary}" for name, command in COMMANDS.items()]
    lines += ["", "`python -m job COMMAND --help` explains a command and gives examples."]
    return "\n".join(lines)
