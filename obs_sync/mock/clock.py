"""Moments (seconds since 1970, UTC) in the spellings of HTTP headers and XML documents."""
from __future__ import annotations

import functools
import time
from email.utils import formatdate, parsedate_to_datetime
from typing import Optional


def http_date(moment: float) -> str:
    return _http_date(int(moment // 1))


@functools.lru_cache(maxsize=1024)  # objects are written many in a second and read again and again
def _http_date(second: int) -> str:
    return formatdate(second, usegmt=True)


def xml_date(moment: float) -> str:
    """ISO 8601 with milliseconds, as in listings."""
    millis = int(moment * 1000)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(millis // 1000)) + f".{millis % 1000:03d}Z"


def parse_http_date(text: Optional[str]) -> Optional[float]:
    """The moment that a conditional header names; None where it names none (such a condition is ignored)."""
    try:
        return parsedate_to_datetime(text).timestamp() if text else None
    except (TypeError, ValueError, IndexError):
        return None
