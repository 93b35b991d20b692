"""Kinds of values that a setting can have, and how their text is read.

A value arrives as text (a flag, a scalar of a YAML file), as a list of texts (a YAML sequence), as None (YAML's null)
or already converted (a saved configuration). A kind converts each of these forms, or raises ValueError. It also says in
words what it expects, for messages and for help.
"""

from __future__ import annotations

import math
import re
import unicodedata
from typing import Any, Callable, Mapping, NamedTuple, Optional, Sequence, Tuple

from obs_sync.transfer.filters import Filters, Rule
from obs_sync.urls import parse_url

TRUE_WORDS = ("true", "yes", "1")
FALSE_WORDS = ("false", "no", "0")
MOST_NAME = 64  # characters
MOST_NAME_BYTES = 200  # of UTF-8; a file name has at most 255, and something is added to this one


class Kind(NamedTuple):
    """A kind of values."""

    expected: str  # what a message says after the word "expected"
    convert: Callable[[Any], Any]  # any form of the value → the value; raises ValueError


def text() -> Kind:
    """One line of text that is not empty."""

    def convert(value: Any) -> str:
        if not isinstance(value, str) or not value.strip() or not value.isprintable():
            raise ValueError
        return value

    return Kind("one line of text", convert)


def place() -> Kind:
    """A URL in OBS or a local path. What looks like a URL with another scheme is neither."""

    def convert(value: Any) -> str:
        given = text().convert(value)
        if not given.lower().startswith(("obs://", "s3://")):  # whose buckets and keys the store checks
            parse_url(given)  # InvalidUrl is a ValueError
        return given

    return Kind("obs://bucket/folder/, s3://bucket/folder/ or a local path", convert)


def folder_name() -> Kind:
    """The name of one folder: never a path, so that it cannot lead out of its parent."""

    def convert(value: Any) -> str:
        name = text().convert(value).strip()
        if name in (".", "..") or "/" in name or "\\" in name:
            raise ValueError
        return unicodedata.normalize("NFC", name)

    return Kind("the name of one folder, without slashes", convert)


def name_pattern() -> Kind:
    """The name of a file with a place for the domain and perhaps one for the part."""

    def convert(value: Any) -> str:
        pattern = text().convert(value).strip()
        if pattern.count("{domain}") != 1 or pattern.count("{part}") > 1 or "/" in pattern:
            raise ValueError
        return pattern

    return Kind("a file name with {domain}, and {part} if there is a file for each, such as {domain}-{part}.lst",
                convert)


def plain_name() -> Kind:
    """A name, in any script, that is safe as a directory and as a part of an object's key."""

    def convert(value: Any) -> str:
        name = unicodedata.normalize("NFC", value) if isinstance(value, str) else ""
        if not is_plain_name(name):
            raise ValueError
        return name

    return Kind("up to 64 letters or digits of any script, '.', '_' and '-', not beginning with '.' or '-'", convert)


def is_plain_name(text: str) -> bool:
    """Letters have their marks: without them, Hindi or Thai could not be written."""
    fits = 0 < len(text) <= MOST_NAME and len(text.encode("utf-8", "replace")) <= MOST_NAME_BYTES
    return fits and text[0] not in ".-" and all(is_of_name(character) for character in text)


def is_of_name(character: str) -> bool:
    return character in "._-" or unicodedata.category(character)[0] in "LMN"


def _parts(value: Any, separator: Optional[str] = ",") -> Sequence[Any]:
    """The parts of a text, or the members of a list. separator: None for blanks. Raises ValueError."""
    parts = value.split(separator) if isinstance(value, str) else value
    if not isinstance(parts, (list, tuple)):
        raise ValueError
    return parts


def folder_names() -> Kind:
    """Several folder names, each once: ``a,b,c`` or a list; a tuple in the order given."""

    def convert(value: Any) -> Tuple[str, ...]:
        names = tuple(folder_name().convert(part) for part in _parts(value))
        if not names or len(set(names)) != len(names):
            raise ValueError
        return names

    return Kind("folder names separated by commas, each once", convert)


def assignments() -> Kind:
    """Several ``name=value``, separated by blanks, or a list (where a value may have blanks); a tuple of texts."""

    def convert(value: Any) -> Tuple[str, ...]:
        texts = tuple(text().convert(part) for part in _parts(value, None))
        if not all(re.match(r"[A-Za-z0-9_]+=", part) for part in texts):
            raise ValueError
        return texts

    return Kind("name=value, several separated by blanks or as a list", convert)


def patterns() -> Kind:
    """Several patterns of keys, as of ``sync --exclude``: ``a,b`` or a list; a tuple."""

    def convert(value: Any) -> Tuple[str, ...]:
        texts = tuple(text().convert(part) for part in _parts(value) if part != "")
        filters_of(texts)
        return texts

    return Kind("patterns such as *.tmp or /photo/dog/x.jpg, separated by commas; ? matches a comma in a key", convert)


def layer_patterns() -> Kind:
    """Several patterns of layers' names: ``a,b`` or a list; a sorted tuple without repetitions."""

    def convert(value: Any) -> Tuple[str, ...]:
        return tuple(sorted({text().convert(part).strip() for part in _parts(value) if part != ""}))

    return Kind("patterns of layers' names such as conv1 or layer1.*, separated by commas", convert)


def filters_of(excluded: Sequence[str]) -> Filters:
    """The filters that leave out what one of the patterns matches. Raises ValueError."""
    return Filters([Rule(False, pattern) for pattern in excluded])


def whole(minimum: int, maximum: Optional[int] = None) -> Kind:
    """A whole number, bounds included."""

    def convert(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, (int, str)):
            raise ValueError
        number = int(value)
        if number < minimum or (maximum is not None and number > maximum):
            raise ValueError
        return number

    span = f"at least {minimum}" if maximum is None else f"from {minimum} to {maximum}"
    return Kind("a whole number, " + span, convert)


def real(minimum: Optional[float] = None, maximum: Optional[float] = None, above: Optional[float] = None) -> Kind:
    """A finite number; ``minimum`` and ``maximum`` are included, ``above`` is not."""

    def convert(value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, (int, float, str)):
            raise ValueError
        number = float(value)
        if (not math.isfinite(number) or (minimum is not None and number < minimum)
                or (maximum is not None and number > maximum) or (above is not None and number <= above)):
            raise ValueError
        return number

    bounds = [f"{word} {bound:g}" for word, bound in (
        ("above", above), ("at least", minimum), ("at most", maximum)) if bound is not None]
    return Kind(", ".join(["a number"] + bounds), convert)


def choice(*words: str) -> Kind:
    """One of a few words, in any case."""

    def convert(value: Any) -> str:
        word = value.lower() if isinstance(value, str) else value
        if word not in words:
            raise ValueError
        return word

    return Kind("one of " + ", ".join(words), convert)


def boolean() -> Kind:
    """true/yes/1 or false/no/0, in any case."""

    def convert(value: Any) -> bool:
        word = str(value).lower()
        if word not in TRUE_WORDS + FALSE_WORDS:
            raise ValueError
        return word in TRUE_WORDS

    return Kind("true or false", convert)


def boolean_or(kind: Kind, meaning: Mapping[bool, str]) -> Kind:
    """``kind``, where true and false are other names of two of its words."""

    def convert(value: Any) -> Any:
        try:
            return meaning[boolean().convert(value)]
        except ValueError:
            return kind.convert(value)

    names = ", ".join(f"{str(key).lower()} = {word}" for key, word in sorted(meaning.items(), reverse=True))
    return Kind(f"{kind.expected} ({names})", convert)


def optional(kind: Kind, word: Optional[str] = None) -> Kind:
    """``kind`` or None. None is written as nothing, as YAML's null, or as ``word``."""

    def convert(value: Any) -> Any:
        if value is None or value == "" or (word is not None and value == word):
            return None
        return kind.convert(value)

    return Kind(kind.expected + (", or nothing" if word is None else f", or {word}"), convert)
