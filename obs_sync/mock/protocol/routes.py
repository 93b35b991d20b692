"""Finds the call that a request makes. The mock never ignores a call, parameter or header that it does not know."""
from __future__ import annotations

from typing import Callable, Dict, FrozenSet, NamedTuple, Optional, Tuple

from obs_sync.mock.errors import ObsError
from obs_sync.mock.protocol import listing, multipart, operations
from obs_sync.mock.shelf.objects import ObjectStore
from obs_sync.mock.wire.messages import Request, Response


class Operation(NamedTuple):
    name: str
    run: Callable[[ObjectStore, Request], Response]
    parameters: FrozenSet[str]
    signed: bool


def _operation(name: str, run: Callable, parameters: str = "", signed: bool = True) -> Operation:
    return Operation(name, run, frozenset(parameters.split()), signed)


_VERSION = _operation("GetApiVersion", operations.api_version, "apiversion", signed=False)
_OVERRIDES = ("response-content-type response-content-language response-expires response-cache-control "
              "response-content-disposition response-content-encoding")

# (level, method, distinguishing parameters and headers) to operation
OPERATIONS: Dict[Tuple[str, str, str], Operation] = {
    ("service", "HEAD", "apiversion"): _VERSION,
    ("bucket", "HEAD", "apiversion"): _VERSION,
    ("service", "GET", ""): _operation("ListBuckets", operations.list_buckets),
    ("bucket", "PUT", ""): _operation("CreateBucket", operations.create_bucket),
    ("bucket", "HEAD", ""): _operation("HeadBucket", operations.head_bucket),
    ("bucket", "DELETE", ""): _operation("DeleteBucket", operations.delete_bucket),
    ("bucket", "GET", ""): _operation("ListObjects", listing.list_objects,
                                      "prefix marker delimiter max-keys encoding-type"),
    ("bucket", "POST", "delete"): _operation("DeleteObjects", operations.delete_objects, "delete"),
    ("bucket", "GET", "uploads"): _operation("ListMultipartUploads", listing.list_uploads,
                                             "uploads prefix delimiter key-marker upload-id-marker "
                                             "max-uploads encoding-type"),
    ("object", "PUT", ""): _operation("PutObject", operations.put_object),
    ("object", "PUT", "copy"): _operation("CopyObject", operations.copy_object),
    ("object", "GET", ""): _operation("GetObject", operations.get_object, _OVERRIDES),
    ("object", "HEAD", ""): _operation("HeadObject", operations.head_object),
    ("object", "DELETE", ""): _operation("DeleteObject", operations.delete_object),
    ("object", "POST", "uploads"): _operation("InitiateMultipartUpload", multipart.initiate,
                                              "uploads encoding-type"),
    ("object", "PUT", "uploadId"): _operation("UploadPart", multipart.upload_part, "uploadId partNumber"),
    ("object", "PUT", "uploadId copy"): _operation("CopyPart", multipart.copy_part, "uploadId partNumber"),
    ("object", "GET", "uploadId"): _operation("ListParts", listing.list_parts,
                                              "uploadId max-parts part-number-marker encoding-type"),
    ("object", "POST", "uploadId"): _operation("CompleteMultipartUpload", multipart.complete,
                                               "uploadId encoding-type"),
    ("object", "DELETE", "uploadId"): _operation("AbortMultipartUpload", multipart.abort, "uploadId"),
}

_SPECIAL_HEADERS = frozenset((
    "date security-token content-sha256 storage-class checksum-crc64ecma location bucket-type "
    "metadata-directive copy-source copy-source-range copy-source-if-match copy-source-if-none-match "
    "copy-source-if-modified-since copy-source-if-unmodified-since "
    "server-side-encryption acl").split())  # an ACL is accepted and has no effect: there is one identity

_IGNORED = frozenset(["x-id"])  # newer clients of S3 repeat the name of the operation in it


def find_operation(request: Request) -> Optional[Operation]:
    """The operation of a request; None if the mock does not know it."""
    level = "object" if request.key else "bucket" if request.bucket else "service"
    marks = [name for name in ("apiversion", "uploads", "uploadId", "delete") if name in request.query]
    if request.method == "PUT" and request.special("copy-source") is not None:
        marks.append("copy")
    return OPERATIONS.get((level, request.method, " ".join(marks)))


def check_known(request: Request, operation: Optional[Operation]) -> None:
    """Raises ObsError (NotImplemented) if the mock does not know the call, a parameter or a header."""
    if operation is None:
        raise ObsError("NotImplemented", f"The mocked OBS does not know {request.method} {request.resource} "
                                         f"with the parameters {sorted(request.query)}.")
    unknown = sorted(set(request.query) - operation.parameters - _IGNORED)
    prefix = request.dialect.prefix
    for name in request.headers:
        if name.startswith(prefix) and name[len(prefix):] not in _SPECIAL_HEADERS \
                and not name.startswith(prefix + "meta-"):
            unknown.append(name)
    if unknown:
        text = f"The mocked OBS does not know {', '.join(unknown)} of {operation.name}."
        raise ObsError("NotImplemented", text)
