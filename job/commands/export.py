"""Export a trained network as files that other programs load.

RUN is the folder of a finished or running run (train_url/run_name/), the folder of one checkpoint, or a network.npz: a
URL or a local path. The command makes a new folder with the files of the format and export.json, which names the
classes in order and says what has to be done with an image, how inputs and outputs are called, which digests the files
have, and which atc commands compile them for an Ascend. Before the folder appears, the export is run on up to 32 images
and compared with the evaluator. The folder appears whole or not at all.
"""

from __future__ import annotations

import argparse
import os
import posixpath
from typing import Any

from job.commands.evaluate import begin, names_of, open_named
from job.console import Console
from job.errors import ConfigError
from job.exits import DONE
from job.standard_output import encodable, json_text, telling
from job.stopping import ended_by_sigterm
from masf_core.export.choices import CKPT, FORMATS, INPUTS, ONNX_PACKAGES, RAW, missing_packages

TAKES_SETTINGS = True
USAGE = ("%(prog)s RUN --format=pb|saved_model|ckpt|onnx [--input=raw|preprocessed] [--out=FOLDER] [--images=PLACE] "
         "[--checkpoint=best|last|NAME] [--classes=A,B] [--json] [--name=value ...]")
OWN_FLAGS = ("format", "input", "out", "images", "checkpoint", "classes", "json")
EXAMPLES = """
  python -m job export obs://bucket/output/masf_cartoon --format=pb
  python -m job export masf-work/output/masf_cartoon --format=saved_model --out=models/masf/1
  python -m job export obs://bucket/output/masf_cartoon --format=pb --input=preprocessed --out=obs://bucket/om/cartoon/
  python -m job export masf-work/output/masf_cartoon --format=ckpt --checkpoint=last
  python -m job export masf-work/output/masf_cartoon --format=onnx --images=photos/
Exit code 0: done; 2: wrong usage or settings, a package is missing, or there is something at FOLDER; 3: the network
cannot be used; 4: storage or the local disk failed, or there is nothing at RUN; 5: the export computes other numbers.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("place", metavar="RUN", help="run, checkpoint or network.npz: a URL or a local path")
    parser.add_argument("--format", required=True, choices=FORMATS,
                        help="pb: frozen graph; saved_model: SavedModel; ckpt: checkpoint of TensorFlow's Saver with "
                             "the reference's names; onnx: ONNX model")
    parser.add_argument("--input", choices=INPUTS, default=RAW,
                        help="raw: bytes of RGB, the preprocessing is inside; preprocessed: float BGR minus the mean "
                             "colour, as the port's inference package has it (default: raw)")
    parser.add_argument("--out", metavar="FOLDER",
                        help="folder or URL to make (default: exports/NAME-ITERATION-FORMAT below the current folder)")
    parser.add_argument("--images", metavar="PLACE",
                        help="images for the comparison: image, folder, list or URL (default: the data of the run if "
                             "they are on this machine, otherwise synthetic images)")
    parser.add_argument("--checkpoint", metavar="WHICH",
                        help="checkpoint of the run: best, last, or its name (default: best)")
    parser.add_argument("--classes", metavar="NAMES",
                        help="names of the classes in the order of the training, for a network.npz without its run")
    parser.add_argument("--json", action="store_true", help="print export.json")


def main(args: argparse.Namespace, console: Console) -> None:
    """Print to standard output what was exported."""
    classes = names_of("--classes", args.classes)
    missing = missing_packages(args.format)
    if missing:
        raise ConfigError(f"--format={args.format} needs packages that are not installed: {', '.join(missing)}. Run "
                          f"pip install {' '.join(ONNX_PACKAGES)}, or export another format: "
                          f"{', '.join(name for name in FORMATS if name != args.format)}")
    opening = begin(args, console, OWN_FLAGS, [("RUN", args.place), ("--out", args.out), ("--images", args.images),
                                               ("--checkpoint", args.checkpoint)])
    if opening.waits("exports"):
        return
    with ended_by_sigterm():
        from job.export.delivery import check_place
        from job.inputs.fetch_trained import fetch_metric
        from job.inputs.images import Images

        if args.out is not None:
            check_place(args.out, args.place, opening.open_at)
        workspace, network, config, names, values = open_named(args, opening, console, classes)
        metric = fetch_metric(network, workspace, console, opening.open_at) if args.format == CKPT else {}
        out = args.out
        if out is None:
            out = default_out(network, args.format)
            check_place(out, args.place, opening.open_at)
        from job.export.samples import find_samples
        from job.export.sidecar import text
        from job.export.story import Request, export_network  # imports TensorFlow, which takes seconds
        from masf_core.network.architecture import make_architecture

        side = make_architecture(config.network.backbone, len(names), config.network.width).image_size
        images = Images(names, None, config, workspace, console, os.environ, opening.open_at)
        samples = find_samples(args.images, config, images, workspace, side)
        told = export_network(Request(network, config, names, values, metric, args.format, args.input, out), samples,
                              workspace, console, opening.open_at)
        console.close()
        with telling(DONE):
            print(json_text(told) if args.json else encodable("\n".join(text(out, told))))


def default_out(network: Any, kind: str) -> str:
    """A new folder below the current one: name of the run or the file, iteration, format."""
    file = network.trained.file
    name = posixpath.basename((file.run or file.checkpoint or file.folder).rstrip("/")) or "network"
    iteration = network.trained.iteration
    return os.path.join("exports", "-".join([name] + ([f"{iteration:06d}"] if iteration is not None else []) + [kind]))
