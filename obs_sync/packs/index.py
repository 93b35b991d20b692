"""The index of a pack: which member lies where in which shard.

    <prefix>pack-<sha256>.tar   a shard: members one after the other, in the format of tar
    <prefix>masf-pack.json      the index, written last and replaced at once: whoever reads it sees a whole pack

The name of a shard contains the SHA-256 of its table of members, and that table the SHA-256 of each member. So a name
always means the same bytes, a shard that exists need not be stored again, and a damaged table does not match the name.
The index comes from outside, so everything in it is checked before it is used.
"""
from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from typing import Any, Dict, List, NamedTuple, Tuple

from obs_sync.errors import IntegrityError, UnsafeKey
from obs_sync.json_document import DocumentError, in_words, parse_json
from obs_sync.keys import check_key
from obs_sync.store import Store, read_at_most

INDEX_NAME = "masf-pack.json"
FORMAT = "masf-pack/1"
LARGEST_INDEX = 256 << 20  # bytes; about two million members

_SHARD_NAME = re.compile(r"pack-[0-9a-f]{64}\.tar\Z")
_SHA256 = re.compile(r"[0-9a-f]{64}\Z")
_FROM_SOURCE = "Pack the source again"


class PackMember(NamedTuple):
    key: str     # relative to the prefix of the pack
    offset: int  # bytes from the start of the shard to the data
    size: int    # bytes
    sha256: str  # 64 lower-case hex digits


@dataclass(frozen=True)
class Shard:
    name: str  # relative to the prefix of the pack
    size: int  # bytes of the object
    members: Tuple[PackMember, ...]


@dataclass(frozen=True)
class PackIndex:
    shards: Tuple[Shard, ...]

    @property
    def members(self) -> List[PackMember]:
        return [member for shard in self.shards for member in shard.members]

    @property
    def bytes(self) -> int:
        """Of all members."""
        return sum(member.size for member in self.members)

    def to_json(self) -> bytes:
        """The same bytes for the same pack."""
        shards = [{"name": shard.name, "size": shard.size, "members": shard.members} for shard in self.shards]
        return _compact({"format": FORMAT, "files": len(self.members), "bytes": self.bytes, "shards": shards})


def is_shard_name(name: str) -> bool:
    return _SHARD_NAME.match(name) is not None


def shard_name(size: int, members: Any) -> str:
    """The name of a shard of `size` bytes with this table of members."""
    return f"pack-{hashlib.sha256(_compact([size, members])).hexdigest()}.tar"


def parse_index(data: bytes, where: str) -> PackIndex:
    """The index whose bytes were read from the URL `where`. Raises IntegrityError if it is damaged."""
    try:
        content = parse_json(data, LARGEST_INDEX)
    except DocumentError as error:
        raise _damaged(str(error), where) from None
    stated = content.get("format") if isinstance(content, dict) else None
    if isinstance(stated, str) and stated != FORMAT and stated.startswith("masf-pack/"):
        raise IntegrityError(f"the pack has the format {in_words(stated)}; this version reads only {FORMAT!r}", where,
                             f"{_FROM_SOURCE} with this version, or use the version that wrote it")
    if stated != FORMAT or not isinstance(content.get("shards"), list):
        raise _damaged(f"its format is not {FORMAT!r}, or it has no shards", where)
    index = PackIndex(tuple(_parse_shard(shard, where) for shard in content["shards"]))
    keys = {member.key for member in index.members}
    if len(keys) != len(index.members):
        raise _damaged("it names a member twice", where)
    if not keys or (content.get("files"), content.get("bytes")) != (len(keys), index.bytes):
        raise _damaged("it states other numbers of files and bytes than its members have", where)
    return index


def read_index(store: Store, key: str) -> PackIndex:
    """The index that is stored under `key`. Raises IntegrityError if it is damaged or too large, ObjectNotFound."""
    where = store.locate(key)
    try:
        return parse_index(read_at_most(store, key, LARGEST_INDEX), where)
    except DocumentError as error:
        raise _damaged(str(error), where) from None


def _parse_shard(shard: Any, where: str) -> Shard:
    fields: Dict[str, Any] = shard if isinstance(shard, dict) else {}
    name, size, rows = fields.get("name"), fields.get("size"), fields.get("members")
    if not isinstance(name, str) or not is_shard_name(name) or not _is_count(size) or not isinstance(rows, list):
        raise _damaged(f"a shard has no valid name, size and members: {in_words(name)}", where)
    members = tuple(_parse_member(row, size, where) for row in rows)
    if shard_name(size, rows) != name:
        raise _damaged(f"the members of {name} do not match its name", where)
    _check_apart(members, where)
    return Shard(name, size, members)


def _parse_member(row: Any, shard_size: int, where: str) -> PackMember:
    if not isinstance(row, list) or len(row) != 4:
        raise _damaged(f"a member is not a list of key, offset, size and SHA-256: {in_words(row)}", where)
    key, offset, size, sha256 = row
    if not isinstance(key, str) or not isinstance(sha256, str) or not _SHA256.match(sha256):
        raise _damaged(f"a member has no valid key and SHA-256: {in_words(key)}, {in_words(sha256)}", where)
    if not _is_count(offset) or not _is_count(size) or offset + size > shard_size:
        raise _damaged(f"{in_words(key)} lies outside its shard", where)
    try:
        check_key(key, where)
    except UnsafeKey as error:
        raise _damaged(f"{in_words(key)} cannot be a file ({error.what})", where) from None
    return PackMember(key, offset, size, sha256)


def _check_apart(members: Tuple[PackMember, ...], where: str) -> None:
    """Raise IntegrityError if two members share a byte. Empty members may be anywhere."""
    filled = sorted((member for member in members if member.size), key=lambda member: member.offset)
    for before, member in zip(filled, filled[1:]):
        if before.offset + before.size > member.offset:
            raise _damaged(f"{in_words(before.key)} and {in_words(member.key)} overlap in the shard", where)


def _is_count(value: Any) -> bool:
    return type(value) is int and value >= 0


def _damaged(reason: str, where: str) -> IntegrityError:
    return IntegrityError(f"the index of the pack is damaged ({reason})", where, _FROM_SOURCE)


def _compact(content: Any) -> bytes:
    return json.dumps(content, separators=(",", ":")).encode("ascii")
