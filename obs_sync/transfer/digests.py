"""Compares a local file with an object by the digests that the store tells, without reading the object."""
from __future__ import annotations

from typing import Any, NamedTuple, Optional, Tuple

from obs_sync.esdk.crc64 import new_crc64
from obs_sync.local.files import digest_of, read_through
from obs_sync.store import ObjectInfo, OnBytes, Store


class Answer(NamedTuple):
    same: Optional[bool]  # None: no digest of the object is known
    why: str              # how they differ; "" unless they do
    info: ObjectInfo      # the object, with what a further request told about it


def compare_by_digest(store: Store, info: ObjectInfo, path: str, on_bytes: OnBytes) -> Answer:
    """Compare the file `path` with the object `info` of the same size. `on_bytes` counts the file's bytes, once.

    The ETag of an object that is encrypted at rest looks like an MD5 but is none, and a listing does not tell. So if
    the file has the listed MD5, it is the same. If it has another one, the store is asked about the object itself.
    """
    local = ""
    if info.sha256 is not None:
        return judge(info, "SHA-256", info.sha256, digest_of(path, "sha256", on_bytes))
    if info.md5 is not None:
        local = digest_of(path, "md5", on_bytes)
        if local == info.md5:
            return Answer(True, "", info)
    size, info = info.size, store.head(info.key)
    if info.size != size:
        return Answer(False, f"{info.size:,} bytes there now, {size:,} here", info)
    count: OnBytes = on_bytes if not local else _uncounted
    if info.md5 is not None:
        return judge(info, "MD5", info.md5, local or digest_of(path, "md5", count))
    name, stored, digest = _weaker(info)
    if digest is None:
        count(size)
        return Answer(None, "", info)
    return judge(info, name, stored, read_through(path, digest, count))


def _weaker(info: ObjectInfo) -> Tuple[str, str, Any]:
    """(name, value, hash) of the digest of an object that has no SHA-256 or MD5; the hash is None if it has none."""
    if info.part_size is not None and info.etag is not None:
        from obs_sync.esdk.reply import PartedMd5
        return "MD5 of parts", info.etag, PartedMd5(info.part_size)
    if info.crc64 is not None:
        return "CRC-64", info.crc64, new_crc64()
    return "", "", None


def judge(info: ObjectInfo, name: str, stored: str, local: str) -> Answer:
    """The answer that two digests give. `name`: of the digest, for messages."""
    return Answer(True, "", info) if stored == local else Answer(False, f"{name} {stored} there, {local} here", info)


def _uncounted(amount: int) -> None:
    """Counts nothing, because the file is read for the second time."""
