"""The error replies of OBS: codes, HTTP statuses and messages.

Codes and statuses come from the table of server-side error codes that the service publishes.
"""
from __future__ import annotations

from typing import Dict, List, Optional, Tuple

TABLE: Dict[str, Tuple[int, str]] = {
    "AccessDenied": (403, "Access denied: the request carries no signature."),
    "BadDigest": (400, "The checksum that was sent does not match the body that was received."),
    "BadRequest": (400, "The request could not be understood."),
    "BucketNotEmpty": (409, "The bucket still holds objects or unfinished multipart uploads."),
    "ExpiredToken": (403, "The security token has expired."),
    "EntityTooSmall": (400, "A part other than the last is smaller than 102400 bytes."),
    "IncompleteBody": (400, "The body ended before the number of bytes that Content-Length promised."),
    "InternalError": (500, "The mocked OBS failed. Its log says why."),
    "InvalidAccessKeyId": (403, "The access key ID does not exist."),
    "InvalidArgument": (400, "Invalid argument."),
    "InvalidBucketName": (400, "A bucket name has 3 to 63 lower-case letters, digits, '-' and '.'."),
    "InvalidDigest": (400, "Content-MD5 is not the Base64 form of a 128-bit digest."),
    "InvalidPart": (400, "A listed part was not uploaded, or has another ETag."),
    "InvalidPartOrder": (400, "The parts are not listed in ascending order."),
    "InvalidRange": (416, "The range does not lie within the object."),
    "InvalidRequest": (400, "Invalid request."),
    "InvalidSecurityToken": (403, "The security token does not belong to the access key ID."),
    "KeyTooLong": (400, "An object key has at most 1024 bytes of UTF-8."),
    "MalformedXML": (400, "The body is not the XML document that this call needs."),
    "MissingContentLength": (411, "Content-Length is missing."),
    "NoSuchBucket": (404, "The bucket does not exist."),
    "NoSuchKey": (404, "The object does not exist."),
    "NoSuchUpload": (404, "The multipart upload does not exist; it may have been completed or aborted."),
    "NotImplemented": (501, "The mocked OBS does not know this call."),
    "NotModified": (304, "The object has not changed."),
    "PreconditionFailed": (412, "A condition of the request does not hold."),
    "RequestTimeTooSkewed": (403, "The request's time is more than 15 minutes away from the server's."),
    "SignatureDoesNotMatch": (403, "The signature is not the one computed here: check the secret key."),
}


class ObsError(Exception):
    """An error reply, raised by code that cannot do what the request asks.

    Args:
        code: one of `TABLE`, or any other one if `status` is given.
        message: a text that says more than the table's.
        headers: HTTP headers of the reply (name, value).
        details: further elements of the XML (name, value), e.g. the string to sign.
        status: HTTP status, if it differs from the table's.
    """

    def __init__(self, code: str, message: Optional[str] = None, headers: Optional[Dict[str, str]] = None,
                 details: Optional[List[Tuple[str, str]]] = None, status: Optional[int] = None):
        self.code = code
        usual, text = TABLE[code] if status is None else TABLE.get(code, (status, "An error."))
        self.status = status or usual
        self.message = message or text
        self.headers = headers or {}
        self.details = details or []
        super().__init__(f"{code} ({self.status}): {self.message}")
