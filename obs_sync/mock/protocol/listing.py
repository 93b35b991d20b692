"""Listings of objects, of unfinished uploads and of their parts, page by page."""
from __future__ import annotations

import bisect
from typing import List, NamedTuple, Optional, Sequence, Tuple, TypeVar

from obs_sync.mock.clock import xml_date
from obs_sync.mock.errors import ObsError
from obs_sync.mock.protocol import xml
from obs_sync.mock.protocol.operations import OWNER, REGION, xml_response
from obs_sync.mock.shelf.objects import Bucket, ObjectStore, Upload
from obs_sync.mock.wire.fields import whole_number
from obs_sync.mock.wire.messages import Request, Response

_MAX_PAGE = 1000
_Item = TypeVar("_Item")


class Page(NamedTuple):
    """A page of keys. `next_marker` is None on the last one."""

    keys: List[str]
    prefixes: List[str]
    next_marker: Optional[str]


def page_of_keys(keys: Sequence[str], prefix: str, marker: str, delimiter: str, limit: int) -> Page:
    """The keys after `marker` that start with `prefix`. Those with `delimiter` after the prefix are rolled up.

    Args:
        keys: sorted, without duplicates.
        limit: largest number of keys and rolled-up prefixes together.
    """
    found: List[str] = []
    prefixes: List[str] = []
    position = max(bisect.bisect_left(keys, prefix), bisect.bisect_right(keys, marker))
    last = None
    while position < len(keys) and keys[position].startswith(prefix):
        key = keys[position]
        cut = key.find(delimiter, len(prefix)) if delimiter else -1
        rolled_up = key[:cut + len(delimiter)] if cut >= 0 else None
        if rolled_up is not None and rolled_up == marker:  # the page before ended with this prefix
            position = _behind(keys, rolled_up, position)
            continue
        if len(found) + len(prefixes) == limit:
            return Page(found, prefixes, last)
        if rolled_up is None:
            found.append(key)
            position += 1
        else:
            prefixes.append(rolled_up)
            position = _behind(keys, rolled_up, position)
        last = rolled_up or key
    return Page(found, prefixes, None)


def _behind(keys: Sequence[str], prefix: str, position: int) -> int:
    """The position of the first key after all those that start with `prefix`."""
    if prefix[-1] != "\U0010ffff":
        return bisect.bisect_left(keys, prefix[:-1] + chr(ord(prefix[-1]) + 1), position)
    while position < len(keys) and keys[position].startswith(prefix):
        position += 1
    return position


def list_objects(store: ObjectStore, request: Request) -> Response:
    query = request.query
    encode = xml.encoder(query.get("encoding-type", ""))
    limit = _page_size(query.get("max-keys"), "max-keys")
    prefix, marker, delimiter = (query.get(name, "") for name in ("prefix", "marker", "delimiter"))
    bucket = store.bucket(request.bucket)
    with bucket.lock:
        keys, known = bucket.keys, bucket.objects
        if request.listing_lag is not None:
            known = bucket.as_before(*request.listing_lag)
            keys = sorted(known)
        page = page_of_keys(keys, prefix, marker, delimiter, limit)
        objects = [known[key] for key in page.keys]
    result: xml.Children = [("Name", request.bucket), ("Prefix", encode(prefix)), ("Marker", encode(marker))]
    if page.next_marker is not None:
        result.append(("NextMarker", encode(page.next_marker)))
    result.append(("MaxKeys", limit))
    result.extend(_echo(query, encode))
    result.append(("IsTruncated", "true" if page.next_marker is not None else "false"))
    for stored in objects:
        result.append(("Contents", [
            ("Key", encode(stored.key)), ("LastModified", xml_date(stored.modified)),
            ("ETag", f'"{stored.etag}"'), ("Size", stored.size), ("Owner", [("ID", OWNER)]),
            ("StorageClass", stored.properties.storage_class)]))
    result.extend(("CommonPrefixes", [("Prefix", encode(item))]) for item in page.prefixes)
    return xml_response(request, "ListBucketResult", result, {request.dialect.region_header: REGION})


def list_uploads(store: ObjectStore, request: Request) -> Response:
    query = request.query
    encode = xml.encoder(query.get("encoding-type", ""))
    limit = _page_size(query.get("max-uploads"), "max-uploads")
    key_marker, id_marker = query.get("key-marker", ""), query.get("upload-id-marker", "")
    bucket = store.bucket(request.bucket)
    uploads, prefixes = _uploads_behind(bucket, query.get("prefix", ""), key_marker, id_marker,
                                        query.get("delimiter", ""))
    uploads, truncated = _cut(uploads, limit)
    result: xml.Children = [("Bucket", request.bucket), ("KeyMarker", encode(key_marker)),
                            ("UploadIdMarker", id_marker)]
    if truncated:
        result += [("NextKeyMarker", encode(uploads[-1].key)), ("NextUploadIdMarker", uploads[-1].id)]
    result += [("MaxUploads", limit), ("Prefix", encode(query.get("prefix", "")))]
    result.extend(_echo(query, encode))
    result.append(("IsTruncated", "true" if truncated else "false"))
    for upload in uploads:
        result.append(("Upload", [
            ("Key", encode(upload.key)), ("UploadId", upload.id), ("Initiator", [("ID", OWNER)]),
            ("Owner", [("ID", OWNER)]), ("StorageClass", upload.properties.storage_class),
            ("Initiated", xml_date(upload.initiated))]))
    result.extend(("CommonPrefixes", [("Prefix", encode(item))]) for item in prefixes)
    return xml_response(request, "ListMultipartUploadsResult", result)


def list_parts(store: ObjectStore, request: Request) -> Response:
    query = request.query
    encode = xml.encoder(query.get("encoding-type", ""))
    limit = _page_size(query.get("max-parts"), "max-parts")
    marker = _number(query.get("part-number-marker") or "0", "part-number-marker")
    upload = store.upload(request.bucket, request.key, query["uploadId"])
    numbers, truncated = _cut([number for number in sorted(upload.parts) if number > marker], limit)
    parts = [upload.parts[number] for number in numbers]
    result: xml.Children = [("Bucket", request.bucket)]
    if query.get("encoding-type"):
        result.append(("EncodingType", query["encoding-type"]))
    result += [("Key", encode(request.key)), ("UploadId", upload.id), ("Initiator", [("ID", OWNER)]),
               ("Owner", [("ID", OWNER)]), ("StorageClass", upload.properties.storage_class),
               ("PartNumberMarker", marker)]
    if truncated:
        result.append(("NextPartNumberMarker", numbers[-1]))
    result += [("MaxParts", limit), ("IsTruncated", "true" if truncated else "false")]
    for part in parts:
        result.append(("Part", [("PartNumber", part.number), ("LastModified", xml_date(part.modified)),
                                ("ETag", f'"{part.etag}"'), ("Size", part.size)]))
    return xml_response(request, "ListPartsResult", result)


def _uploads_behind(bucket: Bucket, prefix: str, key_marker: str, id_marker: str,
                    delimiter: str) -> Tuple[List[Upload], List[str]]:
    with bucket.lock:
        found = sorted(bucket.uploads.values(), key=lambda upload: (upload.key, upload.id))
    found = [upload for upload in found if upload.key.startswith(prefix) and (
        upload.key > key_marker or (id_marker and upload.key == key_marker and upload.id > id_marker))]
    if not delimiter:
        return found, []
    page = page_of_keys(sorted({upload.key for upload in found}), prefix, "", delimiter, len(found) + 1)
    return [upload for upload in found if upload.key in page.keys], page.prefixes


def _echo(query, encode) -> xml.Children:
    echoed: xml.Children = []
    if query.get("delimiter"):
        echoed.append(("Delimiter", encode(query["delimiter"])))
    if query.get("encoding-type"):
        echoed.append(("EncodingType", query["encoding-type"]))
    return echoed


def _cut(items: List[_Item], limit: int) -> Tuple[List[_Item], bool]:
    return items[:limit], len(items) > limit


def _number(text: str, name: str) -> int:
    number = whole_number(text)
    if number is None:
        raise ObsError("InvalidArgument", f"{name} is a whole number, not {text[:100]!r}.")
    return number


def _page_size(text: Optional[str], name: str) -> int:
    """1,000 for any number outside 1 to 1,000, as documented for OBS."""
    size = _number(text, name) if text else _MAX_PAGE
    return size if 1 <= size <= _MAX_PAGE else _MAX_PAGE
