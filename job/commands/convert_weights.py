"""Convert pretrained weights into a .npz, after comparing every layer with the network.

IN is a .caffemodel, a .pth or .pt (a state dict), a .safetensors, a .h5 of Keras, the .index of a TensorFlow
checkpoint, a .npy or a .npz. Its content decides which of them it is. Neither the program that wrote it nor TensorFlow
is needed, and nothing in the file is executed.
weights_path takes the same files directly. A converted file is read faster, and tells where it is from: its member
masf-weights.json has the name and SHA-256 of IN, the network, and how images are prepared.
Exit code 0: done; 2: wrong usage; 3: IN is damaged or of another network; 4: IN does not exist, or OUT cannot be
written.
"""

from __future__ import annotations

import argparse
import glob
import os
from typing import Any, Dict, List

from job.config.given_values import refuse_url
from job.console import Console, amount
from job.errors import ConfigError, NoSuchWeights
from job.exits import DONE
from job.standard_output import shown, telling
from job.stopping import ended_by_sigterm

EXAMPLES = """
  python -m job convert-weights bvlc_alexnet.caffemodel alexnet.npz
  python -m job convert-weights squeezenet1_0-b66bff10.pth squeezenet.npz --network=squeezenet
  python -m job convert-weights logs/model.ckpt-300.index port.npz --network=alexnet
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", metavar="IN", help="the file of weights; of a checkpoint, its .index")
    parser.add_argument("target", metavar="OUT.npz", help="the file to write; it must not exist yet")
    parser.add_argument("--network", metavar="NAME",
                        help="the backbone that the weights are of (default: found out by the names of the arrays)")
    parser.add_argument("--width", type=float, default=1.0, metavar="W",
                        help="factor of the network's channel counts, as in training (default: %(default)s)")


def main(args: argparse.Namespace, console: Console) -> None:
    """Print to standard output what was converted."""
    from job.inputs.weights import local_file
    from masf_core.network.converted import fit, write_converted
    from masf_core.network.formats.naming import AS_HERE
    from masf_core.network.pretrained import read_weights
    from obs_sync.local.files import local_storage

    _check(args)
    source = local_file(args.source)
    if source is None and os.path.isdir(args.source):
        raise ConfigError(f"IN {args.source} is a folder; expected {_file_in(args.source)}")
    if source is None:
        raise NoSuchWeights(f"there is no file {args.source} to convert; check the path")
    weights = read_weights(source, args.network)
    fitted = fit(weights, source, args.network, args.width)
    record: Dict[str, Any] = {
        "source": os.path.basename(source), "sha256": _digests(source), "format": weights.told,
        "network": fitted.network, "width": args.width, "preprocessing": AS_HERE,
        "preprocessing_of_source": weights.preprocessing, "not_converted": fitted.rest}
    with ended_by_sigterm(), local_storage(args.target):
        write_converted(args.target, fitted.arrays, record)
    with telling(DONE):
        for line in _told(source, args.target, record, len(fitted.arrays)):
            print(shown(line))


def _check(args: argparse.Namespace) -> None:
    """Raise ConfigError where the command line cannot be meant so."""
    from masf_core.network.registry import BACKBONES

    for what, given in (("IN", args.source), ("OUT", args.target)):
        refuse_url(what, given)
    if not args.target.endswith(".npz"):
        raise ConfigError(f"{args.target}: expected a name that ends in .npz, the format that convert-weights writes")
    if os.path.exists(args.target):
        raise ConfigError(f"{args.target} exists already; choose another name, or delete it")
    if args.network is not None and args.network not in BACKBONES:
        raise ConfigError(f"--network={args.network}: expected one of {', '.join(BACKBONES)}")
    if not 0.0 < args.width <= 4.0:
        raise ConfigError(f"--width={args.width:g}: expected more than 0 and at most 4")


def _file_in(folder: str) -> str:
    """What to give in place of a folder: the network of a checkpoint, or of the newest checkpoint of a run."""
    for inner in ((), ("checkpoints", "*")):
        networks = sorted(glob.glob(os.path.join(glob.escape(folder), *inner, "network.npz")))
        if networks:
            return f"a file, here {networks[-1]}"
    return "a file of weights, such as its network.npz, and there is none"


def _digests(source: str) -> Dict[str, str]:
    """The SHA-256 of each file of the weights, by its name."""
    from job.inputs.fetch_weights import local_companions
    from obs_sync.local.files import digest_of

    return {os.path.basename(path): digest_of(path, "sha256") for path in [source] + local_companions(source)}


def _told(source: str, target: str, record: Dict[str, Any], arrays: int) -> List[str]:
    lines = [f"{source}: {record['format']}",
             f"network: {record['network']}, {arrays} arrays, all shapes fit",
             f"images: {record['preprocessing_of_source']}"]
    rest = record["not_converted"]
    if rest:
        lines.append(f"not converted: {len(rest)} arrays, such as {', '.join(rest[:3])}")
    return lines + [f"{target}: {amount(os.path.getsize(target), 'B')}"]
