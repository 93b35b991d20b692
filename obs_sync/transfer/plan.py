"""What a pull has to fetch: a pure function of the listing, the local files and the index of the destination."""
from __future__ import annotations

from dataclasses import dataclass
from typing import Iterable, Mapping, NamedTuple, Optional, Tuple

from obs_sync.local.files import LocalFile
from obs_sync.store import ObjectInfo


class Fetched(NamedTuple):
    """What the index records about a file when it is fetched."""

    size: int             # bytes
    etag: Optional[str]   # of the version that was fetched
    mtime_ns: int         # of the local file after it was put in place


@dataclass(frozen=True)
class Plan:
    """Each object of the listing is in exactly one of the three."""

    present: Tuple[ObjectInfo, ...]  # the local file is this version
    compare: Tuple[ObjectInfo, ...]  # the local file has the right size; its digest decides
    fetch: Tuple[ObjectInfo, ...]


def make_plan(listing: Iterable[ObjectInfo], files: Mapping[str, LocalFile], known: Mapping[str, Fetched]) -> Plan:
    """Decide for every object of the listing, by key.

    A file is the listed version if it was fetched as that version (same size and ETag) and has not been changed since
    (same size and mtime). Another file of the right size is compared by digest if the listing tells an MD5 or SHA-256,
    because that takes less time than fetching it. Everything else is fetched.
    """
    present, compare, fetch = [], [], []
    for info in listing:
        file, record = files.get(info.key), known.get(info.key)
        if file is None or file.size != info.size:
            fetch.append(info)
        elif info.etag is not None and record == Fetched(info.size, info.etag, file.mtime_ns):
            present.append(info)
        elif info.md5 is not None or info.sha256 is not None:
            compare.append(info)
        else:
            fetch.append(info)
    return Plan(tuple(present), tuple(compare), tuple(fetch))
