"""Rules as lines of text, for command lines, and presets. `plan.py` says how to use them.

A mock of another service has a `Language` of its own: other calls, effects and presets, written in the same way.
"""
from __future__ import annotations

import shlex
from typing import Any, Callable, Dict, List, Mapping, NamedTuple, Optional, Tuple, Type

from obs_sync.mock.faults.answers import (
    ErrorBody, ETag, ExpiredToken, IgnoredRange, PartialDelete, StaleListing, Status,
)
from obs_sync.mock.faults.effect import Amount, Effect, FaultError
from obs_sync.mock.faults.rules import Rule, meant
from obs_sync.mock.faults.transport import Cut, Flip, Latency, Reset, Skew, Stall


def _amount(text: str) -> Amount:
    return int(text) if text.isdecimal() else float(text)


def _truth(text: str) -> bool:
    return {"yes": True, "no": False}[text]


class Word(NamedTuple):
    """How an effect is written: `word=value option=value …`."""

    effect: Type[Effect]
    field: Optional[str]   # that gets the value of the word itself; None if the word takes no value
    convert: Callable[[str], Any] = str
    options: Dict[str, Tuple[str, Callable[[str], Any]]] = {}  # option to (field, converter)


EFFECTS: Dict[str, Word] = {
    "status": Word(Status, "status", int, {"code": ("code", str), "retry-after": ("retry_after", float)}),
    "error-body": Word(ErrorBody, "code", str, {"applied": ("applied", _truth)}),
    "expired-token": Word(ExpiredToken, None),
    "partial-delete": Word(PartialDelete, "kept", _amount, {"code": ("code", str)}),
    "stale": Word(StaleListing, "seconds", float),
    "stale-changes": Word(StaleListing, "changes", int),
    "etag": Word(ETag, "how"),
    "ignored-range": Word(IgnoredRange, None),
    "cut": Word(Cut, "after", _amount, {"ending": ("ending", str)}),
    "reset": Word(Reset, "when"),
    "stall": Word(Stall, "seconds", float, {"at": ("at", _amount)}),
    "flip": Word(Flip, "at", _amount, {"of": ("of", str)}),
    "latency": Word(Latency, "seconds", float),
    "skew": Word(Skew, "seconds", float),
}
_CONDITIONS: Dict[str, Callable[[str], Any]] = {
    "method": str, "key": str, "bucket": str, "nth": int, "every": int, "first": int, "since": int,
    "probability": float, "limit": int}

PRESETS: Dict[str, Tuple[str, ...]] = {
    # Faults of every kind that a client with sound retries and digests survives: about one request in seven.
    "storm": (
        "probability=0.01 stall=0.3",
        "probability=0.02 status=503 code=SlowDown",
        "probability=0.01 status=503 code=SlowDown retry-after=1",
        "probability=0.01 status=500",
        "probability=0.01 status=429",
        "probability=0.02 reset=before",
        "probability=0.02 reset=after",
        "GetObject,ListObjects probability=0.02 cut=0.5",
        "GetObject probability=0.01 cut=0.9 ending=reset",
        "GetObject probability=0.01 stall=0.3 at=0.5",
        "GetObject probability=0.02 flip=0.5",
        "GetObject probability=0.01 etag=wrong",
        "GetObject probability=0.1 ignored-range",
        "PutObject,UploadPart probability=0.03 flip=0.5 of=upload",
        "PutObject,UploadPart probability=0.02 etag=wrong",
        "CompleteMultipartUpload,CopyObject probability=0.1 error-body=InternalError",
        "CompleteMultipartUpload,CopyObject probability=0.1 error-body=InternalError applied=yes",
        "DeleteObjects probability=0.2 partial-delete=0.5",
    ),
    # A distant and busy service: every request waits, some replies stall, nothing fails.
    "slow": (
        "latency=0.05",
        "probability=0.02 stall=1.0",
        "GetObject probability=0.02 stall=0.5 at=0.5",
    ),
    # A bad network: connections break at any point. The service itself works.
    "flaky": (
        "probability=0.03 reset=before",
        "probability=0.03 reset=after",
        "GetObject,ListObjects probability=0.05 cut=0.5",
        "GetObject probability=0.02 cut=0.9 ending=reset",
    ),
}


class Language(NamedTuple):
    """What the rules of one service may say."""

    rule: Type[Rule]
    effects: Mapping[str, Word]
    presets: Mapping[str, Tuple[str, ...]]
    example: str   # the name of an operation, for errors


OBS = Language(Rule, EFFECTS, PRESETS, "GetObject")


def parse_rules(text: str, language: Language = OBS) -> List[Rule]:
    """The rules of a preset, or the one rule in `text`.

    Raises:
        FaultError: the text is not a rule; the message says which part is wrong and what was expected.
    """
    if text in language.presets:
        return [_parse(line, language) for line in language.presets[text]]
    try:
        return [_parse(text, language)]
    except FaultError as error:
        raise FaultError(f"the fault {text!r}: {error}") from None


def describe_injected(counts: Mapping[str, int]) -> str:
    """`MockObs.injected` as one line."""
    kinds = ", ".join(f"{kind} {count}" for kind, count in sorted(counts.items()) if count)
    return f"faults injected: {sum(counts.values())}" + (f" ({kinds})" if kinds else "")


def _parse(text: str, language: Language) -> Rule:
    operation, pairs = _split(text, language)
    effect = _effect_named(pairs, language)
    word = language.effects[effect]
    conditions: Dict[str, Any] = {} if operation is None else {"operation": operation}
    fields: Dict[str, Any] = {}
    for name, equals, value in pairs:
        if name == effect:
            if bool(equals) != (word.field is not None):
                raise FaultError(f"{name} takes no value" if word.field is None else f"{name} needs a value: {name}=…")
            if word.field is not None:
                fields[word.field] = _convert(name, value, word.convert)
        elif name in word.options:
            field, convert = word.options[name]
            fields[field] = _convert(name, value, convert)
        elif name in _CONDITIONS:
            conditions[name] = _convert(name, value, _CONDITIONS[name])
        else:
            raise FaultError(f"there is no {name!r} here{meant(name, [*_CONDITIONS, *word.options])}: expected "
                             f"conditions ({', '.join(_CONDITIONS)})"
                             + (f" or {', '.join(word.options)} of {effect}" if word.options else ""))
    return language.rule(word.effect(**fields), **conditions)


def _split(text: str, language: Language) -> Tuple[Optional[str], List[Tuple[str, str, str]]]:
    """The operation, if the text begins with one, and the words behind it as (name, "=" or "", value)."""
    try:
        words = shlex.split(text)
    except ValueError:
        raise FaultError("a quotation mark is not closed; write a value with blanks as in key='a b'") from None
    operation = None
    if words and "=" not in words[0] and words[0] not in language.effects:
        operation = words.pop(0)
        if operation.islower():  # which no operation is
            raise FaultError(f"{operation!r} is unknown{meant(operation, [*language.presets, *language.effects])}; "
                             f"expected a preset ({', '.join(language.presets)}), an "
                             f"operation such as {language.example}, or an effect "
                             f"({', '.join(sorted(language.effects))})")
    return operation, [word.partition("=") for word in words]


def _effect_named(pairs: List[Tuple[str, str, str]], language: Language) -> str:
    named = [name for name, _, _ in pairs if name in language.effects]
    if len(named) != 1:
        similar = "" if named else next(filter(None, (
            meant(name, language.effects) for name, _, _ in pairs if name not in _CONDITIONS)), "")
        raise FaultError(f"expected one effect ({', '.join(sorted(language.effects))}), "
                         f"found {', '.join(named) or 'none'}{similar}")
    return named[0]


def _convert(name: str, value: str, convert: Callable[[str], Any]) -> Any:
    expected = {int: "a whole number", float: "a number", _amount: "a whole number or a share such as 0.5",
                _truth: "yes or no", str: "text"}[convert]
    try:
        if not value:
            raise ValueError
        return convert(value)
    except (ValueError, KeyError):
        raise FaultError(f"{name}={value}: expected {expected}") from None
