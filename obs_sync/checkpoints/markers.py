"""The marker of a checkpoint: the small object that is written last and without which there is no checkpoint.
"""
from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from typing import Any, Dict, Mapping, Tuple

from obs_sync.errors import UnsafeKey
from obs_sync.json_document import parse_json
from obs_sync.keys import check_key

FORMAT = "masf-checkpoint/1"

_SHA256 = re.compile(r"[0-9a-f]{64}\Z")


@dataclass(frozen=True)
class MarkerFile:
    name: str    # relative to the checkpoint, segments separated by '/'
    size: int    # bytes
    sha256: str  # 64 lower-case hex digits


@dataclass(frozen=True)
class Marker:
    """A published checkpoint: name, files, when it was made (ISO 8601, UTC), what its maker says of it."""

    name: str
    created: str
    files: Tuple[MarkerFile, ...]
    metadata: Mapping[str, Any]

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)

    def to_json(self) -> bytes:
        content = {"format": FORMAT, "name": self.name, "created": self.created,
                   "files": [asdict(file) for file in self.files], "metadata": dict(self.metadata)}
        return json.dumps(content, indent=1, sort_keys=True, allow_nan=False).encode("ascii")


class NotAMarker(ValueError):
    """The bytes are no marker; the message says why."""


class AnotherDocument(NotAMarker):
    """A JSON document that says it is something else, such as a pointer: not a damaged marker."""


def parse_marker(data: bytes, name: str) -> Marker:
    """Read the marker of the checkpoint `name`. Raises NotAMarker; believes nothing that could lead astray.
    """
    try:
        content = parse_json(data)
    except ValueError as error:
        raise NotAMarker(f"not JSON: {error}") from None
    if not isinstance(content, dict):
        raise NotAMarker("not a JSON object")
    stated = content.get("format")
    if stated != FORMAT:
        raise (AnotherDocument if isinstance(stated, str) else NotAMarker)(f"its format is {stated!r}, not {FORMAT!r}")
    if content.get("name") != name:
        raise NotAMarker(f"it is the marker of {content.get('name')!r}")
    created, metadata, files = content.get("created"), content.get("metadata"), content.get("files")
    if not isinstance(created, str) or not isinstance(metadata, dict) or not isinstance(files, list) or not files:
        raise NotAMarker("created, metadata or files is missing or of the wrong type")
    parsed = tuple(_parse_file(file) for file in files)
    if len({file.name for file in parsed}) < len(parsed):
        raise NotAMarker("it names a file twice")
    return Marker(name, created, parsed, metadata)


def _parse_file(file: Any) -> MarkerFile:
    fields: Dict[str, Any] = file if isinstance(file, dict) else {}
    name, size, sha256 = fields.get("name"), fields.get("size"), fields.get("sha256")
    is_size = isinstance(size, int) and not isinstance(size, bool) and size >= 0
    if not isinstance(name, str) or not is_size or not isinstance(sha256, str) or not _SHA256.match(sha256):
        raise NotAMarker(f"one of its files has no valid name, size and sha256: {file!r}")
    try:
        check_key(name, name)
    except UnsafeKey as error:
        raise NotAMarker(str(error)) from None
    return MarkerFile(name, size, sha256)
