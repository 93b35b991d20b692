"""What is packed: the files below a directory, with their SHA-256 and their places in shards, and the bytes of shards.

No file is held in memory. Each is read at most twice: for its digest, and to write a shard that is not stored yet.
"""
from __future__ import annotations

import hashlib
import logging
import os
from dataclasses import dataclass
from typing import Dict, Iterator, List, Optional, Tuple

from obs_sync.errors import IntegrityError, LocalStorageError, UnsafeKey
from obs_sync.keys import check_key, check_together
from obs_sync.local.files import CHUNK, digest_of, files_below, local_reading, local_storage
from obs_sync.packs.index import INDEX_NAME, PackIndex, PackMember, Shard, is_shard_name, shard_name
from obs_sync.packs.layout import END, Entry, cut, header, offsets, padding
from obs_sync.parallel import OnProgress, Progress, run_parallel
from obs_sync.store import OnBytes

_log = logging.getLogger(__name__)

SHARD_BYTES = 256 << 20
_HASHING_WORKERS = 4


@dataclass(frozen=True)
class PackPlan:
    """How a directory is packed."""

    source: str
    paths: Dict[str, str]  # of the members' files, by key
    index: PackIndex


def plan_pack(source: str, shard_bytes: int = SHARD_BYTES, on_progress: Optional[OnProgress] = None) -> PackPlan:
    """Read everything below `source` and divide it into shards. Symbolic links are followed, as by `push`.

    Raises LocalStorageError (no such directory, no files, a broken link), UnsafeKey (a name that cannot be a key),
    IntegrityError (a file that changes meanwhile).
    """
    if not os.path.isdir(source):
        raise LocalStorageError("there is no such directory to pack", source)
    found = files_below(source, lambda key: True)
    if not found:
        raise LocalStorageError("there are no files to pack", source)
    _tell_links(source)
    paths = {key: os.path.join(source, key) for key, _ in found}
    for key, path in paths.items():
        check_key(key, path)
        if key == INDEX_NAME or is_shard_name(key):
            raise UnsafeKey("packs use this name themselves", path,
                            "Rename the file. If the directory is a pack already, copy it with `sync push`")
    check_together(paths, source)
    progress = Progress(sum(stat.st_size for _, stat in found), on_progress)

    def digest(item: Tuple[str, os.stat_result]) -> str:
        key, stat = item
        sha256 = digest_of(paths[key], "sha256", progress.add)
        with local_reading(paths[key]):
            now = os.stat(paths[key])
        if (now.st_size, now.st_mtime_ns) != (stat.st_size, stat.st_mtime_ns):
            raise _changed(paths[key])
        return sha256

    digests = dict(zip(paths, run_parallel(digest, found, _HASHING_WORKERS, progress)))
    shards = cut([Entry(key, stat.st_size) for key, stat in found], shard_bytes)
    return PackPlan(source, paths, PackIndex(tuple(_lay_out(entries, digests) for entries in shards)))


def write_shard(path: str, shard: Shard, sources: Dict[str, str], on_bytes: OnBytes) -> None:
    """Write the tar of a shard. Raises IntegrityError if a file is not what it was when it was read before."""
    with local_storage(path), open(path, "wb") as stream:
        for member in shard.members:
            stream.write(header(Entry(member.key, member.size)))
            source, digest, read = sources[member.key], hashlib.sha256(), 0
            for chunk in _chunks(source):  # an OSError here is about the shard, one inside is about the source
                read += len(chunk)
                if read > member.size:
                    break
                stream.write(chunk)
                digest.update(chunk)
                on_bytes(len(chunk))
            if read != member.size or digest.hexdigest() != member.sha256:
                raise _changed(source)
            stream.write(padding(member.size))
        stream.write(END)


def _chunks(path: str) -> Iterator[bytes]:
    with local_reading(path), open(path, "rb") as stream:
        yield from iter(lambda: stream.read(CHUNK), b"")


def _lay_out(entries: List[Entry], digests: Dict[str, str]) -> Shard:
    starts = offsets(entries)
    members = tuple(PackMember(entry.key, start, entry.size, digests[entry.key])
                    for entry, start in zip(entries, starts))
    size = starts[-1] + len(END)
    return Shard(shard_name(size, members), size, members)


def _tell_links(source: str) -> None:
    """Say in the log that links are followed, because the files behind them may be large."""
    followed = sum(os.path.islink(os.path.join(parent, name)) for parent, directories, names in os.walk(source)
                   for name in directories + names)
    if followed:
        _log.info("%d symbolic links below %s are followed: the files behind them are packed", followed, source)


def _changed(path: str) -> IntegrityError:
    return IntegrityError("the file changed while it was being packed", path,
                          "Pack the source again when no process writes to it")
