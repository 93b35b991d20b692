"""Names of runs: where none is given, and in a sweep."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from typing import Optional

from job.config.kinds import MOST_NAME, MOST_NAME_BYTES, is_of_name, is_plain_name


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


def study_name(variant: str, domain: str, seed: int, digest: str) -> str:
    """The name of a run of a sweep: variant, target domain, seed, and a digest of its settings.

    Args:
        variant: a plain name. digest: hexadecimal digits, which keep the names apart where a long domain is cut.
    """
    tail = f"-s{seed}-{digest}"
    name = derived_name(variant + "-", domain)[:MOST_NAME - len(tail)]
    while len((name + tail).encode("utf-8")) > MOST_NAME_BYTES:
        name = name[:-1]
    return name + tail


def variant_in(name: str, domain: str, seed: int) -> Optional[str]:
    """The variant in a name that ``study_name`` made for this domain and seed, or None."""
    found = re.fullmatch(f"(.+)-s{seed}-[0-9a-f]{{8}}", name)
    if found is None:
        return None
    stem = found.group(1)
    for cut in range(len(stem) - 1, 0, -1):
        if stem[cut] == "-" and study_name(stem[:cut], domain, seed, "0" * 8) == f"{stem}-s{seed}-{'0' * 8}":
            return stem[:cut]
    return None
