"""What the fields of a request may hold: whole numbers, escaped text, object keys."""
from __future__ import annotations

import re
from typing import Optional
from urllib.parse import unquote, unquote_plus

from obs_sync.mock.errors import ObsError

MAX_KEY_BYTES = 1024

_WHOLE_NUMBER = re.compile(r"[0-9]{1,18}")  # ASCII digits, and fewer than an integer of 64 bits has
_BROKEN_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")


def whole_number(text: str) -> Optional[int]:
    """The number that 1 to 18 decimal digits write; None for any other text."""
    return int(text) if _WHOLE_NUMBER.fullmatch(text) else None


def decode(text: str, what: str, plus: bool = False) -> str:
    """Percent-encoded text, decoded.

    Args:
        text: ASCII.
        what: what the error calls the text, e.g. "the URL".
        plus: whether "+" stands for a space, as in a query.

    Raises:
        ObsError: InvalidArgument when an escape is broken or the decoded bytes are not UTF-8.
    """
    if _BROKEN_ESCAPE.search(text):
        raise ObsError("InvalidArgument", f"A % in {what} is not followed by two hexadecimal digits.")
    try:
        return (unquote_plus if plus else unquote)(text, errors="strict")
    except UnicodeDecodeError:
        raise ObsError("InvalidArgument", f"Text in {what} is not UTF-8 once it is decoded.") from None


def check_key(key: str) -> None:
    """Raises ObsError (InvalidArgument or KeyTooLong) when this cannot be the key of an object."""
    try:
        size = len(key.encode("utf-8"))
    except UnicodeEncodeError:
        raise ObsError("InvalidArgument", f"The key {key!a} holds a lone surrogate, which UTF-8 cannot express.") \
            from None
    if size > MAX_KEY_BYTES:
        raise ObsError("KeyTooLong")
