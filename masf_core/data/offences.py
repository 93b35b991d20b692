"""Collecting everything that is wrong with the data, so that one error shows all of it."""

from __future__ import annotations

import collections
import logging
import os
import tempfile
from typing import List, NamedTuple, Optional, Sequence, Tuple

from masf_core.errors import DataError
from masf_core.words import plural

log = logging.getLogger(__name__)

SHOWN = 5  # offences in a message; the file has them all

_FORMATS = "JPEG, PNG, BMP, GIF, TIFF, WebP or PPM"

# How to correct each kind of offence. The keys are the kinds, worded to follow a count: "3 x missing file".
REMEDIES = collections.OrderedDict([
    ("malformed line", "write each line as <domain>/<class>/<file> <label>"),
    ("path outside dataroot", "write paths relative to dataroot, without \"..\""),
    ("path of another domain", "name in a domain's lists only images below that domain's folder"),
    ("domain without images",
     f"put its images there, as {_FORMATS}, or name the domains to use with --domains"),
    ("class without images", f"put its images there, as {_FORMATS}, or remove the folder"),
    ("class of a single domain", "rename its folder as in the other domains, or remove it"),
    ("image at another level", "move images to <domain>/<class>/<image>, or name the domains to use with --domains"),
    ("unknown class", "make a folder with images below dataroot for each class of a list"),
    ("label that disagrees with the folder", "correct the label, or move the image"),
    ("missing file", "download the data again, or remove the line"),
    ("empty file", "download the data again, or remove the file"),
    ("symbolic link", "replace the link by the image or folder itself, because links below dataroot are not followed"),
    ("repeated path", "name each image once in a list, and not in both train and crossval"),
    ("unreadable image", "replace the file, or remove it from the data"),
    ("picture of another format", "convert it to JPEG or PNG"),
    ("image too large", "shrink the image, or raise max_pixels"),
    ("image too long", "crop or shrink the image"),
])


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

    def settle(self, dataroot: str, bad_data: str, offenders_path: Optional[str]) -> None:
        """Refuse the data or, with bad_data="skip", warn; without offences do nothing.

        Raises DataError with counts, remedies and the first few offences; the whole list goes to `offenders_path`.
        """
        if not self.found:
            return
        counts = collections.Counter(offence.kind for offence in self.found)
        kinds = [kind for kind in REMEDIES if counts[kind]]
        lines = [f"{plural(len(self.found), 'problem')} in {dataroot}: "
                 f"{', '.join(f'{counts[kind]} x {kind}' for kind in kinds)}"]
        lines += [f"  {offence.where}: {offence.what}" for offence in self.found[:SHOWN]]
        if len(self.found) > SHOWN:
            lines.append(f"  and {len(self.found) - SHOWN} more")
        pairs = [(offence.where, offence.what) for offence in self.found]
        lines += _pointer(write_offenders(offenders_path, pairs))
        if bad_data == "skip":
            log.warning("%s\nThese items are skipped (bad_data=skip).", "\n".join(lines))
            return
        lines += ["How to correct this:"] + [f"  {kind}: {REMEDIES[kind]}" for kind in kinds]
        lines.append("Or skip these items with --bad_data=skip.")
        raise DataError("\n".join(lines), pairs)


def refuse(message: str, pairs: Sequence[Tuple[str, str]], offenders_path: Optional[str]) -> DataError:
    """The error to raise for data that skipping does not help; what is wrong is written to `offenders_path`."""
    return DataError("\n".join([message] + _pointer(write_offenders(offenders_path, pairs))), pairs)


def _pointer(written: Optional[str]) -> List[str]:
    return [f"The whole list is in {written}."] if written else []


def write_offenders(path: Optional[str], pairs: Sequence[Tuple[str, str]]) -> Optional[str]:
    """Write `where<TAB>what` lines to `path`, whole or not at all; returns the path, or None where nothing is written.

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
        log.warning("the list of problems could not be written to %s: %s", path, problem)
        if temporary is not None and os.path.exists(temporary):
            os.unlink(temporary)
        return None
    return path
