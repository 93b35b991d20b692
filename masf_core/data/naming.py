"""What names of folders mean: which spellings are the same name, and which folders are splits of a domain.

macOS stores an accented letter as two characters (NFD); lists and other systems have one (NFC). A reader sees the same
name, so names are compared, sorted and shown in NFC, and opened as the disk spells them.
"""

from __future__ import annotations

import os
import unicodedata
from typing import Dict, List

from masf_core.errors import DataError

# Folders between a domain and its classes, and the part of the domain that each holds.
PART_OF_FOLDER = {
    "train": "train", "val": "crossval", "valid": "crossval", "validation": "crossval", "crossval": "crossval",
    "test": "test", "full": "full"}


def canonical(name: str) -> str:
    """The composed spelling (NFC) of a name or a path."""
    return name if name.isascii() else unicodedata.normalize("NFC", name)


def is_part(name: str) -> bool:
    """Whether this is what people call a split: `train`, `val`, `valid`, `validation`, `crossval`, `test`, `full`."""
    return name.lower() in PART_OF_FOLDER


def class_of(path: str) -> str:
    """The class of `<domain>/<class>/<file>` or `<domain>/<split>/<class>/<file>`."""
    parts = path.split("/")
    return canonical(parts[2] if len(parts) > 3 and is_part(parts[1]) else parts[1])


def by_canonical_name(names: List[str], where: str) -> Dict[str, str]:
    """{canonical name: name on disk}. Raises DataError where two names differ only in their Unicode form."""
    result: Dict[str, str] = {}
    for name in names:
        if canonical(name) in result:
            raise DataError(f"{where} has two folders called {canonical(name)}, one in composed and one in decomposed "
                            "Unicode. Move the images of one into the other.")
        result[canonical(name)] = name
    return result


class Spelling:
    """Finds files whose names are stored in another Unicode form than they are asked for."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._names: Dict[str, Dict[str, str]] = {}

    def on_disk(self, path: str) -> str:
        """The path below the root as the disk spells it, or `path` itself where there is no such file."""
        if path.isascii() or os.path.lexists(os.path.join(self._root, path)):
            return path
        found: List[str] = []
        for name in path.split("/"):
            stored = self._entries("/".join(found)).get(canonical(name))
            if stored is None:
                return path
            found.append(stored)
        return "/".join(found)

    def _entries(self, directory: str) -> Dict[str, str]:
        if directory not in self._names:
            try:
                names = os.listdir(os.path.join(self._root, directory))
            except OSError:
                names = []
            self._names[directory] = {canonical(name): name for name in sorted(names)}
        return self._names[directory]
