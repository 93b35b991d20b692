"""JSON that another program may have written, or half written: the one place where such documents are read.

    POINTER = members({"format": one_of("masf-pointer/1"), "name": text()}, may={"metadata": mapping_of(anything())})

    content = read_json(data, POINTER, largest=1 << 20)

`read_json` returns what the document says, or raises DocumentError, which tells what is wrong and in which place
("attempts[2].outcome: expected text, found an object"). Nothing else is raised, whatever the bytes are: their
number, the depth of the nesting and the length of the numbers are bounded.

A shape is a function of a value and its place; it raises DocumentError if the value has another shape. Members that a
shape does not name are allowed, because a newer version may write them.
"""
from __future__ import annotations

import json
import math
import re
from typing import Any, Callable, Dict, Iterable, List, Mapping, NoReturn, Optional

LARGEST = 32 << 20       # bytes of a document, unless its reader says otherwise
MOST_WHOLE = 2 ** 53     # whole numbers up to here are exact as floating-point numbers too
_LONGEST_WHOLE = 40      # characters; Python takes quadratic time to read millions of digits
_DEEPEST = 16            # levels in a value of which only the depth is checked
_SHOWN = 60              # characters of a wrong value in a message

Shape = Callable[[Any, str], None]
"""Raises DocumentError if the value, which is at that place in its document, has another shape."""


class DocumentError(ValueError):
    """The bytes are not the JSON document that they have to be. The message says what is wrong, and where."""


def parse_json(data: bytes, largest: int = LARGEST) -> Any:
    """What a JSON document of at most `largest` bytes says, whatever its shape. Raises DocumentError."""
    if len(data) > largest:
        raise DocumentError(f"it has {len(data):,} bytes; at most {largest:,} are read")
    try:
        content = _DECODER.decode(data.decode("utf-8"))
        if b"\\ud" in data or b"\\uD" in data:  # perhaps half of a pair, which no file or terminal takes
            json.dumps(content, ensure_ascii=False).encode("utf-8")
        return content
    except RecursionError:
        raise DocumentError("it nests too deep") from None
    except UnicodeDecodeError as error:
        raise DocumentError(f"it is not UTF-8 (byte {error.start})") from None
    except UnicodeEncodeError:
        raise DocumentError("it holds half of a surrogate pair, which is not a character") from None
    except DocumentError:
        raise
    except ValueError as error:
        raise DocumentError(f"it is not JSON ({error})") from None


def read_json(data: bytes, shape: Shape, largest: int = LARGEST) -> Any:
    """What a JSON document of at most `largest` bytes says. Raises DocumentError, also if it has another shape."""
    content = parse_json(data, largest)
    shape(content, "")
    return content


def read_json_lines(data: bytes, shape: Shape, largest: int = LARGEST) -> List[Any]:
    """One document a line, each of the same shape; empty lines are skipped. Raises DocumentError naming the line."""
    if len(data) > largest:
        raise DocumentError(f"it has {len(data):,} bytes; at most {largest:,} are read")
    found = []
    for number, line in enumerate(data.split(b"\n"), 1):
        if line.strip():
            try:
                found.append(read_json(line, shape, largest))
            except DocumentError as error:
                raise DocumentError(f"line {number}: {error}") from None
    return found


def whole(least: int = 0, most: int = MOST_WHOLE) -> Shape:
    """A whole number from `least` to `most`."""
    def check(value: Any, place: str) -> None:
        if type(value) is not int or not least <= value <= most:  # True is an int too
            _refuse(place, f"a whole number from {least:,} to {most:,}", value)
    return check


def number(least: float = -math.inf, most: float = math.inf, finite: bool = True) -> Shape:
    """A number from `least` to `most`. `finite=False` allows NaN and infinities as well."""
    def check(value: Any, place: str) -> None:
        is_number = type(value) in (int, float)
        if not is_number or (math.isfinite(value) and not least <= value <= most) \
                or (finite and not math.isfinite(value)):
            bounds = "" if (least, most) == (-math.inf, math.inf) else f" from {least:g} to {most:g}"
            _refuse(place, f"a {'finite ' if finite else ''}number{bounds}", value)
    return check


def text(longest: Optional[int] = None) -> Shape:
    """Text of at most `longest` characters."""
    def check(value: Any, place: str) -> None:
        if not isinstance(value, str) or (longest is not None and len(value) > longest):
            _refuse(place, "text" if longest is None else f"text of at most {longest} characters", value)
    return check


def matching(pattern: str, expected: str) -> Shape:
    """Text that matches the whole regular expression `pattern`, which is `expected` in words."""
    compiled = re.compile(pattern)

    def check(value: Any, place: str) -> None:
        if not isinstance(value, str) or compiled.fullmatch(value) is None:
            _refuse(place, expected, value)
    return check


def sha256() -> Shape:
    """A SHA-256 as it is written everywhere here."""
    return matching("[0-9a-f]{64}", "a SHA-256 of 64 lower-case hex digits")


def truth() -> Shape:
    """true or false."""
    def check(value: Any, place: str) -> None:
        if not isinstance(value, bool):
            _refuse(place, "true or false", value)
    return check


def one_of(*values: Any) -> Shape:
    """One of these values, of the same type too."""
    def check(value: Any, place: str) -> None:
        if not any(type(value) is type(each) and value == each for each in values):
            _refuse(place, " or ".join(map(in_words, values)), value)
    return check


def optional(shape: Shape) -> Shape:
    """null, or a value of the shape."""
    def check(value: Any, place: str) -> None:
        if value is not None:
            shape(value, place)
    return check


def list_of(shape: Shape, least: int = 0) -> Shape:
    """A list of at least `least` values, each of the shape."""
    def check(value: Any, place: str) -> None:
        if not isinstance(value, list) or len(value) < least:
            _refuse(place, "a list" if not least else f"a list of at least {least}", value)
        for index, each in enumerate(value):
            shape(each, f"{place}[{index}]")
    return check


def mapping_of(shape: Shape) -> Shape:
    """An object with any names, whose values have the shape."""
    def check(value: Any, place: str) -> None:
        if not isinstance(value, dict):
            _refuse(place, "an object", value)
        for name, each in value.items():
            shape(each, _inside(place, name))
    return check


def members(must: Mapping[str, Shape], may: Optional[Mapping[str, Shape]] = None) -> Shape:
    """An object with all members of `must`, each of its shape, and those of `may` if they are there.

    Of other members only the depth is checked.
    """
    known: Dict[str, Shape] = {**(may or {}), **must}
    other = anything()

    def check(value: Any, place: str) -> None:
        if not isinstance(value, dict):
            _refuse(place, "an object", value)
        for name in must:
            if name not in value:
                raise DocumentError(f"{_inside(place, name)} is missing")
        for name, each in value.items():
            known.get(name, other)(each, _inside(place, name))
    return check


def anything(deepest: int = _DEEPEST) -> Shape:
    """Any value whose lists and objects nest at most `deepest` levels: code that walks through it cannot fail on that.
    """
    def check(value: Any, place: str) -> None:
        level = _containers([value])
        for _ in range(deepest):
            level = _containers(each for one in level for each in (one.values() if isinstance(one, dict) else one))
        if level:
            raise DocumentError(f"{place or 'it'} nests deeper than {deepest} levels")
    return check


def _containers(values: Iterable[Any]) -> List[Any]:
    return [value for value in values if isinstance(value, (dict, list))]


def _parse_whole(digits: str) -> int:
    if len(digits) > _LONGEST_WHOLE:
        raise DocumentError(f"it holds a whole number of {len(digits):,} digits")
    return int(digits)


_DECODER = json.JSONDecoder(parse_int=_parse_whole)


def _inside(place: str, name: str) -> str:
    return f"{place}.{_short(name)}" if place else _short(name)


def _refuse(place: str, expected: str, found: Any) -> NoReturn:
    raise DocumentError(f"{place or 'the document'}: expected {expected}, found {in_words(found)}")


def in_words(value: Any) -> str:
    """A value as an error message shows it: short, and on one line."""
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return f"a list of {len(value)}" if value else "an empty list"
    return _short(repr(value) if isinstance(value, str) else json.dumps(value))


def _short(words: str) -> str:
    words = words if words.isprintable() else repr(words)
    return words if len(words) <= _SHOWN else f"{words[:_SHOWN]}…"
