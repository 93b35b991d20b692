"""The CSV file of `evaluate --out`: a line for each image."""
from __future__ import annotations

import csv
import io
import os
from typing import Any, Callable, NamedTuple, Sequence, Tuple

from job.errors import ConfigError, NoSuchFolder
from masf_core.records.files import replace_bytes
from obs_sync import LocalStorageError, is_remote, split_object_url

COLUMNS = ("path", "label", "predicted", "probability")


class ImageResult(NamedTuple):
    """An image: its path below the folder of the domains, its class, the class that was predicted and how probable
    the network takes that class to be."""

    path: str
    label: str
    predicted: str
    probability: float


def place_of(out: str, run: str) -> Tuple[str, str]:
    """(folder, name) of the file that ``out`` names, a path or a URL.

    Args:
        run: the folder or file that is evaluated.

    Raises:
        ConfigError: it is no place for a file, or lies in the run. NoSuchFolder: its local folder does not exist.
    """
    if is_remote(out):
        try:
            folder, name = split_object_url(out)
        except ValueError:
            folder, name = "", ""
        if not name:
            raise ConfigError(f"--out={out}: expected the URL of a file, as in obs://bucket/folder/images.csv")
        inside = _below(out, run)
    else:
        path = os.path.abspath(out)
        folder, name = os.path.split(path)
        if os.path.isdir(path) or out.endswith("/"):
            raise ConfigError(f"--out={out}: this is a folder; expected the path of a file")
        if not os.path.isdir(folder):
            raise NoSuchFolder(f"--out={out}: there is no folder {folder}; make it, or give another file")
        inside = not is_remote(run) and _below(os.path.realpath(path), os.path.realpath(run))
    if inside:
        raise ConfigError(f"--out={out}: this lies in {run}, where evaluate writes nothing; give another place")
    return folder, name


def _below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def write_csv(folder: str, name: str, images: Sequence[ImageResult], open_at: Callable[[str], Any]) -> None:
    """Write the file, whole or not at all. open_at: opens a store as a context manager.

    Raises:
        StoreError: it cannot be written.
    """
    content = csv_text(images).encode("utf-8", "surrogateescape")  # names on a disk may be no UTF-8
    if is_remote(folder):
        with open_at(folder) as store:
            store.write(name, content)
        return
    path = os.path.join(folder, name)
    try:
        replace_bytes(path, content)
    except OSError as error:
        raise LocalStorageError(f"cannot be written ({error.strerror})", path, "Choose another file with --out"
                                ) from error


def csv_text(images: Sequence[ImageResult]) -> str:
    """A header and a line for each image. The probability has six decimals."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(COLUMNS)
    for each in images:
        writer.writerow([each.path, each.label, each.predicted, f"{each.probability:.6f}"])
    return stream.getvalue()
