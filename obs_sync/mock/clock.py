"""Dates as HTTP headers and XML documents write them. A moment is a number of seconds since 1970, UTC."""
from __future__ import annotations

import functools
import time
from datetime import datetime, timezone
from email.utils import formatdate, parsedate_to_datetime
from typing import Optional


def http_date(moment: float) -> str:
    return _http_date(int(moment // 1))


@functools.lru_cache(maxsize=1024)  # many objects have the same second, and each is read often
def _http_date(second: int) -> str:
    return formatdate(second, usegmt=True)


def xml_date(moment: float) -> str:
    """ISO 8601 with milliseconds, as in listings."""
    millis = int(moment * 1000)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(millis // 1000)) + f".{millis % 1000:03d}Z"


def parse_date(text: str) -> datetime:
    """The moment that a date of RFC 1123 names; without a time zone it is UTC. Raises ValueError."""
    try:
        moment = parsedate_to_datetime(text)
    except (TypeError, ValueError, IndexError, OverflowError):  # all of which it raises for text that is no date
        raise ValueError(f"{text!r} is not a date of RFC 1123") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)


def parse_http_date(text: Optional[str]) -> Optional[float]:
    """The moment in a conditional header; None if it is not a date, as such a condition is ignored."""
    try:
        return parse_date(text).timestamp() if text else None
    except ValueError:
        return None
