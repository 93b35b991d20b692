"""Local checkpoints: everything that a run needs to resume as if it had never stopped.

A checkpoint is a directory:

    network.npz, metric.npz                       θ and φ
    task_adam.npz, meta_adam.npz, metric_adam.npz  the optimisers' moments and powers
    loss_scale.npz                                the loss scale and its counters, where losses are scaled
    progress.json                                 iteration, history, pending losses, details (see progress.py)

The arrays are plain NumPy files: ``np.load("network.npz")["fc8/weights"]`` needs neither TensorFlow nor this package.
Random numbers are a function of the iteration, so there is no generator state to save.
"""
from __future__ import annotations

import concurrent.futures
import errno
import hashlib
import os
import shutil
import zipfile
from typing import Any, Callable, Dict, Mapping, Optional, Sequence, Tuple

import numpy as np

from masf_core.errors import CheckpointError
from masf_core.records.files import sync
from masf_core.records.finite import not_finite
from masf_core.records.npz import Hashing, read_npz, write_npz
from masf_core.records.progress import LARGEST, Progress, parse_progress, progress_text
from masf_core.words import some

__all__ = ["Progress", "check_shapes", "group_key", "grouped", "is_scale", "load", "load_progress", "restored_name",
           "save"]

PROGRESS_FILE = "progress.json"
ARRAYS_ENDING = ".npz"
SCALE = "loss_scale"
READERS = 4  # files read at once


def save(directory: str, arrays: Mapping[str, np.ndarray], progress: Progress) -> Dict[str, str]:
    """Write a checkpoint. ``directory`` appears whole or not at all.

    Args:
        directory: path that does not exist yet. arrays: name → float32 array of any shape, as ``TrainingGraph.state``
            names them; the counters of the loss scale are integers.

    Returns:
        dict file name → SHA-256 of the file, so that publishing the checkpoint need not read it again.

    Raises:
        CheckpointError: it exists already, or could not be written (disk full, no permission).
    """
    if os.path.exists(directory):
        raise CheckpointError(f"checkpoint {directory} exists already; a checkpoint is never written twice")
    partial, digests = directory + ".partial", {}

    def write(name: str, write_to: Callable[[Any], object]) -> None:
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
            # Raised here, before a write fails in the middle of an archive.
            raise OSError(errno.ENOSPC, f"No space left: {needed / 1e6:.1f} MB are needed, {free / 1e6:.1f} MB are "
                                        "free")
        for group, members in grouped(arrays).items():
            write(group + ARRAYS_ENDING, lambda stream, members=members: write_npz(stream, members))
        text = progress_text(progress)
        write(PROGRESS_FILE, lambda stream: stream.write(text.encode("utf-8")))
        os.replace(partial, directory)
    except OSError as error:
        shutil.rmtree(partial, ignore_errors=True)
        raise CheckpointError(f"cannot write checkpoint {directory}: {error.strerror or error}. Make room there, or "
                              "choose another place with --work_dir.") from error
    return digests


def load(directory: str, digests: Optional[Mapping[str, str]] = None) -> Tuple[Dict[str, np.ndarray], Progress]:
    """Read a checkpoint back.

    Args:
        digests: file name → SHA-256 that the file must have. Of a file that is not named here, the archive's own
            checksums must be right.

    Returns:
        (dict name → array, ``Progress``). Every array is finite and of the type that ``save`` writes.

    Raises:
        CheckpointError: the checkpoint cannot be read, is damaged, or holds what no run writes.
    """
    digests = digests or {}
    arrays: Dict[str, np.ndarray] = {}
    progress = load_progress(directory, digests.get(PROGRESS_FILE))

    def read(file: str) -> Dict[str, np.ndarray]:
        group = file[:-len(ARRAYS_ENDING)]
        members = read_npz(os.path.join(directory, file), digests.get(file))
        return {restored_name(group, key): _checked(file, key, array) for key, array in members.items()}

    try:
        files = sorted(file for file in os.listdir(directory) if file.endswith(ARRAYS_ENDING))
        with concurrent.futures.ThreadPoolExecutor(READERS) as pool:
            for members in pool.map(read, files):
                arrays.update(members)
    except (OSError, ValueError, zipfile.BadZipFile, KeyError) as error:
        raise CheckpointError(f"cannot read checkpoint {directory}: {error}") from error
    return arrays, progress


def _checked(file: str, key: str, array: np.ndarray) -> np.ndarray:
    """``array``, of which ``file`` holds ``key``. Raises ValueError if training cannot go on from it."""
    kinds = [np.float32, np.int32, np.int64] if file == SCALE + ARRAYS_ENDING else [np.float32]
    if all(array.dtype != kind for kind in kinds):
        expected = " or ".join(np.dtype(kind).name for kind in kinds)
        raise ValueError(f"{key} in {file} is of type {array.dtype}; expected {expected}")
    if not_finite({key: array}):
        raise ValueError(f"{key} in {file} holds values that are NaN or infinite")
    return array


def check_shapes(name: str, arrays: Mapping[str, np.ndarray], expected: Mapping[str, Sequence[int]]) -> None:
    """Raise if ``arrays`` of the checkpoint ``name`` are not those that the graph needs.

    The loss scale may be missing, or be there and not be needed: then the run resumes in another precision.

    Args:
        expected: name → shape.

    Raises:
        CheckpointError: names the arrays that differ.
    """
    differing = sorted(key for key in set(arrays) ^ set(expected) if not is_scale(key)) + [
        f"{key} {arrays[key].shape} instead of {tuple(expected[key])}"
        for key in expected if key in arrays and arrays[key].shape != tuple(expected[key])]
    if differing:
        raise CheckpointError(f"checkpoint {name} was made for another network: {some(differing)}")


def load_progress(directory: str, sha256: Optional[str] = None) -> Progress:
    """Only the ``Progress`` of a checkpoint.

    Raises:
        CheckpointError: the file cannot be read, is damaged, or has another SHA-256 than ``sha256``.
    """
    path = os.path.join(directory, PROGRESS_FILE)
    try:
        with open(path, "rb") as stream:
            data = stream.read(LARGEST + 1)
        if sha256 not in (None, hashlib.sha256(data).hexdigest()):
            raise ValueError(f"its SHA-256 is not {sha256}")
        return parse_progress(data)
    except (OSError, ValueError) as error:
        raise CheckpointError(f"cannot read {path}: {error}") from error


def group_key(name: str) -> str:
    """``conv1/weights`` → ``network/conv1/weights``: every array's name, with the file it belongs to in front."""
    head = name.split("/", 1)[0]
    if head.endswith("_adam") or is_scale(name):
        return name
    return ("metric/" if head.startswith("metric") else "network/") + name


def restored_name(group: str, key: str) -> str:
    """The inverse of ``group_key`` after the file's name has been cut off."""
    return f"{group}/{key}" if group.endswith("_adam") or group == SCALE else key


def is_scale(name: str) -> bool:
    """Whether an array of that name belongs to the loss scale."""
    return name.startswith(SCALE + "/")


def grouped(arrays: Mapping[str, np.ndarray]) -> Dict[str, Dict[str, np.ndarray]]:
    """File name (without ending) → {key in the file: array}."""
    groups: Dict[str, Dict[str, np.ndarray]] = {}
    for name, array in arrays.items():
        group, key = group_key(name).split("/", 1)
        groups.setdefault(group, {})[key] = array
    return groups
