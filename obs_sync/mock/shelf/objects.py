"""Buckets, objects and multipart uploads, and the rules by which they change.

A shelf (`memory.MemoryShelf`, `disk.DiskShelf`) keeps the bodies. Each bucket has a lock, which is held while its index
changes and while a complete file is moved to its place, but never while a body is received or sent.
"""
from __future__ import annotations

import bisect
import collections
import hashlib
import re
import threading
import time
import uuid
from typing import Any, Deque, Dict, List, NamedTuple, Optional, Tuple

from obs_sync.mock.errors import ObsError
from obs_sync.mock.shelf.bodies import Blob, ChangedOnDisk, Slice, Spool

_BUCKET_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]\Z")


def is_bucket_name(name: str) -> bool:
    """Whether a bucket can have this name: 3 to 63 of a-z, 0-9, "-" and "."."""
    return bool(_BUCKET_NAME.match(name)) and ".." not in name


DEFAULT_TYPE = "binary/octet-stream"
_MOST_CHANGES = 10000  # of a bucket that are remembered, for stale listings


class Properties(NamedTuple):
    """The properties of an object that its uploader chooses."""

    content_type: str = DEFAULT_TYPE
    headers: Dict[str, str] = {}   # e.g. Cache-Control, as they were sent
    metadata: Dict[str, str] = {}  # names without the dialect's prefix, values as they were sent
    storage_class: str = "STANDARD"
    encryption: Optional[str] = None  # e.g. "kms": encrypted at rest; the ETag is then not an MD5


class StoredObject(NamedTuple):
    """One object. It is replaced as a whole, never changed."""

    key: str
    size: int                # bytes
    etag: str                # without quotes
    modified: float          # seconds since 1970: time of the PUT, or of the *initiation* of the upload
    properties: Properties
    crc64: Optional[str]     # decimal, if the client sent it
    blob: Optional[Blob]     # None only until the body is in its place


class Part(NamedTuple):
    number: int
    size: int
    etag: str
    modified: float
    blob: Blob


class Upload:
    """A multipart upload that is neither completed nor aborted."""

    def __init__(self, upload_id: str, key: str, initiated: float, properties: Properties):
        self.id = upload_id
        self.key = key
        self.initiated = initiated
        self.properties = properties
        self.parts: Dict[int, Part] = {}


class Change(NamedTuple):
    """One write or deletion of a key, and the object before it."""

    moment: float                    # time.monotonic()
    key: str
    before: Optional[StoredObject]   # without its blob; None if there was no object


class Bucket:
    """The index of one bucket. `lock` guards everything in it."""

    def __init__(self, name: str, created: float):
        self.name = name
        self.created = created
        self.lock = threading.RLock()
        self.exists = True  # False after its deletion, for threads that still use it
        self.objects: Dict[str, StoredObject] = {}
        self.keys: List[str] = []  # sorted by code points, which is also the order of the UTF-8 bytes
        self.uploads: Dict[str, Upload] = {}
        self._changes: Deque[Change] = collections.deque(maxlen=_MOST_CHANGES)

    def enter(self, stored: StoredObject) -> None:
        present = self.objects.get(stored.key)
        if present is None:
            bisect.insort(self.keys, stored.key)
        self._remember(stored.key, present)
        self.objects[stored.key] = stored

    def drop(self, key: str) -> None:
        self._remember(key, self.objects.pop(key))
        del self.keys[bisect.bisect_left(self.keys, key)]

    def _remember(self, key: str, before: Optional[StoredObject]) -> None:
        bare = None if before is None else before._replace(blob=None)  # without its body, which may be large
        self._changes.append(Change(time.monotonic(), key, bare))

    def as_before(self, seconds: Optional[float], changes: Optional[int]) -> Dict[str, StoredObject]:
        """The objects as they were `seconds` ago, or before the last `changes`; at most 10,000 changes back."""
        objects = dict(self.objects)
        oldest = None if seconds is None else time.monotonic() - seconds
        for number, change in enumerate(reversed(self._changes)):
            if number == changes or (oldest is not None and change.moment < oldest):
                break
            if change.before is None:
                objects.pop(change.key, None)
            else:
                objects[change.key] = change.before
        return objects

    def require(self) -> None:
        if not self.exists:
            raise ObsError("NoSuchBucket")


class ObjectStore:
    """All buckets of one mocked OBS."""

    def __init__(self, shelf: Any, encryption: Optional[str] = None):
        """shelf: keeps the bodies. encryption: of objects whose upload does not ask for one."""
        self._shelf = shelf
        self._encryption = encryption
        self._lock = threading.Lock()
        self._buckets: Dict[str, Bucket] = {}
        for bucket in shelf.load():
            self._buckets[bucket.name] = bucket

    # --- buckets

    def bucket(self, name: str) -> Bucket:
        try:
            return self._buckets[name]
        except KeyError:
            raise ObsError("NoSuchBucket") from None

    def buckets(self) -> List[Bucket]:
        with self._lock:
            return [self._buckets[name] for name in sorted(self._buckets)]

    def create_bucket(self, name: str) -> None:
        """Creates a bucket. If it exists, nothing changes, as for its owner on OBS."""
        if not is_bucket_name(name):
            raise ObsError("InvalidBucketName")
        with self._lock:
            if name not in self._buckets:
                self._shelf.add_bucket(name)
                self._buckets[name] = Bucket(name, time.time())

    def delete_bucket(self, name: str) -> None:
        bucket = self.bucket(name)
        with self._lock, bucket.lock:
            if bucket.objects or bucket.uploads:
                raise ObsError("BucketNotEmpty")
            self._shelf.remove_bucket(name)
            bucket.exists = False
            del self._buckets[name]

    def clear(self) -> None:
        """Deletes everything."""
        with self._lock:
            for bucket in self._buckets.values():
                with bucket.lock:
                    bucket.exists = False
            self._shelf.erase(list(self._buckets))
            self._buckets.clear()

    # --- objects

    def spool(self, with_sha256: bool = False, with_crc64: bool = False) -> Spool:
        return self._shelf.spool(with_sha256, with_crc64)

    def put(self, bucket_name: str, key: str, spool: Spool, properties: Properties,
            crc64: Optional[str] = None, etag: Optional[str] = None,
            initiated: Optional[float] = None) -> StoredObject:
        """Stores a complete body as an object.

        Args:
            etag: of a multipart object; None for the MD5 of the body.
            initiated: when the multipart upload was initiated. Of several writers the one that *began* last wins: an
                upload that began before the current object was written succeeds, but changes nothing.
        """
        try:
            bucket = self.bucket(bucket_name)
            self._shelf.settle(spool)
            properties = self._encrypted(properties)
            with bucket.lock:
                bucket.require()
                present = bucket.objects.get(key)
                stored = StoredObject(key, spool.size, etag or _etag_of(spool, properties),
                                      initiated or time.time(), properties, crc64, None)
                if initiated is None or present is None or present.modified <= initiated:
                    stored = stored._replace(blob=self._shelf.place(bucket_name, stored, spool, present))
                    bucket.enter(stored)
                return stored
        finally:
            spool.discard()

    def head(self, bucket_name: str, key: str) -> StoredObject:
        stored = self.bucket(bucket_name).objects.get(key)
        if stored is None:
            raise ObsError("NoSuchKey")
        return stored

    def open(self, bucket_name: str, key: str) -> Tuple[StoredObject, Slice]:
        """An object and its content, which the caller closes."""
        bucket = self.bucket(bucket_name)
        try:
            stored = self.head(bucket_name, key)
            return stored, Slice(stored.blob.open(), 0, stored.size)
        except (FileNotFoundError, ChangedOnDisk):  # overwritten just now, or changed by hand
            pass
        with bucket.lock:
            stored = self.head(bucket_name, key)
            try:
                return stored, Slice(stored.blob.open(), 0, stored.size)
            except FileNotFoundError:
                self._shelf.remove(bucket_name, stored)
                bucket.drop(key)
                raise ObsError("NoSuchKey") from None
            except ChangedOnDisk:
                stored = self._shelf.adopt(bucket_name, key, stored.blob.path)
                bucket.enter(stored)
                return stored, Slice(stored.blob.open(), 0, stored.size)

    def delete(self, bucket_name: str, key: str) -> None:
        """Deletes an object. Succeeds if there is none."""
        bucket = self.bucket(bucket_name)
        with bucket.lock:
            stored = bucket.objects.get(key)
            if stored is not None:
                self._shelf.remove(bucket_name, stored)
                bucket.drop(key)

    # --- multipart uploads

    def initiate(self, bucket_name: str, key: str, properties: Properties) -> Upload:
        bucket = self.bucket(bucket_name)
        upload = Upload(uuid.uuid4().hex.upper(), key, time.time(), self._encrypted(properties))
        with bucket.lock:
            bucket.require()
            self._shelf.add_upload(bucket_name, upload)
            bucket.uploads[upload.id] = upload
        return upload

    def upload(self, bucket_name: str, key: str, upload_id: str) -> Upload:
        upload = self.bucket(bucket_name).uploads.get(upload_id)
        if upload is None or upload.key != key:
            raise ObsError("NoSuchUpload")
        return upload

    def put_part(self, bucket_name: str, key: str, upload_id: str, number: int, spool: Spool) -> Part:
        bucket = self.bucket(bucket_name)
        try:
            self._shelf.settle(spool)
            with bucket.lock:
                upload = self.upload(bucket_name, key, upload_id)
                part = Part(number, spool.size, _etag_of(spool, upload.properties), time.time(), None)
                part = part._replace(blob=self._shelf.place_part(bucket_name, upload, part, spool))
                upload.parts[number] = part
                return part
        finally:
            spool.discard()

    def take_upload(self, bucket_name: str, key: str, upload_id: str) -> Upload:
        """Removes an upload from the index, so that no other request completes or aborts it."""
        bucket = self.bucket(bucket_name)
        with bucket.lock:
            return bucket.uploads.pop(self.upload(bucket_name, key, upload_id).id)

    def return_upload(self, bucket_name: str, upload: Upload) -> None:
        """Puts an upload back into the index after its completion failed."""
        bucket = self.bucket(bucket_name)
        with bucket.lock:
            bucket.uploads[upload.id] = upload

    def erase_upload(self, bucket_name: str, upload: Upload) -> None:
        """Deletes the parts of an upload that `take_upload` has removed."""
        self._shelf.remove_upload(bucket_name, upload)

    def _encrypted(self, properties: Properties) -> Properties:
        return properties if properties.encryption else properties._replace(encryption=self._encryption)


def _etag_of(spool: Spool, properties: Properties) -> str:
    """The MD5. For an encrypted object: 32 random digits that look like an MD5."""
    return spool.md5.hex() if properties.encryption is None else hashlib.md5(uuid.uuid4().bytes).hexdigest()
