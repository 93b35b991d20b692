"""A shelf in a directory, which `ls` can show.

    <root>/<bucket>/<key>                      objects, as plain files
    <root>/.mock_obs/<bucket>/about/<digest>   properties of an object that a file does not have (JSON)
    <root>/.mock_obs/<bucket>/odd/<name>       objects whose keys cannot be paths (see `paths`)
    <root>/.mock_obs/<bucket>/uploads/<id>/    unfinished multipart uploads
    <root>/.mock_obs/incoming/                 bodies that are being received

Every file is written completely and then renamed to its place. `inventory` reads the directory when the server starts.
Only one server at a time can use a directory.
"""
from __future__ import annotations

import hashlib
import itertools
import json
import os
import shutil
from typing import Any, Dict, Iterable, Iterator, Optional

from obs_sync.mock.errors import ObsError
from obs_sync.mock.shelf.bodies import CHUNK, Blob, FileBlob, Spool
from obs_sync.mock.shelf.objects import Bucket, Part, Properties, StoredObject, Upload
from obs_sync.mock.shelf.paths import HIDDEN, escaped_name, plain_path, remove_empty_directories

try:
    import fcntl
except ImportError:  # Windows has no locks of this kind, so there a second server is not refused
    fcntl = None  # type: ignore[assignment]

IN_MEMORY_LIMIT = 256 * 1024  # bytes; a larger body is written to a file while it is received


class RootInUse(RuntimeError):
    """Another mocked OBS serves the directory."""


class DiskShelf:
    """Keeps bodies and their properties below `root`. Raises RootInUse, or OSError if it cannot be used."""

    def __init__(self, root: str):
        self.root = os.path.realpath(root)
        self._numbers = itertools.count()
        self._incoming = os.path.join(self.root, HIDDEN, "incoming")
        os.makedirs(os.path.dirname(self._incoming), exist_ok=True)
        self._lock_file = open(os.path.join(self.root, HIDDEN, "lock"), "w")
        if fcntl is not None:
            try:
                fcntl.flock(self._lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                self._lock_file.close()
                raise RootInUse(f"another mocked OBS serves {self.root}; "
                                "stop that one or choose another directory") from None
        shutil.rmtree(self._incoming, ignore_errors=True)  # of a server that was killed
        os.mkdir(self._incoming)

    def close(self) -> None:
        shutil.rmtree(self._incoming, ignore_errors=True)
        if fcntl is not None and not self._lock_file.closed:
            fcntl.flock(self._lock_file, fcntl.LOCK_UN)  # explicitly, as forked children share the lock
        self._lock_file.close()

    def load(self) -> Iterator[Bucket]:
        from obs_sync.mock.shelf.inventory import read_buckets

        return read_buckets(self)

    def directory(self, bucket: str) -> str:
        return os.path.join(self.root, bucket)

    def hidden(self, bucket: str, *names: str) -> str:
        return os.path.join(self.root, HIDDEN, bucket, *names)

    # --- bodies that are being received

    def _new_path(self) -> str:
        return os.path.join(self._incoming, str(next(self._numbers)))

    def spool(self, with_sha256: bool, with_crc64: bool) -> Spool:
        return Spool(self._new_path, IN_MEMORY_LIMIT, with_sha256, with_crc64)

    def settle(self, spool: Spool) -> None:
        """Writes the body to its file. Called before any lock is taken."""
        spool.to_file()

    def _write_json(self, path: str, content: Dict[str, Any]) -> None:
        new = self._new_path()
        with open(new, "w", encoding="utf-8") as file:
            json.dump(content, file)
        os.replace(new, path)

    # --- objects

    def place(self, bucket: str, stored: StoredObject, spool: Spool,
              previous: Optional[StoredObject]) -> Blob:
        """Moves a body to its place. Its properties are written first. After a crash between the two, size and time of
        the file differ from them, and the file then counts as copied there by hand."""
        source = spool.to_file()
        target = plain_path(self.directory(bucket), stored.key) or self.odd_path(bucket, stored.key)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        blob = FileBlob(target, stored.size, os.stat(source).st_mtime_ns)
        self.write_about(bucket, stored._replace(blob=blob))
        os.replace(source, target)
        if previous is not None and previous.blob.path != target:
            self._unlink(bucket, previous.blob.path)
        return blob

    def adopt(self, bucket: str, key: str, path: str) -> StoredObject:
        """Makes an object of a file that was copied there by hand."""
        md5 = hashlib.md5()
        with open(path, "rb") as file:
            stat = os.fstat(file.fileno())
            for piece in iter(lambda: file.read(CHUNK), b""):
                md5.update(piece)
        blob = FileBlob(path, stat.st_size, stat.st_mtime_ns)
        stored = StoredObject(key, stat.st_size, md5.hexdigest(), stat.st_mtime, Properties(), None, blob)
        self.write_about(bucket, stored)
        return stored

    def remove(self, bucket: str, stored: StoredObject) -> None:
        self._unlink(bucket, stored.blob.path)
        self._unlink(bucket, self._about_path(bucket, stored.key))

    def odd_path(self, bucket: str, key: str) -> str:
        return self.hidden(bucket, "odd", escaped_name(key))

    def write_about(self, bucket: str, stored: StoredObject) -> None:
        self._write_json(self._about_path(bucket, stored.key), {
            "key": stored.key, "size": stored.size, "mtime_ns": stored.blob.mtime_ns, "etag": stored.etag,
            "modified": stored.modified, "crc64": stored.crc64, "properties": stored.properties._asdict()})

    def _about_path(self, bucket: str, key: str) -> str:
        return self.hidden(bucket, "about", hashlib.sha256(key.encode("utf-8")).hexdigest())

    def _unlink(self, bucket: str, path: str) -> None:
        if os.path.exists(path):
            os.unlink(path)
        remove_empty_directories(os.path.dirname(path), self.directory(bucket))

    # --- buckets

    def add_bucket(self, name: str) -> None:
        os.makedirs(self.directory(name), exist_ok=True)
        for kind in ("about", "odd", "uploads"):
            os.makedirs(self.hidden(name, kind), exist_ok=True)

    def remove_bucket(self, name: str) -> None:
        try:
            for directory, _, _ in os.walk(self.directory(name), topdown=False):
                os.rmdir(directory)
        except OSError:  # a symbolic link or another file that was put there by hand
            raise ObsError("BucketNotEmpty") from None
        shutil.rmtree(self.hidden(name))

    def erase(self, names: Iterable[str]) -> None:
        for name in names:
            shutil.rmtree(self.directory(name), ignore_errors=True)
            shutil.rmtree(self.hidden(name), ignore_errors=True)

    # --- multipart uploads

    def add_upload(self, bucket: str, upload: Upload) -> None:
        os.mkdir(self.hidden(bucket, "uploads", upload.id))
        self._write_json(self.hidden(bucket, "uploads", upload.id, "upload.json"), {
            "key": upload.key, "initiated": upload.initiated, "properties": upload.properties._asdict()})

    def place_part(self, bucket: str, upload: Upload, part: Part, spool: Spool) -> Blob:
        source = spool.to_file()
        path = self.hidden(bucket, "uploads", upload.id, f"{part.number}.{part.etag}")
        blob = FileBlob(path, part.size, os.stat(source).st_mtime_ns)
        os.replace(source, path)
        present = upload.parts.get(part.number)
        if present is not None and present.blob.path != path:
            os.unlink(present.blob.path)
        return blob

    def remove_upload(self, bucket: str, upload: Upload) -> None:
        shutil.rmtree(self.hidden(bucket, "uploads", upload.id), ignore_errors=True)
