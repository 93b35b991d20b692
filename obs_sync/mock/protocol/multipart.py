"""Multipart uploads, from initiation to completion."""
from __future__ import annotations

import hashlib
from typing import Iterator, List, Tuple

from obs_sync.mock.clock import xml_date
from obs_sync.mock.errors import ObsError
from obs_sync.mock.protocol import xml
from obs_sync.mock.protocol.conditions import parse_range
from obs_sync.mock.protocol.operations import (
    encryption_headers, open_copy_source, properties_of, read_document, receive, xml_response,
)
from obs_sync.mock.shelf.bodies import Slice
from obs_sync.mock.shelf.objects import ObjectStore, Part, Upload
from obs_sync.mock.wire.fields import whole_number
from obs_sync.mock.wire.messages import Request, Response

MIN_PART_BYTES = 100 * 1024  # of all parts but the last
MAX_PART_NUMBER = 10000


def initiate(store: ObjectStore, request: Request) -> Response:
    encoding = request.query.get("encoding-type", "")
    encode = xml.encoder(encoding)
    upload = store.initiate(request.bucket, request.key, properties_of(request))
    result: xml.Children = [("EncodingType", encoding)] if encoding else []
    return xml_response(request, "InitiateMultipartUploadResult", result + [
        ("Bucket", request.bucket), ("Key", encode(request.key)), ("UploadId", upload.id)],
        encryption_headers(request, upload.properties))


def upload_part(store: ObjectStore, request: Request) -> Response:
    number = _part_number(request)
    upload_id = request.query["uploadId"]
    upload = store.upload(request.bucket, request.key, upload_id)
    spool = receive(store, request)
    part = store.put_part(request.bucket, request.key, upload_id, number, spool)
    headers = dict(encryption_headers(request, upload.properties), ETag=f'"{part.etag}"')
    crc64 = request.special("checksum-crc64ecma")
    if crc64 is not None:
        headers[request.dialect.header("checksum-crc64ecma")] = crc64
    return Response(headers=headers)


def copy_part(store: ObjectStore, request: Request) -> Response:
    number = _part_number(request)
    store.upload(request.bucket, request.key, request.query["uploadId"])
    source, content = open_copy_source(store, request)
    try:
        wanted = request.special("copy-source-range")
        span = parse_range(wanted, source.size)
        if span is None and wanted is not None:  # unlike a malformed Range, which RFC 7233 wants ignored
            raise ObsError("InvalidArgument", f"A source range is bytes=FIRST-LAST, not {wanted[:100]!r}.")
        spool = store.spool().write((content if span is None else content.narrowed(*span)).chunks())
    finally:
        content.close()
    part = store.put_part(request.bucket, request.key, request.query["uploadId"], number, spool)
    return xml_response(request, "CopyPartResult", [("LastModified", xml_date(part.modified)),
                                                    ("ETag", f'"{part.etag}"')])


def complete(store: ObjectStore, request: Request) -> Response:
    """Joins the listed parts. The object's ETag is the MD5 of the parts' MD5s, followed by their number."""
    encoding = request.query.get("encoding-type", "")
    encode = xml.encoder(encoding)
    listed = xml.parse(read_document(request), "CompleteMultipartUpload").findall("Part")
    upload = store.upload(request.bucket, request.key, request.query["uploadId"])
    parts = _listed_parts(upload, [(item.findtext("PartNumber", ""), item.findtext("ETag", ""))
                                   for item in listed])
    crc64 = request.special("checksum-crc64ecma")
    upload = store.take_upload(request.bucket, request.key, upload.id)
    try:
        spool = store.spool(with_crc64=crc64 is not None).write(_content_of(parts), with_md5=False)
        spool.check(crc64=crc64)
        digest = hashlib.md5(b"".join(bytes.fromhex(part.etag) for part in parts)).hexdigest()
        etag = f"{digest}-{len(parts)}"
        store.put(request.bucket, request.key, spool, upload.properties, crc64, etag, upload.initiated)
    except BaseException:
        store.return_upload(request.bucket, upload)
        raise
    store.erase_upload(request.bucket, upload)
    result: xml.Children = [("EncodingType", encoding)] if encoding else []
    headers = encryption_headers(request, upload.properties)
    if crc64 is not None:
        headers[request.dialect.header("checksum-crc64ecma")] = crc64
    return xml_response(request, "CompleteMultipartUploadResult", result + [
        ("Location", f"http://{request.headers.get('host', '')}{request.path}"), ("Bucket", request.bucket),
        ("Key", encode(request.key)), ("ETag", f'"{etag}"')], headers)


def abort(store: ObjectStore, request: Request) -> Response:
    upload = store.take_upload(request.bucket, request.key, request.query["uploadId"])
    store.erase_upload(request.bucket, upload)
    return Response(204)


def _part_number(request: Request) -> int:
    text = request.query.get("partNumber", "")
    number = whole_number(text)
    if number is None or not 1 <= number <= MAX_PART_NUMBER:
        raise ObsError("InvalidArgument", f"partNumber is 1 to {MAX_PART_NUMBER}, not {text[:100]!r}.")
    return number


def _listed_parts(upload: Upload, listed: List[Tuple[str, str]]) -> List[Part]:
    """The parts that a completion names. Raises ObsError if one is missing, too small or out of order."""
    if not listed:
        raise ObsError("MalformedXML", "A completion names at least one part.")
    parts: List[Part] = []
    for text, etag in listed:
        number = whole_number(text.strip())
        if number is not None and parts and number <= parts[-1].number:
            raise ObsError("InvalidPartOrder")
        part = None if number is None else upload.parts.get(number)
        if part is None or etag.strip().strip('"') != part.etag:
            raise ObsError("InvalidPart", details=[("PartNumber", text[:100]), ("ETag", etag[:100])])
        parts.append(part)
    for part in parts[:-1]:
        if part.size < MIN_PART_BYTES:
            raise ObsError("EntityTooSmall", details=[("PartNumber", str(part.number))])
    return parts


def _content_of(parts: List[Part]) -> Iterator[bytes]:
    for part in parts:
        content = Slice(part.blob.open(), 0, part.size)
        try:
            yield from content.chunks()
        finally:
            content.close()
