"""Objects to files before the start, and files to objects during and after."""
from __future__ import annotations

import os
from typing import Callable, Dict, List, NamedTuple, Tuple

from job.modelarts.mocked.container.spec import ContainerError, bucket_and_prefix
from obs_sync.mock.errors import ObsError
from obs_sync.mock.mocked import MockObs

MOST_CODE_FILES = 1000  # that ModelArts takes in a code_dir


class Pulled(NamedTuple):
    """What was pulled."""

    files: int
    size: int  # bytes


def pull(obs: MockObs, place: str, folder: str, check: Callable[[], None], most: int = 0) -> Pulled:
    """Copy every object below ``place`` into the folder, which is made. No request is made, so no fault is injected.

    Args:
        place: ``/bucket/prefix/``. check: called before each object; may raise to give up. most: number of files that
            are accepted; 0 for any.

    Raises:
        ContainerError: no such bucket, a key that cannot be a path, or too many files.
    """
    bucket, prefix = bucket_and_prefix(place)
    try:
        keys = obs.keys(bucket, prefix)
        files = [key for key in keys if not key.endswith("/")]
        if most and len(files) > most:
            raise ContainerError(f"{place} holds {len(files):,} files; ModelArts takes at most {most:,}")
        os.makedirs(folder, exist_ok=True)
        size = 0
        for key in keys:
            check()
            path = os.path.join(folder, *_names(place, key, prefix))
            if key.endswith("/"):  # an object that stands for a folder
                os.makedirs(path, exist_ok=True)
                continue
            os.makedirs(os.path.dirname(path), exist_ok=True)
            content = obs.get(bucket, key)
            with open(path, "wb") as stream:
                stream.write(content)
            size += len(content)
    except ObsError as error:
        raise ContainerError(f"{place}: {error.code}") from error
    except OSError as error:
        raise ContainerError(f"{place}: cannot write {error.filename}: {error.strerror}") from error
    return Pulled(len(files), size)


def _names(place: str, key: str, prefix: str) -> List[str]:
    """The names of the path of an object in the folder. Raises ContainerError if it would lead elsewhere."""
    names = key[len(prefix):].split("/")
    if key.endswith("/"):
        names.pop()
    if any(name in ("", ".", "..") or "\0" in name for name in names):
        raise ContainerError(f"{place}: the key {key!r} cannot be the path of a file")
    return names


class OutputSync:
    """Uploads the files of a folder that changed since the last time. It deletes nothing in OBS, as the platform.

    Args:
        place: ``/bucket/prefix/``.
    """

    def __init__(self, obs: MockObs, place: str, folder: str):
        self._obs = obs
        self.place = place
        self._bucket, self._prefix = bucket_and_prefix(place)
        self._folder = folder
        self._stored: Dict[str, Tuple[int, int, int]] = {}  # path → inode, size and time of what OBS has

    def restore(self, check: Callable[[], None]) -> Pulled:
        """Fill the folder from OBS."""
        pulled = pull(self._obs, self.place, self._folder, check)
        self._stored = {path: _version(path) for path in self._files()}
        return pulled

    def sync(self) -> int:
        """Upload what changed. Returns the number of files. Raises ContainerError if the bucket is gone."""
        count = 0
        for path in self._files():
            try:
                version = _version(path)  # before it is read: a later change is seen by the next call
                if self._stored.get(path) == version:
                    continue
                with open(path, "rb") as stream:
                    self._obs.put(self._bucket, self._prefix + self._key(path), stream)
            except OSError:  # deleted or renamed meanwhile
                continue
            except ObsError as error:
                raise ContainerError(f"{self.place}: {error.code}") from error
            self._stored[path] = version
            count += 1
        return count

    def _files(self) -> List[str]:
        return [os.path.join(folder, name) for folder, _, names in os.walk(self._folder) for name in sorted(names)
                if os.path.isfile(os.path.join(folder, name))]

    def _key(self, path: str) -> str:
        return os.path.relpath(path, self._folder).replace(os.sep, "/")


def _version(path: str) -> Tuple[int, int, int]:
    stat = os.stat(path)
    return stat.st_ino, stat.st_size, stat.st_mtime_ns
