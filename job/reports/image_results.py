"""The CSV files of `evaluate --out` and `predict --out`: a line for each image; and files that appear whole.

Spreadsheets compute what begins like a formula, and names of files come from strangers. Such a text gets an apostrophe
in front, which spreadsheets take as "this is text".
"""
from __future__ import annotations

import os
import re
from typing import Any, Callable, Iterable, NamedTuple, Sequence, Tuple

from job.errors import ConfigError, NoSuchFolder
from job.workspace import writing
from masf_core.data.image_kind import told_by_name
from masf_core.records.files import refuse_unwritable, replace_bytes
from obs_sync import is_remote, split_object_url

COLUMNS = ("path", "label", "predicted", "probability")
_FORMULA = re.compile(r"[=+\-@\t\r\n＝＋－＠]")
_PLAIN = re.compile(r"[\w./ :()+-]*")


class ImageResult(NamedTuple):
    """An image: its path below the folder of the domains, its class, the class that was predicted and how probable
    the network takes that class to be."""

    path: str
    label: str
    predicted: str
    probability: float


def place_of(out: str, run: str, flag: str = "--out", command: str = "evaluate",
             example: str = "images.csv") -> Tuple[str, str]:
    """(folder, name) of the file that ``out`` names, a path or a URL.

    Args:
        run: the folder or file of the network. flag, command, example: for messages.

    Raises:
        ConfigError: it is no place for a file, lies in the run, or has the name of an image, which it would overwrite.
        NoSuchFolder: its local folder does not exist.
    """
    if is_remote(out):
        try:
            folder, name = split_object_url(out)
        except ValueError:
            folder, name = "", ""
        if not name:
            raise ConfigError(f"{flag}={out}: expected the URL of a file, as in obs://bucket/folder/{example}")
        place = out
    else:
        path = os.path.abspath(out)
        folder, name = os.path.split(path)
        if os.path.isdir(path) or out.endswith("/"):
            raise ConfigError(f"{flag}={out}: this is a folder; expected the path of a file")
        if not os.path.isdir(folder):
            raise NoSuchFolder(f"{flag}={out}: there is no folder {folder}; make it, or give another file")
        place = path
    refuse_inside(f"{flag}={out}", place, run, command)
    if told_by_name(name):
        raise ConfigError(f"{flag}={out}: this is the name of an image; give another file, such as {example}")
    return folder, name


def is_one_of(place: str, others: Iterable[str]) -> bool:
    """Whether a URL, or the file at a path, is one of ``others``."""
    if is_remote(place):
        return place in others
    return os.path.exists(place) and any(os.path.exists(each) and os.path.samefile(place, each) for each in others)


def joined(folder: str, name: str) -> str:
    """The URL or path of the file of ``place_of``."""
    return folder + name if is_remote(folder) else os.path.join(folder, name)


def check_writable(folder: str, name: str, flag: str) -> None:
    """Tell before the work that a file cannot be written to the local disk.

    Args:
        folder, name: see ``place_of``. flag: for the message.

    Raises:
        LocalStorageError: it cannot be written.
    """
    if is_remote(folder):
        return
    path = os.path.join(folder, name)
    with writing(path, f"Choose another file with {flag}"):
        refuse_unwritable(path)


def refuse_inside(what: str, place: str, run: str, command: str, mend: str = "give another place") -> None:
    """Raise ConfigError if ``place``, a URL or a path, is in ``run``, the folder or file of the network.

    Args:
        what, command, mend: for the message.
    """
    if is_remote(place) or is_remote(run):
        inside = is_below(place, run)
    else:
        inside = is_below(os.path.realpath(place), os.path.realpath(run))
    if inside:
        raise ConfigError(f"{what}: this lies in {run}, where {command} writes nothing; {mend}")


def is_below(path: str, folder: str) -> bool:
    """Whether a path or URL is ``folder`` or below it."""
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def write_csv(folder: str, name: str, images: Sequence[ImageResult], open_at: Callable[[str], Any]) -> None:
    """Write the file of `evaluate`, see ``write_whole``."""
    write_whole(folder, name, csv_text(images), open_at)


def write_whole(folder: str, name: str, text: str, open_at: Callable[[str], Any], flag: str = "--out") -> None:
    """Write a file, whole or not at all.

    Args:
        folder, name: see ``place_of``. open_at: opens a store as a context manager. flag: for messages.

    Raises:
        StoreError: it cannot be written.
    """
    content = text.encode("utf-8", "surrogateescape")  # names on a disk may be no UTF-8
    if is_remote(folder):
        with open_at(folder) as store:
            store.write(name, content)
        return
    path = os.path.join(folder, name)
    with writing(path, f"Choose another file with {flag}"):
        replace_bytes(path, content)


def csv_text(images: Sequence[ImageResult]) -> str:
    """A header and a line for each image. The probability has six decimals."""
    return csv_lines(COLUMNS, ([each.path, each.label, each.predicted, f"{each.probability:.6f}"] for each in images))


def csv_lines(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """The text of a CSV file with a header."""
    return "".join(",".join(map(cell, row)) + "\n" for row in [columns, *rows])


def is_formula(text: str) -> bool:
    """Whether a spreadsheet may take a cell with this text for a formula."""
    return _FORMULA.match(text) is not None


def cell(text: str) -> str:
    """``text`` as a cell that no spreadsheet takes for a formula, and in quotes unless it is plain."""
    if is_formula(text):
        text = "'" + text
    if _PLAIN.fullmatch(text):
        return text
    return '"' + text.replace('"', '""') + '"'
