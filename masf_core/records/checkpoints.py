"""Local checkpoints: everything that a run needs to go on as if it had never stopped.

A checkpoint is a directory:

    network.npz, metric.npz                       θ and φ
    task_adam.npz, meta_adam.npz, metric_adam.npz  the optimisers' moments and powers
    loss_scale.npz                                the loss scale and its counters, where losses are scaled
    progress.json                                 iteration, history, pending losses, best score, configuration

The arrays are plain NumPy files: ``np.load("network.npz")["fc8/weights"]`` needs neither TensorFlow nor this package.
Randomness is a function of the iteration, so there is no generator state to save.
"""
from __future__ import annotations

import concurrent.futures
import errno
import hashlib
import json
import os
import shutil
import zipfile
from typing import Any, Dict, List, NamedTuple

from masf_core.errors import CheckpointError
from masf_core.records.files import sync
from masf_core.records.npz import Hashing, read_npz, write_npz

PROGRESS_FILE = "progress.json"
ARRAYS_ENDING = ".npz"
SCALE = "loss_scale"
FORMAT = 1
READERS = 4  # files read at once


class Progress(NamedTuple):
    """Where a run is, besides its arrays.

    ``pending`` are the per-iteration scalars since the last interval: a run stopped in mid-interval resumes with them,
    so that the interval's means come out the same.
    """

    iteration: int
    history: List[Dict[str, Any]]  # one record an interval, see logs.py
    pending: List[Dict[str, float]]
    details: Dict[str, Any]  # the job's own: configuration, data fingerprint, lineage

    def evaluated(self):
        """Has the interval that ends at this iteration been evaluated?"""
        return bool(self.history) and self.history[-1]["iteration"] == self.iteration


def save(directory, arrays, progress):
    """Write a checkpoint; ``directory`` appears whole or not at all.

    Args:
        directory: path that does not exist yet. arrays: name → array, as ``TrainingGraph.state`` names them.
        progress: ``Progress``.

    Returns:
        dict file name → SHA-256 of what was written to it: who publishes the checkpoint need not read it for that.

    Raises:
        CheckpointError: it exists already, or could not be written (disk full, no permission).
    """
    if os.path.exists(directory):
        raise CheckpointError(f"checkpoint {directory} exists already; a checkpoint is never written twice")
    partial, digests = directory + ".partial", {}

    def write(name, write_to):
        with open(os.path.join(partial, name), "wb") as stream:
            hashing = Hashing(stream)
            write_to(hashing)
            sync(stream)
        digests[name] = hashing.sha256()

    try:
        shutil.rmtree(partial, ignore_errors=True)
        os.makedirs(partial)
        needed, free = sum(array.nbytes for array in arrays.values()), shutil.disk_usage(partial).free
        if needed > free:
            # Found out here rather than by a write that fails half-way into an archive.
            raise OSError(errno.ENOSPC, f"No space left: {needed / 1e6:.1f} MB are needed, {free / 1e6:.1f} MB are "
                                        "free")
        for group, members in grouped(arrays).items():
            write(group + ARRAYS_ENDING, lambda stream, members=members: write_npz(stream, members))
        text = json.dumps(dict(progress._asdict(), format=FORMAT), allow_nan=True)
        write(PROGRESS_FILE, lambda stream: stream.write(text.encode("utf-8")))
        os.replace(partial, directory)
    except OSError as error:
        shutil.rmtree(partial, ignore_errors=True)
        raise CheckpointError(f"cannot write checkpoint {directory}: {error.strerror or error}. Make room there, or "
                              "choose another place with "
                              "--work_dir.") from error
    return digests


def load(directory, digests=None):
    """Read a checkpoint back.

    Args:
        digests: file name → SHA-256 that the files must have; without, or for a file that is not in it, the archives'
            own checksums must hold.

    Returns:
        (dict name → array, ``Progress``).

    Raises:
        CheckpointError: unreadable, or not what it was.
    """
    digests, arrays = digests or {}, {}
    progress = load_progress(directory, digests.get(PROGRESS_FILE))
    try:
        names = sorted(name for name in os.listdir(directory) if name.endswith(ARRAYS_ENDING))
        with concurrent.futures.ThreadPoolExecutor(READERS) as pool:
            read = pool.map(lambda name: read_npz(os.path.join(directory, name), digests.get(name)), names)
            for name, members in zip(names, read):
                group = name[:-len(ARRAYS_ENDING)]
                arrays.update((restored_name(group, key), array) for key, array in members.items())
    except (OSError, ValueError, zipfile.BadZipFile, KeyError) as error:
        raise CheckpointError(f"cannot read checkpoint {directory}: {error}") from error
    return arrays, progress


def check_shapes(name, arrays, expected):
    """Raise if ``arrays`` of the checkpoint ``name`` are not those that the graph needs.

    A loss scale may be missing, or be there and not be needed: the run went on in another precision.

    Args:
        expected: name → shape.

    Raises:
        CheckpointError: names what differs.
    """
    differing = sorted(key for key in set(arrays) ^ set(expected) if not is_scale(key)) + [
        f"{key} {arrays[key].shape} instead of {tuple(expected[key])}"
        for key in expected if key in arrays and arrays[key].shape != tuple(expected[key])]
    if differing:
        raise CheckpointError("checkpoint {} was made for another network: {}".format(
            name, ", ".join(differing[:5]) + (" …" if len(differing) > 5 else "")))


def load_progress(directory, sha256=None):
    """Only the ``Progress`` of a checkpoint. Raises: CheckpointError, also if its file has another SHA-256."""
    path = os.path.join(directory, PROGRESS_FILE)
    try:
        with open(path, "rb") as stream:
            data = stream.read()
        if sha256 not in (None, hashlib.sha256(data).hexdigest()):
            raise ValueError(f"its SHA-256 is not {sha256}")
        content = json.loads(data.decode("utf-8"))
        if content.pop("format") != FORMAT:
            raise CheckpointError(f"{path} is of another format than {FORMAT}")
        return Progress(**content)
    except (OSError, ValueError, RecursionError, KeyError, TypeError) as error:
        raise CheckpointError(f"cannot read {path}: {error}") from error


def group_key(name):
    """``conv1/weights`` → ``network/conv1/weights``: every array's name, with the file it belongs to in front."""
    head = name.split("/", 1)[0]
    if head.endswith("_adam") or is_scale(name):
        return name
    return ("metric/" if head.startswith("metric") else "network/") + name


def restored_name(group, key):
    """The inverse of ``group_key`` after the file's name has been cut off."""
    return f"{group}/{key}" if group.endswith("_adam") or group == SCALE else key


def is_scale(name):
    """Whether an array of that name belongs to the loss scale."""
    return name.startswith(SCALE + "/")


def grouped(arrays):
    """File name (without ending) → {key in the file: array}."""
    groups = {}
    for name, array in arrays.items():
        group, key = group_key(name).split("/", 1)
        groups.setdefault(group, {})[key] = array
    return groups
