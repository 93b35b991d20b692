"""Unfinished uploads in parts, through the SDK: lists them and their parts, and aborts them."""
from __future__ import annotations

from typing import Any, Dict, List, NamedTuple, Optional

from obs_sync.errors import StoreError, StoreUnavailable
from obs_sync.esdk.client import Calls, UploadGone
from obs_sync.esdk.reply import etag_of, header_time, headers_of, listed_time, readable_body
from obs_sync.store import UnfinishedUpload


class StoredPart(NamedTuple):
    size: Optional[int]  # bytes
    etag: Optional[str]  # without quotes: the MD5 of the part, unless it is encrypted at rest
    modified: Optional[float]  # seconds since the epoch, by the server's clock


def list_uploads(calls: Calls, prefix: str, where: str) -> List[UnfinishedUpload]:
    """All uploads to keys that start with `prefix`, with their full keys, or it raises."""
    from obs import ListMultipartUploadsRequest
    found: List[UnfinishedUpload] = []
    key_marker, id_marker, seen = None, None, set()
    while True:
        request = ListMultipartUploadsRequest(prefix=prefix, key_marker=key_marker, upload_id_marker=id_marker)
        page = calls("listMultipartUploads", where, multipart=request, encoding_type="url",
                     check=readable_body(where, "bucket", "maxUploads"))
        for upload in page.upload or ():
            if upload.key is None or not upload.uploadId or not upload.key.startswith(prefix):
                raise StoreError(f"the list of uploads holds {upload.key!r}, which was not asked for", where)
            found.append(UnfinishedUpload(upload.key, upload.uploadId, listed_time(upload.initiated)))
        if not page.isTruncated:
            return found
        last = page.upload[-1] if page.upload else None
        key_marker = page.nextKeyMarker or (last.key if last else None)
        id_marker = page.nextUploadIdMarker or (last.uploadId if last else None)
        if key_marker is None or (key_marker, id_marker) in seen:
            raise StoreError("the list of uploads is cut short, and the server names no next page", where,
                             "The server's paging is at fault; nothing was done")
        seen.add((key_marker, id_marker))


def list_parts(calls: Calls, key: str, upload_id: str, where: str) -> Dict[int, StoredPart]:
    """Number (from 1) to part. Raises UploadGone."""
    found: Dict[int, StoredPart] = {}
    marker = None
    while True:
        page = calls("listParts", where, key, upload_id, partNumberMarker=marker,
                     check=readable_body(where, "bucketName"))
        numbers = [part.partNumber for part in page.parts or ()]
        found.update((part.partNumber, StoredPart(part.size, etag_of(part.etag), listed_time(part.lastModified)))
                     for part in page.parts or ())
        if not page.isTruncated:
            return found
        if not numbers or marker is not None and max(numbers) <= marker:
            raise StoreError("the list of parts is cut short, and the server names no next page", where)
        marker = max(numbers)


def newest_part(calls: Calls, key: str, upload_id: str, where: str) -> Optional[float]:
    """When the last part of an upload arrived; None if it has none, or is gone."""
    try:
        parts = list_parts(calls, key, upload_id, where)
    except UploadGone:
        return None
    return max((part.modified for part in parts.values() if part.modified is not None), default=None)


def abort(calls: Calls, key: str, upload_id: str, where: str) -> None:
    try:
        calls("abortMultipartUpload", where, key, upload_id)
    except UploadGone:
        pass


def clock_of(calls: Calls, prefix: str, where: str) -> float:
    """The server's time, from the Date of its reply to a listing of one object: every user of a store may list it."""
    def date(result: Any) -> float:
        seconds = header_time(headers_of(result).get("date"))
        if seconds is None:
            raise StoreUnavailable("the server's reply has no date", where, "Try again later")
        return seconds

    return calls("listObjects", where, prefix=prefix, max_keys=1, check=date)
