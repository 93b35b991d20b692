"""Predict the classes of images with a trained network.

RUN is the folder of a finished or running run (train_url/run_name/), the folder of one checkpoint, or a network.npz: a
URL or a local path. IMAGES are image files, folders of them, lists (.txt, each line a path and perhaps a class number),
or obs:// URLs of any of these. An image in a folder that has the name of a class belongs to that class; the command
then also says how many predictions are right, and shows the worst mistakes first.
The command prints a short table. An image that cannot be read is a row with the reason.
"""

from __future__ import annotations

import argparse
import os

from job.commands.evaluate import begin, names_of, open_named
from job.console import Console
from job.errors import ConfigError
from job.exits import DONE
from job.standard_output import encodable, json_text, telling
from job.stopping import ended_by_sigterm

TAKES_SETTINGS = True
USAGE = ("%(prog)s RUN IMAGES [IMAGES ...] [--out=FILE.csv] [--page=FILE.html] [--json] [--checkpoint=best|last|NAME] "
         "[--classes=A,B] [--root=FOLDER] [--name=value ...]")
OWN_FLAGS = ("checkpoint", "classes", "out", "page", "json", "root")
EXAMPLES = """
  python -m job predict obs://bucket/output/masf_cartoon photos/
  python -m job predict masf-work/output/masf_cartoon photos/ one.jpg --out=classes.csv --page=classes.html
  python -m job predict ckpt-000300-1a2b3c4d obs://bucket/new/ --json
  python -m job predict obs://bucket/output/masf_cartoon kfold/cartoon_test_kfold.txt --root=images
  python -m job predict network.npz photos/ --classes=dog,elephant,giraffe,guitar,horse,house,person
Exit code 0: done; 2: wrong usage or settings; 3: the network cannot be used, or no image can be read; 4: storage or the
local disk failed, or something that was named does not exist.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("place", metavar="RUN", help="run, checkpoint or network.npz: a URL or a local path")
    parser.add_argument("images", metavar="IMAGES", nargs="+", help="image, folder, list or URL")
    parser.add_argument("--checkpoint", metavar="WHICH",
                        help="checkpoint of the run: best, last, or its name (default: best)")
    parser.add_argument("--classes", metavar="NAMES",
                        help="names of the classes in the order of the training, for a network.npz without its run")
    parser.add_argument("--out", metavar="FILE",
                        help="also write a line for each image to this CSV file, a path or a URL: path, label, "
                             "predicted class, its probability, why it cannot be read, probability of each class")
    parser.add_argument("--page", metavar="FILE",
                        help="also write a page with the pictures to this HTML file, a path or a URL")
    parser.add_argument("--root", metavar="FOLDER",
                        help="folder or URL where the paths in lists begin (default: the folder of the list)")
    parser.add_argument("--json", action="store_true", help="print one JSON document")


def main(args: argparse.Namespace, console: Console) -> None:
    """Print to standard output, and write the files of --out and --page."""
    classes = names_of("--classes", args.classes)
    opening = begin(args, console, OWN_FLAGS, [("RUN", args.place), ("--checkpoint", args.checkpoint),
                                               ("--out", args.out), ("--page", args.page),
                                               ("--root", args.root)] + [("IMAGES", each) for each in args.images])
    from job.reports.image_results import check_writable, is_one_of, joined, place_of, write_whole

    out = None if args.out is None else place_of(args.out, args.place, "--out", "predict")
    page = None if args.page is None else place_of(args.page, args.place, "--page", "predict", "images.html")
    files = [(flag, place) for flag, place in (("--out", out), ("--page", page)) if place is not None]
    if out is not None and out == page:
        raise ConfigError(f"--out={args.out} and --page={args.page} are the same file; give two files")
    if opening.waits("predicts"):
        return
    with ended_by_sigterm():
        from job.inputs.images import Images

        workspace, network, config, names, values = open_named(args, opening, console, classes)
        images = Images(names, args.root, config, workspace, console, os.environ, opening.open_at).find(args.images)
        inputs = [each for image in images for each in (image.path, image.shown)] + args.images
        for flag, place in files:
            if is_one_of(joined(*place), inputs):
                raise ConfigError(f"{flag}={joined(*place)}: this is one of IMAGES, and would be overwritten; give "
                                  "another file")
            check_writable(*place, flag=flag)
        from job.prediction import predict, refuse_all_unreadable  # imports TensorFlow, which takes seconds
        from job.reports.prediction_page import render
        from job.reports.predictions import csv_text, document, text
        from masf_core.memory import keep_freed_memory

        keep_freed_memory()
        found = predict(network, config, names, values, images, workspace, console, os.environ)
        console.close()
        try:
            if out is not None:
                write_whole(*out, text=csv_text(found), open_at=opening.open_at)
            if page is not None:
                write_whole(*page, text=render(found, config.data.max_pixels), open_at=opening.open_at, flag="--page")
        finally:  # what was found is told even where a file cannot be written
            with telling(DONE):
                print(json_text(document(found)) if args.json
                      else encodable("\n".join(text(found, elsewhere=out is not None))))
        refuse_all_unreadable(found)
