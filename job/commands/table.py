"""Print the table of a study: a row for each variant, a column for each target domain, and the average.

URL is the folder of a run (train_url/run_name) or a folder above runs (train_url). Runs with the same settings, except
for target domain and seed, are one variant. The table shows mean and error over seeds, the rows of the MASF paper for
the same method, and the differences between variants in pairs of the same target and seed. Runs that are missing,
failed or not finished are listed and are never part of a mean.
"""

from __future__ import annotations

import argparse
import os
import sys
from typing import Any, Callable, Dict, List, Sequence

from job.console import Console
from job.errors import ConfigError
from job.exits import DONE
from job.reports.table.cells import ERROR_NAMES
from job.standard_output import encodable, telling

EXAMPLES = """
  python -m job table obs://bucket/output/
  python -m job table masf-work/output --all-selections --error=ci95
  python -m job table output/deepall_cartoon output/masf_cartoon --baseline=DeepAll
  python -m job table obs://bucket/output/ --out table.tex --out table.html
Exit code 0: the table is printed, even if runs are missing from it; 2: wrong usage; 4: no run there, or the storage
failed.
"""

FORMATS = {"text": ".txt", "markdown": ".md", "latex": ".tex", "csv": ".csv", "json": ".json", "html": ".html"}
SELECTIONS = ("source_val", "last", "oracle")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("urls", nargs="+", metavar="URL",
                        help="folder of a run, or a folder above runs: a URL or a local path")
    add_table_arguments(parser)


def add_table_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments that are about the table, which ``sweep collect`` has as well."""
    parser.add_argument("--selection", choices=SELECTIONS, default=SELECTIONS[0],
                        help="policy that selects the checkpoint of each run (default: %(default)s)")
    add_flag(parser, "--all-selections", action="store_true", help="show a row for each of the policies")
    parser.add_argument("--error", choices=tuple(ERROR_NAMES), default="std",
                        help="what stands after ±: standard deviation, standard error, or half the 95 %% confidence "
                             "interval (default: %(default)s)")
    parser.add_argument("--paper", choices=("matching", "all", "none"), default="matching",
                        help="published rows to show: those of the methods that were run, all, or none (default: "
                             "%(default)s)")
    parser.add_argument("--baseline", metavar="VARIANT",
                        help="variant with which the others are compared in pairs (default: DeepAll, or the first)")
    parser.add_argument("--format", choices=tuple(FORMATS), default="text",
                        help="form of what is printed (default: %(default)s)")
    parser.add_argument("--json", action="store_const", const="json", dest="format",
                        help="print one JSON document, as --format=json does")
    parser.add_argument("--out", metavar="FILE", action="append", default=[],
                        help="also write the table to this local file; its suffix chooses the form: "
                             + ", ".join(FORMATS.values()) + ". May be given several times")


def add_flag(parser: argparse.ArgumentParser, flag: str, **options: Any) -> None:
    """Add a flag whose words are joined by hyphens; joined by underscores, as settings are, it is taken as well."""
    parser.add_argument(flag, **options)
    name = flag[2:].replace("-", "_")
    parser.add_argument(f"--{name}", **dict(options, dest=name, default=argparse.SUPPRESS, help=argparse.SUPPRESS))


def main(args: argparse.Namespace, console: Console) -> None:
    """Print to standard output, and write the files of --out."""
    check_outputs(args.out)
    from job.reports.table.build import build
    from job.reports.table.runs import find_runs
    from job.reports.table.variants import group
    from obs_sync import open_store

    found = find_runs(args.urls, open_store)
    grouped = group(found.runs)
    show(build(grouped.variants, found.unreadable, grouped.left_out, options_of(args)), args)


def options_of(args: argparse.Namespace) -> object:
    """``Options`` as the arguments of ``add_table_arguments`` give them."""
    from job.reports.table.build import Options

    selections = SELECTIONS if args.all_selections else (args.selection,)
    return Options(selections, args.error, args.paper, args.baseline)


def check_outputs(paths: Sequence[str]) -> None:
    """Raise ConfigError for a file whose suffix names no form, before anything is read."""
    for path in paths:
        if os.path.splitext(path)[1].lower() not in FORMATS.values():
            raise ConfigError(f"--out={path}: the suffix chooses the form; expected one of "
                              + ", ".join(FORMATS.values()))


def show(table: object, args: argparse.Namespace) -> None:
    """Write the files of --out, then print. Raises LocalStorageError if a file cannot be written."""
    from masf_core.records.files import replace_text
    from obs_sync import LocalStorageError

    forms = renderers()
    by_suffix = {suffix: name for name, suffix in FORMATS.items()}
    for path in args.out:
        try:
            replace_text(path, forms[by_suffix[os.path.splitext(path)[1].lower()]](table))
        except OSError as error:
            raise LocalStorageError(f"cannot be written ({error.strerror})", path,
                                    "Choose another file with --out") from error
    with telling(DONE):  # after the files, which are written even if nobody reads the table
        print(encodable(plain(forms[args.format](table))), end="")


def plain(text: str) -> str:
    """``text`` with ``+-`` instead of a plus-minus sign where standard output cannot take one."""
    encoding = getattr(sys.stdout, "encoding", None) or "ascii"
    try:
        "±".encode(encoding)
    except UnicodeEncodeError:
        return text.replace("±", "+-")
    return text


def renderers() -> Dict[str, Callable[[object], str]]:
    """Form → function from a ``Table`` to its text."""
    from job.reports.table.formats import as_csv, as_json, as_markdown, as_text
    from job.reports.table.latex import as_latex
    from job.reports.table.page import as_page

    forms: List[Callable] = [as_text, as_markdown, as_latex, as_csv, as_json, as_page]
    return dict(zip(FORMATS, forms))
