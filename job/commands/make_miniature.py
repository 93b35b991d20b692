"""Draw a miniature PACS: 4 domains with 7 classes that differ by shape, and list files."""

from __future__ import annotations

import argparse
import os

from job.config.given_values import refuse_url
from job.console import Console
from job.errors import ConfigError
from job.exits import DONE
from job.standard_output import shown, telling

EXAMPLES = """
  python -m job make-miniature miniature-pacs
  python -m job make-miniature miniature-pacs --images_per_class=10 --seed=3
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", metavar="FOLDER", help="new or empty folder for the images and lists")
    parser.add_argument("--images_per_class", type=int, default=30, metavar="N",
                        help="images of each class in each domain (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="seed of the drawings (default: %(default)s)")


def main(args: argparse.Namespace, console: Console) -> None:
    """Draw, unless the folder holds something already."""
    from masf_core.data.miniature import write_miniature
    from obs_sync import LocalStorageError

    refuse_url("FOLDER", args.folder)
    if args.images_per_class < 2:
        raise ConfigError(f"--images_per_class={args.images_per_class}: expected at least 2, one to train on and "
                          "one to validate with")
    if os.path.exists(args.folder) and (not os.path.isdir(args.folder) or os.listdir(args.folder)):
        raise ConfigError(f"{args.folder} exists and is not an empty folder; choose another")
    try:
        with console.task("draw miniature PACS", "images") as on_progress:
            write_miniature(args.folder, args.images_per_class, args.seed, on_progress=on_progress)
    except OSError as error:
        raise LocalStorageError(f"FOLDER {args.folder}: cannot be written ({error.strerror or error})",
                                error.filename or args.folder, "Give a folder on a disk that this user can write and "
                                "that is not full") from error
    with telling(DONE):
        print(shown(args.folder))
