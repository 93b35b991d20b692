"""What a pull knows about the files of its destination: which version of which object each one is.

`.obs_sync/index.jsonl` in the destination: a header, then one JSON line for each fetched file. A line is appended when
its file arrives, so a killed pull loses nothing. Every line has a checksum, so that half a line is recognised and
skipped.

The whole index is ignored if it is of another source, or was written before the machine booted. Pulled files are not
synced one by one, because they are a cache and ten thousand syncs take minutes. So after a crash of the machine, a file
may have the right name and size but wrong bytes. A file that no line of the index names is compared by MD5 if possible.
"""
from __future__ import annotations

import json
import os
import threading
from typing import Dict, Mapping, Optional, Tuple

from obs_sync.json_document import DocumentError, parse_json
from obs_sync.local.files import local_storage
from obs_sync.records import line_of, text_of
from obs_sync.transfer.plan import Fetched

INDEX_NAME = "index.jsonl"  # of a whole tree, as `pull` fetches it

_FORMAT = "obs_sync-index/1"


class Index:
    """The index file of one destination, for one source URL."""

    def __init__(self, path: str, source: str, boot: Optional[str] = None):
        self._path = path
        self._header = json.dumps([_FORMAT, source, _boot_id() if boot is None else boot])
        self._lock = threading.Lock()
        self._stream = None

    def load(self) -> Dict[str, Fetched]:
        """The records of the index, by key; empty if there is no index that can be used. Damaged lines are skipped."""
        try:
            with open(self._path, "rb") as stream:
                lines = [text_of(line) for line in stream.read().split(b"\n")]
        except FileNotFoundError:
            return {}
        except OSError:  # an index that cannot be read is ignored
            return {}
        if lines[0] != self._header:
            return {}
        records = [_read_record(line) for line in lines[1:] if line is not None]
        return dict(record for record in records if record is not None)

    def start(self, known: Mapping[str, Fetched]) -> None:
        """Replace the file by one that holds `known`, and open it to append to."""
        lines = [self._header] + [_record(key, fetched) for key, fetched in known.items()]
        with local_storage(self._path):
            # Renamed without a sync: after a crash of the machine the index is ignored anyway.
            with open(self._path + ".new", "wb") as stream:
                stream.write(b"".join(map(line_of, lines)))
            os.replace(self._path + ".new", self._path)
            self._stream = open(self._path, "ab", buffering=0)

    def add(self, key: str, fetched: Fetched) -> None:
        """Append a record. May be called from any thread."""
        self.add_all({key: fetched})

    def add_all(self, records: Mapping[str, Fetched]) -> None:
        """Append records in one write. May be called from any thread."""
        lines = b"".join(line_of(_record(key, fetched)) for key, fetched in records.items())
        with self._lock, local_storage(self._path):
            self._stream.write(lines)

    def close(self) -> None:
        if self._stream is not None:
            self._stream.close()
            self._stream = None


def _record(key: str, fetched: Fetched) -> str:
    return json.dumps([key, fetched.size, fetched.etag, fetched.mtime_ns])


def _read_record(line: str) -> Optional[Tuple[str, Fetched]]:
    """What `_record` wrote, or None if the line says something else."""
    try:
        values = parse_json(line.encode("utf-8"))
    except DocumentError:
        return None
    if not isinstance(values, list) or len(values) != 4:
        return None
    key, size, etag, mtime_ns = values
    if not isinstance(key, str) or not isinstance(etag, (str, type(None))) or type(size) is not int \
            or type(mtime_ns) is not int:
        return None
    return key, Fetched(size, etag, mtime_ns)


def _boot_id() -> str:
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as stream:
            return stream.read().strip()
    except OSError:  # not Linux
        return f"unknown-{os.name}"
