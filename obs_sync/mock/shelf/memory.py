"""A shelf in memory. Large bodies are kept in temporary files, which are deleted when it closes."""
from __future__ import annotations

import itertools
import os
import shutil
import tempfile
import threading
from typing import Iterable, Iterator, Optional

from obs_sync.mock.shelf.bodies import Blob, FileBlob, MemoryBlob, Spool
from obs_sync.mock.shelf.objects import Bucket, Part, StoredObject, Upload

IN_MEMORY_LIMIT = 8 * 1024 * 1024  # bytes


class MemoryShelf:
    """Forgets everything when it closes."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._directory: Optional[str] = None
        self._numbers = itertools.count()

    def load(self) -> Iterator[Bucket]:
        return iter(())

    def close(self) -> None:
        with self._lock:
            if self._directory is not None:
                shutil.rmtree(self._directory, ignore_errors=True)
                self._directory = None

    def _new_path(self) -> str:
        with self._lock:
            if self._directory is None:
                self._directory = tempfile.mkdtemp(prefix="mock-obs-")
            return os.path.join(self._directory, str(next(self._numbers)))

    def spool(self, with_sha256: bool, with_crc64: bool) -> Spool:
        return Spool(self._new_path, IN_MEMORY_LIMIT, with_sha256, with_crc64)

    def settle(self, spool: Spool) -> None:
        """Does nothing: the body is already where it stays."""

    def place(self, bucket: str, stored: StoredObject, spool: Spool,
              previous: Optional[StoredObject]) -> Blob:
        if previous is not None:
            _unlink(previous.blob)
        return self._keep(spool)

    def adopt(self, bucket: str, key: str, path: str) -> StoredObject:
        raise FileNotFoundError(f"{path} was changed from outside")

    def remove(self, bucket: str, stored: StoredObject) -> None:
        _unlink(stored.blob)

    def add_bucket(self, name: str) -> None:
        pass

    def remove_bucket(self, name: str) -> None:
        pass

    def erase(self, names: Iterable[str]) -> None:
        self.close()

    def add_upload(self, bucket: str, upload: Upload) -> None:
        pass

    def place_part(self, bucket: str, upload: Upload, part: Part, spool: Spool) -> Blob:
        present = upload.parts.get(part.number)
        if present is not None:
            _unlink(present.blob)
        return self._keep(spool)

    def remove_upload(self, bucket: str, upload: Upload) -> None:
        for part in upload.parts.values():
            _unlink(part.blob)

    def _keep(self, spool: Spool) -> Blob:
        data = spool.data()
        if data is not None:
            return MemoryBlob(data)
        path = self._new_path()
        os.replace(spool.to_file(), path)  # another path, as the spool deletes its file at the end
        return FileBlob(path, spool.size, os.stat(path).st_mtime_ns)


def _unlink(blob: Blob) -> None:
    if isinstance(blob, FileBlob) and os.path.exists(blob.path):
        os.unlink(blob.path)
