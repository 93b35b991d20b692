"""Buckets, objects and multipart uploads: what exists, and what a change of it means.

Where bodies are kept is the affair of a shelf (`memory.MemoryShelf`, `disk.DiskShelf`). Each bucket has a
lock; it is held while its index changes and while a finished file is moved to its place, never while a
body travels.
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
    return bool(_BUCKET_NAME.match(name)) and ".." not in name


DEFAULT_TYPE = "binary/octet-stream"
_MOST_CHANGES = 10000  # of a bucket that are remembered, for listings that lag behind


class Properties(NamedTuple):
    """What a client says of an object besides its content."""

    content_type: str = DEFAULT_TYPE
    headers: Dict[str, str] = {}   # e.g. Cache-Control, as they were sent
    metadata: Dict[str, str] = {}  # names without the dialect's prefix, values as they were sent
    storage_class: str = "STANDARD"
    encryption: Optional[str] = None  # e.g. "kms": at rest, with an ETag that is no MD5 then


class StoredObject(NamedTuple):
    """One object. Replaced as a whole, never changed."""

    key: str
    size: int                # bytes
    etag: str                # without quotes
    modified: float          # seconds since 1970: time of the PUT, or of the *initiation* of the upload
    properties: Properties
    crc64: Optional[str]     # decimal, when the client sent it
    blob: Optional[Blob]     # None only until it has its place


class Part(NamedTuple):
    number: int
    size: int
    etag: str
    modified: float
    blob: Blob


class Upload:
    """A multipart upload that was neither completed nor aborted."""

    def __init__(self, upload_id: str, key: str, initiated: float, properties: Properties):
        self.id = upload_id
        self.key = key
        self.initiated = initiated
        self.properties = properties
        self.parts: Dict[int, Part] = {}


class Change(NamedTuple):
    """What was listed under a key before it was written or deleted."""

    moment: float                    # time.monotonic()
    key: str
    before: Optional[StoredObject]   # without its blob; None where there was no object


class Bucket:
    """The index of one bucket. `lock` guards everything in it."""

    def __init__(self, name: str, created: float):
        self.name = name
        self.created = created
        self.lock = threading.RLock()
        self.exists = True  # False once it was deleted, for whoever still holds on to it
        self.objects: Dict[str, StoredObject] = {}
        self.keys: List[str] = []  # sorted as the UTF-8 bytes sort, which is the order of code points
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
        bare = None if before is None else before._replace(blob=None)  # a body that is gone may be large
        self._changes.append(Change(time.monotonic(), key, bare))

    def as_before(self, seconds: Optional[float], changes: Optional[int]) -> Dict[str, StoredObject]:
        """The objects as they were some seconds ago, or before the last so many changes (of the latest 10,000)."""
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
        """`encryption`: of what is stored without asking for one."""
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
        """Creating a bucket that exists changes nothing, as for its owner on OBS."""
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
        """Forgets and removes everything."""
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
        """Makes a complete body an object.

        Args:
            etag: of a multipart object; the MD5 of the body without it.
            initiated: when the multipart upload was initiated. Of several writers the one that *began* last
                wins: an upload older than the present object changes nothing and yet succeeds.
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
        except (FileNotFoundError, ChangedOnDisk):  # overwritten just now, or by hand: the lock tells
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
        """Deleting what does not exist succeeds."""
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
        """Takes an upload out of the index, so that nobody else completes or aborts it."""
        bucket = self.bucket(bucket_name)
        with bucket.lock:
            return bucket.uploads.pop(self.upload(bucket_name, key, upload_id).id)

    def return_upload(self, bucket_name: str, upload: Upload) -> None:
        """Puts back an upload that was taken and could not be completed."""
        bucket = self.bucket(bucket_name)
        with bucket.lock:
            bucket.uploads[upload.id] = upload

    def erase_upload(self, bucket_name: str, upload: Upload) -> None:
        """Removes the parts of an upload that was taken."""
        self._shelf.remove_upload(bucket_name, upload)

    def _encrypted(self, properties: Properties) -> Properties:
        return properties if properties.encryption else properties._replace(encryption=self._encryption)


def _etag_of(spool: Spool, properties: Properties) -> str:
    """The MD5; of what is encrypted 32 digits that look like one, and are others for the same content each time."""
    return spool.md5.hex() if properties.encryption is None else hashlib.md5(uuid.uuid4().bytes).hexdigest()
