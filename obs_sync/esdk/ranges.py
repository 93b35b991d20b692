"""Downloads a large object by several ranges at once, all of the same version, into one file. The next download resumes
one that was killed.

A digest needs the bytes in order, and ranges arrive in any order. So another thread, the follower, reads the file from
the page cache while it grows, and computes the digest. Each byte is written once: a range that fails is resumed.
"""
from __future__ import annotations

import os
import threading
import time
import zlib
from typing import Any, List, Optional, Tuple, Union

from obs_sync.errors import IntegrityError, ObjectChanged, StoreError
from obs_sync.esdk.client import Calls, Damaged
from obs_sync.esdk.get import Reader, compare_digests, wanted_crc64, wanted_digest
from obs_sync.esdk.pieces import PIECE, Piece, PieceMap, discard, map_path, pieces_of
from obs_sync.esdk.reply import etag_of
from obs_sync.http.reply import Reply
from obs_sync.local.files import CHUNK, local_storage, remove_quietly
from obs_sync.parallel import Progress, run_parallel
from obs_sync.store import ObjectInfo, OnBytes

_NAP = 0.002  # seconds that the follower waits for more bytes


def download_ranges(calls: Calls, reader: Reader, key: str, where: str, info: ObjectInfo, path: str,
                    on_bytes: Optional[OnBytes], connections: int, length: int = PIECE) -> None:
    """Write the version `info` of the object `key` (in the bucket) to `path`, or the ranges that are missing there.

    Raises as Store.download. What has arrived stays for the next download, unless the object has changed or its bytes
    are wrong.
    """
    _Ranges(calls, reader, key, where, info, path, on_bytes, length).run(connections)


class _Ranges:
    def __init__(self, calls: Calls, reader: Reader, key: str, where: str, info: ObjectInfo, path: str,
                 on_bytes: Optional[OnBytes], length: int):
        self._calls = calls
        self._reader = reader
        self._key = key
        self._where = where
        self._info = info
        self._path = path
        self._on_bytes = on_bytes
        self._pieces = pieces_of(info.size, length)
        self._length = length
        self._arrived = [0] * len(self._pieces)  # bytes of each piece
        self._crc32 = [0] * len(self._pieces)
        self._inner = Progress(0, None)
        self._lock = threading.Lock()
        self._moved = 0
        self._wanted: Optional[Tuple[Optional[str], Any]] = None  # (digest, hash), from the first reply

    def run(self, connections: int) -> None:
        try:
            with local_storage(self._path):
                self._map = PieceMap(self._path, self._info, self._length)
            try:
                with local_storage(self._path):
                    descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
                    self._file = open(descriptor, "r+b", buffering=0)
                try:
                    self._transfer(connections)
                finally:
                    self._file.close()
            finally:
                self._map.close()
        except StoreError as error:
            if isinstance(error, (ObjectChanged, IntegrityError)):
                discard(self._path)
            self._count(-self._moved)
            raise
        remove_quietly(map_path(self._path))

    def _transfer(self, connections: int) -> None:
        with local_storage(self._path):
            self._file.truncate(self._info.size)
        present = self._map.present - {len(self._pieces) - 1}  # the last is always fetched, for the digest
        for number in present:
            self._arrived[number] = self._pieces[number].size
        self._count(sum(self._pieces[number].size for number in present))
        missing = [piece for piece in self._pieces if piece.number not in present]
        work: List[Union[Piece, None]] = [None, *missing]
        run_parallel(lambda piece: self._follow() if piece is None else self._fetch(piece), work,
                     min(connections, len(missing)) + 1, self._inner)

    def _fetch(self, piece: Piece) -> None:
        self._calls.repeat(lambda: self._receive_rest(piece))
        self._map.add(piece, self._crc32[piece.number])

    def _receive_rest(self, piece: Piece) -> None:
        number = piece.number

        def sink(data: memoryview) -> None:
            self._inner.check()
            offset, size = piece.offset + self._arrived[number], len(data)
            if offset + size > piece.offset + piece.size:
                raise Damaged("received more bytes than the range that was asked for", self._where)
            with local_storage(self._path):
                written = os.pwrite(self._file.fileno(), data, offset)
                while written < size:
                    written += os.pwrite(self._file.fileno(), data[written:], offset + written)
            self._crc32[number] = zlib.crc32(data, self._crc32[number])
            self._arrived[number] += size
            self._count(size)

        done = self._arrived[number]
        if done < piece.size:
            self._reader.receive(self._key, self._where, sink, self._info, (piece.offset + done, piece.size - done),
                                 self._look)

    def _look(self, reply: Reply) -> None:
        if self._wanted is None:
            self._wanted = wanted_digest(reply, self._info)

    def _follow(self) -> None:
        """Compute the digest of the whole as it grows, and compare it."""
        while self._wanted is None:
            self._nap()
        wanted, digest = self._wanted
        if wanted is None:  # the reply to a range announces less than that to a HEAD
            wanted, digest = self._wanted_of_whole()
        if wanted is None:
            return
        view = memoryview(bytearray(CHUNK))
        with local_storage(self._path), open(self._path, "rb", buffering=0) as stream:
            for piece in self._pieces:
                done = 0
                while done < piece.size:
                    available = self._arrived[piece.number] - done
                    if not available:
                        self._nap()
                        continue
                    read = stream.readinto(view[:min(available, CHUNK)])
                    if not read:
                        raise IntegrityError("the file became shorter while it was being written", self._path)
                    digest.update(view[:read])
                    done += read
        compare_digests(digest, wanted, self._where)

    def _wanted_of_whole(self) -> Tuple[Optional[str], Any]:
        found = self._calls.repeat(lambda: self._reader.head(self._key, self._where))
        return wanted_crc64(found) if etag_of(found.headers.get("etag")) == self._info.etag else (None, None)

    def _nap(self) -> None:
        self._inner.check()
        time.sleep(_NAP)

    def _count(self, amount: int) -> None:
        with self._lock:
            self._moved += amount
        if self._on_bytes is not None and amount:
            self._on_bytes(amount)
