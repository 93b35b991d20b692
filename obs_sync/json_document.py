"""JSON that somebody else may have written, or half written."""
from __future__ import annotations

import json
from typing import Any

_LARGEST = 32 << 20  # bytes


def parse_json(data: bytes) -> Any:
    """What it says. Raises ValueError, also for what nests deeper than can be read or is larger than 32 MiB."""
    if len(data) > _LARGEST:
        raise ValueError(f"{len(data)} bytes are more than such a document has")
    try:
        return json.loads(data.decode("utf-8"))
    except RecursionError:
        raise ValueError("it nests too deep") from None
