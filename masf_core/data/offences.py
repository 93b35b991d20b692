"""Collecting everything that is wrong with the data, so that one run of the check shows all of it."""

from __future__ import annotations

import collections
import logging
import os
import tempfile
from typing import List, NamedTuple, Optional, Sequence

from masf_core.errors import DataError

log = logging.getLogger(__name__)

SHOWN = 5  # offenders in a message; the file has them all

# What to do about each kind of offence. The keys are the kinds, worded to follow a count: "3 x missing file".
REMEDIES = collections.OrderedDict([
    ("malformed line", "a line is <domain>/<class>/<file> <label>"),
    ("path outside dataroot", "paths are relative to dataroot and do not climb out of it"),
    ("path of another domain", "a domain's lists name images below that domain's folder only"),
    ("domain without images", "put its images there, as JPEG, PNG, BMP, GIF, TIFF, WebP or PPM, or name the domains to "
                              "use with --domains"),
    ("class without images", "put its images there, as JPEG, PNG, BMP, GIF, TIFF, WebP or PPM, or remove the folder"),
    ("class of a single domain", "rename its folder as the other domains' is, or remove it"),
    ("image at another level",
     "put images at <domain>/<class>/<image>, or name the domains to use with --domains"),
    ("unknown class", "each class of a list needs a folder of images below dataroot"),
    ("label that disagrees with the folder", "correct the label or move the image"),
    ("missing file", "fetch the data again, or remove the line"),
    ("empty file", "fetch the data again, or remove the file"),
    ("symbolic link", "links below dataroot are not followed: put the image or folder itself there"),
    ("repeated path", "name each image once, and never in both train and crossval"),
    ("unreadable image", "replace the file, or remove it from the data"),
    ("picture of another format", "convert it to JPEG or PNG"),
    ("image too large", "shrink the image, or raise max_pixels"),
])


# Of single files: the others can be decoded nevertheless, to tell of all that cannot in one error.
OF_FILES = ("empty file", "symbolic link", "unreadable image", "picture of another format", "image too large")


class Offence(NamedTuple):
    kind: str  # a key of REMEDIES
    where: str  # list file:line, or path relative to dataroot
    what: str


class Offences:
    """A growing list of offences of one data set."""

    def __init__(self) -> None:
        self.found: List[Offence] = []

    def add(self, kind: str, where: str, what: str) -> None:
        if kind not in REMEDIES:
            raise KeyError(kind)
        self.found.append(Offence(kind, where, what))

    def only_of_files(self) -> bool:
        """Whether every offence is one of a single file."""
        return all(offence.kind in OF_FILES for offence in self.found)

    def settle(self, dataroot: str, bad_data: str, offenders_path: Optional[str]) -> None:
        """Refuse the data or, with bad_data="skip", warn; without offences do nothing.

        Raises DataError with counts, remedies and the first few offenders; the whole list goes to `offenders_path`.
        """
        if not self.found:
            return
        counts = collections.Counter(offence.kind for offence in self.found)
        kinds = [kind for kind in REMEDIES if counts[kind]]
        lines = ["{} at fault in {}: {}".format(
            plural(len(self.found), "item"), dataroot,
            ", ".join(f"{counts[kind]} x {kind}" for kind in kinds))]
        lines += [f"  {offence.where}: {offence.what}" for offence in self.found[:SHOWN]]
        if len(self.found) > SHOWN:
            lines.append(f"  ... and {len(self.found) - SHOWN} more")
        pairs = [(offence.where, offence.what) for offence in self.found]
        written = write_offenders(offenders_path, pairs)
        if written:
            lines.append(f"The whole list is in {written}.")
        if bad_data == "skip":
            log.warning("%s\nThey are left out (bad_data=skip).", "\n".join(lines))
            return
        lines += [f"To mend {kind}: {REMEDIES[kind]}." for kind in kinds]
        lines.append("Or leave them out with bad_data=skip.")
        raise DataError("\n".join(lines), pairs)


def refuse(message: str, pairs, offenders_path: Optional[str]) -> DataError:
    """The error to raise for data that no skipping can save, its offenders written to `offenders_path`."""
    written = write_offenders(offenders_path, pairs)
    return DataError(message + (f"\nThe whole list is in {written}." if written else ""), pairs)


def write_offenders(path: Optional[str], pairs) -> Optional[str]:
    """Write `where<TAB>what` lines to `path`, whole or not at all; returns the path, or None where none was given.

    A report that cannot be written must not hide what it reports, so that failure is only logged.
    """
    if path is None or not pairs:
        return None
    directory = os.path.dirname(os.path.abspath(path))
    temporary = None
    try:
        os.makedirs(directory, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=directory, prefix=".offenders-")
        with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace") as stream:
            stream.writelines(f"{where}\t{what}\n" for where, what in pairs)
        os.replace(temporary, path)
    except OSError as problem:
        log.warning("the list of offenders could not be written to %s: %s", path, problem)
        if temporary is not None and os.path.exists(temporary):
            os.unlink(temporary)
        return None
    return path


def some(names: Sequence[str], shown: int = 5) -> str:
    """The first of these names, and how many more there are."""
    more = len(names) - shown
    return ", ".join(names[:shown]) + (f" and {more} more" if more > 0 else "")


def plural(count: int, noun: str) -> str:
    return "{} {}{}".format(count, noun, "" if count == 1 else "s")
