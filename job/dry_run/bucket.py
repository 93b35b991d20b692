"""The bucket of a dry run: images and weights, and the folder that holds everything.

    <root>/bucket/masf-dry-run/   the bucket's objects, as plain files
    <root>/source/                images and weights that are made for the bucket
"""
from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from typing import List, Mapping, Optional

from job.config.settings import Network
from job.console import Console
from job.inputs.fetch_weights import local_companions
from job.inputs.weights import local_file
from job.standard_output import encodable
from masf_core.data import miniature
from obs_sync import LocalStorageError, open_store, push

BUCKET = "masf-dry-run"


def other_root(lane: Optional[str]) -> str:
    """How a person gives a dry run another folder: with make, or without."""
    return "RESULTS=DIR" if lane else "--root"


def make_root(root: str, lane: Optional[str]) -> None:
    """Make the folder, and check that it can be written. Raises LocalStorageError if not."""
    try:
        os.makedirs(root, exist_ok=True)
        with tempfile.TemporaryFile(dir=root):
            pass
    except OSError as error:
        raise LocalStorageError(f"cannot write there ({error.strerror})", root,
                                "Choose another folder with " + other_root(lane)) from error


def check_given(pacs_root: Optional[str], weights: Optional[str], lane: Optional[str]) -> None:
    """Raise LocalStorageError for images or weights that do not exist. The message names what the person gave."""
    if pacs_root is not None and not os.path.isdir(pacs_root):
        raise LocalStorageError(f"{'PACS_ROOT=' if lane else '--pacs_root '}{pacs_root} is not a folder",
                                _elsewhere(pacs_root), "Give the folder that holds the domains")
    if weights is not None and local_file(weights) is None:
        raise LocalStorageError(f"{'WEIGHTS=' if lane else '--weights '}{weights} is not a file of weights",
                                _elsewhere(weights), "Give a file of weights")


def _elsewhere(path: str) -> Optional[str]:
    """The absolute path of a relative one; None for one that says itself where it is."""
    return None if os.path.isabs(path) else os.path.abspath(path)


def fill_data(root: str, pacs_root: Optional[str], environ: Mapping[str, str], console: Console) -> str:
    """Store images and lists in the bucket, unless they are there already. Returns the data_url."""
    if pacs_root is None:
        source = os.path.join(root, "source", "miniature-pacs")
        if not os.path.isdir(source):
            # Drawn under another name, so that an incomplete one is never used.
            shutil.rmtree(source + ".partial", ignore_errors=True)
            miniature.write_miniature(source + ".partial", on_progress=console.task("draw miniature PACS", "images"))
            os.replace(source + ".partial", source)
        prefix, folders = "miniature-pacs", [("", source)]
    else:
        pacs_root = os.path.abspath(pacs_root)
        # Other data needs another prefix: the job would see the data of both.
        prefix = "pacs-" + hashlib.sha256(pacs_root.encode()).hexdigest()[:6]
        lists = next((path for path in list_places(pacs_root) if has_lists(path)), None)
        folders = [("images/", pacs_root)] + ([("kfold/", lists)] if lists and lists != pacs_root else [])
    url = f"obs://{BUCKET}/{prefix}/"
    for subfolder, source in folders:
        with open_store(url + subfolder, environ, backend="esdk") as store:
            push(store, source, on_progress=console.task("fill bucket", "B"))
    return url


def list_places(pacs_root: str) -> List[str]:
    """Folders that may hold the official list files of a PACS_ROOT, in the layouts that people have."""
    return [pacs_root, os.path.join(pacs_root, "kfold"), os.path.join(os.path.dirname(pacs_root), "kfold"),
            os.path.dirname(pacs_root)]


def has_lists(directory: str) -> bool:
    """Whether the folder holds list files of PACS."""
    return os.path.isdir(directory) and any(name.endswith("_train_kfold.txt") for name in os.listdir(directory))


def fill_weights(root: str, weights: Optional[str], network: Network, environ: Mapping[str, str],
                 console: Console) -> str:
    """Store the weights in the bucket. Returns their URL, or ``none`` for a network that has no random weights."""
    if weights is None:
        if network.backbone != "alexnet":
            say(f"{network.backbone} is trained from scratch (only alexnet gets random weights to begin with)")
            return "none"
        weights = os.path.join(root, "source", f"weights-{network.width:g}", "bvlc_alexnet.npy")
        if not os.path.exists(weights):
            os.makedirs(os.path.dirname(weights), exist_ok=True)
            miniature.write_alexnet_weights(weights, width=network.width)
    weights = local_file(weights) or weights
    stat = os.stat(weights)
    version = hashlib.sha256(f"{os.path.abspath(weights)} {stat.st_size} {stat.st_mtime_ns}".encode())
    folder, name = f"obs://{BUCKET}/weights/{version.hexdigest()[:6]}/", os.path.basename(weights)
    with open_store(folder, environ, backend="esdk") as store:
        if not store.exists(name):
            progress, sent = console.task("fill bucket", "B"), [0]

            def on_bytes(count: int) -> None:
                sent[0] += count
                progress(sent[0], stat.st_size)

            for companion in local_companions(weights):
                store.upload(companion, os.path.basename(companion))
            store.upload(weights, name, on_bytes)
    return folder + name


def say(text: str) -> None:
    """Print one step of the dry run, marked so that it differs from the lines of the job."""
    print(encodable("== " + text), flush=True)
