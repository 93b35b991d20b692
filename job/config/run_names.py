"""The run name where none is given, made of the target domain."""

from __future__ import annotations

import hashlib
import re
import unicodedata

from job.config.kinds import MOST_NAME, is_of_name, is_plain_name


def derived_name(prefix: str, domain: str) -> str:
    """A name of its own for each domain: where characters of other scripts are lost, a digest tells two apart."""
    domain = unicodedata.normalize("NFC", domain)
    if all(character < "\x80" for character in domain):
        return (prefix + re.sub(r"[^A-Za-z0-9._-]+", "-", domain))[:MOST_NAME]
    kept = "".join(each if is_of_name(each) else "-" for each in domain)
    if kept == domain and is_plain_name(prefix + kept):
        return prefix + kept
    digest = "-" + hashlib.sha256(domain.encode("utf-8", "replace")).hexdigest()[:8]
    while kept and not is_plain_name(prefix + kept + digest):
        kept = kept[:-1]
    return prefix + kept + digest
