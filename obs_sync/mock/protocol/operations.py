"""The calls on buckets and single objects: functions from the store and a request to the reply."""
from __future__ import annotations

import hashlib
from typing import Dict, Optional, Tuple

from obs_sync.mock.clock import http_date, xml_date
from obs_sync.mock.errors import ObsError
from obs_sync.mock.protocol import conditions, xml
from obs_sync.mock.shelf.bodies import Slice, Spool, decode_md5
from obs_sync.mock.shelf.objects import ObjectStore, Properties, StoredObject
from obs_sync.mock.wire.fields import check_key, decode
from obs_sync.mock.wire.messages import Request, Response

OWNER = "mockowner00000000000000000000000"
REGION = "mock-region-1"
_KEPT_HEADERS = ("Cache-Control", "Content-Disposition", "Content-Encoding", "Content-Language", "Expires")
_MAX_DELETIONS = 1000


def xml_response(request: Request, root: str, children: xml.Children,
                 headers: Optional[Dict[str, str]] = None) -> Response:
    body = xml.document(root, children, request.dialect.namespace)
    return Response(headers=dict(headers or {}, **{"Content-Type": "application/xml"}), body=body)


def error_response(request: Request, error: ObsError) -> Response:
    """The reply that reports an error."""
    body = b""
    headers = dict(error.headers)
    if request.method != "HEAD" and error.status != 304:
        headers["Content-Type"] = "application/xml"
        body = xml.document("Error", [
            ("Code", error.code), ("Message", error.message), ("RequestId", request.id),
            ("HostId", "mock" + request.id), ("Resource", request.resource)] + list(error.details))
    return Response(error.status, headers, body, code=error.code)


# --- buckets

def api_version(store: ObjectStore, request: Request) -> Response:
    """Tells the client that it may use the OBS dialect. This request has no signature."""
    if request.bucket:
        store.bucket(request.bucket)
    return Response(headers={"x-obs-api": "3.0"})


def list_buckets(store: ObjectStore, request: Request) -> Response:
    buckets: xml.Children = [
        ("Bucket", [("Name", bucket.name), ("CreationDate", xml_date(bucket.created)), ("Location", REGION),
                    ("BucketType", "OBJECT")]) for bucket in store.buckets()]
    return xml_response(request, "ListAllMyBucketsResult", [("Owner", [("ID", OWNER)]), ("Buckets", buckets)])


def create_bucket(store: ObjectStore, request: Request) -> Response:
    read_document(request)
    store.create_bucket(request.bucket)
    return Response(headers={"Location": "/" + request.bucket})


def head_bucket(store: ObjectStore, request: Request) -> Response:
    store.bucket(request.bucket)
    return Response(headers={request.dialect.region_header: REGION, "x-obs-version": "3.0",
                             request.dialect.bucket_class_header: "STANDARD"})


def delete_bucket(store: ObjectStore, request: Request) -> Response:
    store.delete_bucket(request.bucket)
    return Response(204)


# --- objects

def put_object(store: ObjectStore, request: Request) -> Response:
    store.bucket(request.bucket)
    spool = receive(store, request)
    crc64 = request.special("checksum-crc64ecma")
    stored = store.put(request.bucket, request.key, spool, properties_of(request), crc64)
    headers = dict(encryption_headers(request, stored.properties), ETag=f'"{stored.etag}"')
    return Response(headers=_with_crc64(request, stored.crc64, headers))


def get_object(store: ObjectStore, request: Request) -> Response:
    overrides = _overrides(request)
    stored, content = store.open(request.bucket, request.key)
    try:
        conditions.check(request.headers, stored.etag, stored.modified)
        span = conditions.parse_range(request.headers.get("range"), stored.size)
    except BaseException:
        content.close()
        raise
    headers = object_headers(request, stored)
    headers.update(overrides)
    if span is None:
        return Response(200, _with_crc64(request, stored.crc64, headers), content=content)
    offset, length = span
    headers["Content-Range"] = f"bytes {offset}-{offset + length - 1}/{stored.size}"
    return Response(206, headers, content=content.narrowed(offset, length))


def head_object(store: ObjectStore, request: Request) -> Response:
    stored = store.head(request.bucket, request.key)
    conditions.check(request.headers, stored.etag, stored.modified)
    headers = _with_crc64(request, stored.crc64, object_headers(request, stored))
    return Response(200, dict(headers, **{"Content-Length": str(stored.size)}))


def delete_object(store: ObjectStore, request: Request) -> Response:
    store.delete(request.bucket, request.key)
    return Response(204)


def delete_objects(store: ObjectStore, request: Request) -> Response:
    store.bucket(request.bucket)
    if "content-md5" not in request.headers:
        raise ObsError("InvalidRequest", "A batch deletion needs Content-MD5.")
    root = xml.parse(read_document(request), "Delete")
    encoding = root.findtext("EncodingType") or ""
    encode = xml.encoder(encoding)
    keys = [item.findtext("Key") for item in root.findall("Object")]
    if not 0 < len(keys) <= _MAX_DELETIONS or not all(keys):
        raise ObsError("MalformedXML", f"A batch deletion names 1 to {_MAX_DELETIONS} keys, none of them empty.")
    if encoding:
        keys = [decode(key, "a key", plus=True) for key in keys]
    for key in keys:
        check_key(key)
    result: xml.Children = [("EncodingType", encoding)] if encoding else []
    quiet = (root.findtext("Quiet") or "").lower() == "true"
    count_kept, code = request.deletions_kept or (lambda count: 0, "")
    deleted = len(keys) - count_kept(len(keys))
    for number, key in enumerate(keys):
        if number >= deleted:
            result.append(("Error", [("Key", encode(key)), ("Code", code), ("Message", "The object was kept.")]))
            continue
        store.delete(request.bucket, key)
        if not quiet:
            result.append(("Deleted", [("Key", encode(key))]))
    return xml_response(request, "DeleteResult", result)


def copy_object(store: ObjectStore, request: Request) -> Response:
    store.bucket(request.bucket)
    source, content = open_copy_source(store, request)
    try:
        directive = request.special("metadata-directive", "COPY").upper()
        if directive not in ("COPY", "REPLACE"):
            raise ObsError("InvalidArgument", f"The directive is COPY or REPLACE, not {directive!r}.")
        properties = properties_of(request) if directive == "REPLACE" else source.properties._replace(
            encryption=request.special("server-side-encryption"))  # a copy does not inherit it
        spool = store.spool().write(content.chunks())
    finally:
        content.close()
    stored = store.put(request.bucket, request.key, spool, properties, source.crc64)
    return xml_response(request, "CopyObjectResult", [("LastModified", xml_date(stored.modified)),
                                                      ("ETag", f'"{stored.etag}"')],
                        encryption_headers(request, stored.properties))


# --- shared by several calls

def read_document(request: Request) -> bytes:
    """The XML document in the body of a call, checked against the digests that the client sent."""
    body = request.body.read()
    content_md5 = request.headers.get("content-md5")
    if content_md5 is not None and decode_md5(content_md5) != hashlib.md5(body).digest():
        raise ObsError("BadDigest")
    sha256 = request.special("content-sha256", "UNSIGNED-PAYLOAD")
    if sha256 not in ("UNSIGNED-PAYLOAD", hashlib.sha256(body).hexdigest()):
        raise ObsError("BadDigest")
    return body


def receive(store: ObjectStore, request: Request) -> Spool:
    """The body of an upload, checked against every digest that the client sent."""
    content_md5 = request.headers.get("content-md5")
    if content_md5 is not None:
        decode_md5(content_md5)  # so that a malformed one is refused before the body is read
    sha256 = request.special("content-sha256", "UNSIGNED-PAYLOAD")
    if sha256.startswith("STREAMING-"):
        raise ObsError("NotImplemented", "The mocked OBS does not read bodies signed chunk by chunk.")
    signed = sha256 != "UNSIGNED-PAYLOAD"
    crc64 = request.special("checksum-crc64ecma")
    spool = store.spool(with_sha256=signed, with_crc64=crc64 is not None).write(request.body.chunks())
    spool.check(content_md5, sha256 if signed else None, crc64)
    return spool


def properties_of(request: Request) -> Properties:
    """The properties of an object, from the headers of its upload."""
    prefix = request.dialect.header("meta-")
    metadata = {name[len(prefix):]: value for name, value in request.headers.items()
                if name.startswith(prefix)}
    kept = {name: request.headers[name.lower()] for name in _KEPT_HEADERS if name.lower() in request.headers}
    return Properties(request.headers.get("content-type") or Properties().content_type, kept, metadata,
                      request.special("storage-class", "STANDARD"), request.special("server-side-encryption"))


def object_headers(request: Request, stored: StoredObject) -> Dict[str, str]:
    headers = {"Content-Type": stored.properties.content_type, "ETag": f'"{stored.etag}"',
               "Last-Modified": http_date(stored.modified), "Accept-Ranges": "bytes"}
    headers.update(stored.properties.headers)
    prefix = request.dialect.header("meta-")
    headers.update((prefix + name, value) for name, value in stored.properties.metadata.items())
    if stored.properties.storage_class != "STANDARD":
        headers[request.dialect.header("storage-class")] = stored.properties.storage_class
    headers.update(encryption_headers(request, stored.properties))
    return headers


def encryption_headers(request: Request, properties: Properties) -> Dict[str, str]:
    """Headers about the encryption of an object or an upload; none if it is not encrypted."""
    if properties.encryption is None:
        return {}
    return {request.dialect.header("server-side-encryption"): properties.encryption}


def open_copy_source(store: ObjectStore, request: Request) -> Tuple[StoredObject, Slice]:
    """Opens the object that a copy reads. Raises ObsError if its conditions do not hold."""
    text = request.special("copy-source", "")
    if "?versionId=" in text:
        raise ObsError("NotImplemented", "The mocked OBS keeps no versions.")
    bucket, _, key = decode(text, "the copy source").lstrip("/").partition("/")
    if not bucket or not key:
        raise ObsError("InvalidArgument", f"The copy source is /bucket/key, not {text[:100]!r}.")
    stored, content = store.open(bucket, key)
    try:
        prefix = request.dialect.header("copy-source-")
        conditions.check(request.headers, stored.etag, stored.modified, prefix)
    except BaseException:
        content.close()
        raise
    return stored, content


def _overrides(request: Request) -> Dict[str, str]:
    """The headers that the request sets with `response-*` parameters."""
    chosen = {name[len("response-"):].title(): " ".join(value.split()) for name, value in request.query.items()
              if name.startswith("response-")}
    for name, value in chosen.items():
        if not value.isprintable():
            raise ObsError("InvalidArgument", f"{name} of a reply cannot be {value[:100]!r}.")
    return chosen


def _with_crc64(request: Request, crc64: Optional[str], headers: Dict[str, str]) -> Dict[str, str]:
    if crc64 is not None:
        headers[request.dialect.header("checksum-crc64ecma")] = crc64
    return headers
