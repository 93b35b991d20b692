"""The marker of a checkpoint: the small object that is written last and without which there is no checkpoint."""
from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any, Mapping, Tuple

from obs_sync.errors import UnsafeKey
from obs_sync.json_document import (
    DocumentError, anything, in_words, list_of, mapping_of, members, one_of, parse_json, sha256, text, whole,
)
from obs_sync.keys import check_key

FORMAT = "masf-checkpoint/1"
LARGEST = 8 << 20  # bytes of a marker that is read; a file takes 200

_SHAPE = members({
    "format": one_of(FORMAT), "name": text(), "created": text(longest=40), "metadata": mapping_of(anything()),
    "files": list_of(members({"name": text(), "size": whole(), "sha256": sha256()}), least=1)})


@dataclass(frozen=True)
class MarkerFile:
    name: str    # relative to the checkpoint, segments separated by '/'
    size: int    # bytes
    sha256: str  # 64 lower-case hex digits


@dataclass(frozen=True)
class Marker:
    """A published checkpoint."""

    name: str
    created: str  # ISO 8601, UTC
    files: Tuple[MarkerFile, ...]
    metadata: Mapping[str, Any]  # what its writer says of it

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)

    def to_json(self) -> bytes:
        content = {"format": FORMAT, "name": self.name, "created": self.created,
                   "files": [asdict(file) for file in self.files], "metadata": dict(self.metadata)}
        return json.dumps(content, indent=1, sort_keys=True, allow_nan=False).encode("ascii")


class NotAMarker(ValueError):
    """The bytes are not a marker. The message says why."""


class AnotherDocument(NotAMarker):
    """A JSON document that says it is something else, such as a pointer. It is not a damaged marker."""


def parse_marker(data: bytes, name: str) -> Marker:
    """Read the marker of the checkpoint `name`. Raises NotAMarker if anything in it is not as it has to be."""
    try:
        content = parse_json(data, LARGEST)
        stated = content.get("format") if isinstance(content, dict) else None
        if isinstance(stated, str) and stated != FORMAT:
            raise AnotherDocument(f"its format is {in_words(stated)}, not {in_words(FORMAT)}")
        _SHAPE(content, "")
    except DocumentError as error:
        raise NotAMarker(str(error)) from None
    if content["name"] != name:
        raise NotAMarker(f"it is the marker of {in_words(content['name'])}")
    files = tuple(_parse_file(file) for file in content["files"])
    if len({file.name for file in files}) < len(files):
        raise NotAMarker("it names a file twice")
    return Marker(name, content["created"], files, content["metadata"])


def _parse_file(file: Mapping[str, Any]) -> MarkerFile:
    try:
        check_key(file["name"], file["name"])
    except UnsafeKey as error:
        raise NotAMarker(str(error)) from None
    return MarkerFile(file["name"], file["size"], file["sha256"])
