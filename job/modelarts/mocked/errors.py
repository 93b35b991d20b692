"""The error replies of ModelArts, and of the API gateway in front of it: `{"error_code", "error_msg"}`.

Codes, statuses and texts are those of the service's published table. Where it has none for a mistake, the general code
ModelArts.2788 stands with a text of the mock.
"""
from __future__ import annotations

import json
from typing import Dict, Optional

from obs_sync.mock.wire.messages import Response

UNKNOWN_CALL = "APIG.0101"
NOT_AUTHENTICATED = "APIG.0301"
DENIED = "APIG.0306"
THROTTLED = "APIG.0308"
FAILED = "APIG.0601"
BROKEN_JSON = "ModelArts.2787"
WRONG_PARAMETER = "ModelArts.2788"
WRONG_QUERY = "ModelArts.2764"
NO_SUCH_JOB = "ModelArts.2775"
OVER_QUOTA = "ModelArts.0116"

# Error code to (HTTP status, text).
TABLE = {
    UNKNOWN_CALL: (404, "The API does not exist or has not been published in the environment"),
    NOT_AUTHENTICATED: (401, "Incorrect IAM authentication information: {}"),
    DENIED: (403, "API access denied: {}"),
    THROTTLED: (429, "The throttling threshold has been reached"),
    FAILED: (500, "Internal server error: {}"),
    OVER_QUOTA: (400, "The expected {} exceeds the quota limit."),
    "ModelArts.2758": (400, "code startup file path error."),
    "ModelArts.2759": (400, "Insufficient quota, too many code files, support uploading up to {} files."),
    "ModelArts.2761": (400, "Insufficient quota, the code file takes up too much storage space, "
                            "supporting up to {} GB"),
    "ModelArts.2763": (400, "The selected flavor is invalid."),
    WRONG_QUERY: (400, "Invalid query parameter ({})."),
    "ModelArts.2767": (400, "parameter key repeat."),
    NO_SUCH_JOB: (400, "Training job (ID: {}) not found."),
    "ModelArts.2780": (400, "AI engine(id:{}) not found."),
    "ModelArts.2781": (400, "Flavor ({}) not found."),
    BROKEN_JSON: (400, "Invalid JSON request body."),
    WRONG_PARAMETER: (400, "Invalid parameter({})."),
    "ModelArts.2790": (400, "Unsupported sorting item."),
    "ModelArts.2791": (400, "Invalid obs path: {}, reason: {}."),
    "ModelArts.2793": (400, "The number of flavor instances ({}) exceeds the maximum ({})."),
    "ModelArts.2802": (400, "Invalid codeDir path: {}."),
    "ModelArts.2806": (400, "Custom image jobs engine.image_url and command or engine.engine_name cannot be empty."),
    "ModelArts.2807": (400, "Unsupported condition key ({})"),
    "ModelArts.2808": (400, "Unsupported condition operator ({})"),
    "ModelArts.2809": (400, "Unsupported condition value ({})"),
}


class ModelArtsError(Exception):
    """An error reply, raised by code that cannot do what the request asks.

    Args:
        code: one of `TABLE`, or any other one if `status` and `message` are given.
        details: fill the places in the table's text.
        message: stands instead of the table's text.
        status: HTTP status, if it differs from the table's.
    """

    def __init__(self, code: str, *details: object, message: Optional[str] = None, status: Optional[int] = None):
        usual, text = TABLE.get(code, (status, message or "An error."))
        self.code = code
        self.status = status or usual
        if message is None:
            message = text
            for detail in details:
                message = message.replace("{}", str(detail), 1)
        self.message = message
        super().__init__(f"{code} ({self.status}): {self.message}")


def wrong(text: str) -> ModelArtsError:
    """The error about a parameter of a body that has no code of its own."""
    return ModelArtsError(WRONG_PARAMETER, text)


def json_response(content: object, status: int = 200, headers: Optional[Dict[str, str]] = None) -> Response:
    """A reply with a JSON document."""
    body = json.dumps(content, ensure_ascii=False).encode("utf-8")
    return Response(status, dict(headers or {}, **{"Content-Type": "application/json;charset=UTF-8"}), body)


def error_response(error: ModelArtsError, headers: Optional[Dict[str, str]] = None) -> Response:
    """The reply to a request that fails."""
    response = json_response({"error_code": error.code, "error_msg": error.message}, error.status, headers)
    response.code = error.code
    return response
