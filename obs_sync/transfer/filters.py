"""Which keys a transfer is about: an ordered list of --include and --exclude patterns."""
from __future__ import annotations

import re
from typing import List, NamedTuple, Sequence

from obs_sync.errors import StoreError


class Rule(NamedTuple):
    include: bool
    pattern: str

    def __str__(self) -> str:
        return f"--{'include' if self.include else 'exclude'} {self.pattern}"


class PatternError(StoreError, ValueError):
    """A pattern that cannot match any key."""


class Filters:
    """The first pattern that matches a key decides about it.

    A key that none matches is taken, unless the last pattern is an include: then it is left out. So a single
    `--include '*.jpg'` means those alone, and a single `--exclude '*.tmp'` everything else.

    `*` and `?` match within a segment, `[ab]`, `[a-z]` and `[!a]` one character of it, `**` also across '/'. A
    pattern without '/' is matched with the last segment, wherever it is; one with '/' with the whole key, from
    its beginning on. A pattern that ends in '/' names a directory and means everything below it: anywhere if
    that '/' is its only one, else from the beginning of the key. A leading '/' stands for that beginning; what can be
    no file, such as the keys `/a` and `a//b`, is matched by //a and a//b.

    Raises PatternError.
    """

    def __init__(self, rules: Sequence[Rule] = ()):
        self.rules = tuple(rules)
        self._matchers = [(rule, _matcher(rule)) for rule in self.rules]
        self._waiting = set(self.rules)
        self._otherwise = not (self.rules and self.rules[-1].include)

    def __bool__(self) -> bool:
        return bool(self.rules)

    def selects(self, key: str) -> bool:
        for rule, matcher in self._matchers:
            if matcher.match(key):
                self._waiting.discard(rule)
                return rule.include
        return self._otherwise

    @property
    def idle(self) -> List[Rule]:
        """The patterns that have decided about no key so far: misspelt, most likely, or behind a wider one."""
        return [rule for rule in self.rules if rule in self._waiting]


def _matcher(rule: Rule) -> "re.Pattern[str]":
    pattern = rule.pattern
    body = pattern.rstrip("/")
    if not body or "\0" in body:
        raise PatternError(f"{str(rule)!r} can match no key", None,
                           "Keys are relative to the URL, such as photo/dog/1.jpg")
    is_directory, anchored = pattern.endswith("/"), "/" in body
    expression = _expression(body[1:] if body.startswith("/") else body, rule)
    return re.compile(("" if anchored else "(?:.*/)?") + expression + (r"/.*\Z" if is_directory else r"\Z"), re.DOTALL)


def _expression(glob: str, rule: Rule) -> str:
    """The regular expression of a glob, without anchors."""
    parts, at = [], 0
    while at < len(glob):
        if glob.startswith("**/", at) and (at == 0 or glob[at - 1] == "/"):
            parts.append("(?:.*/)?")  # no directory, too
            at += 3
        elif glob.startswith("**", at):
            parts.append(".*")
            at += 2
        elif glob[at] == "*":
            parts.append("[^/]*")
            at += 1
        elif glob[at] == "?":
            parts.append("[^/]")
            at += 1
        elif glob[at] == "[":
            end = glob.find("]", at + 2 + (glob[at + 1:at + 2] == "!"))
            if end < 0:
                raise PatternError(f"{str(rule)!r} has a '[' without a ']'", None, "Write [[] for the character itself")
            negated = glob[at + 1] == "!"
            content = glob[at + 1 + negated:end].replace("\\", "\\\\").replace("[", "\\[").replace("^", "\\^")
            parts.append(f"(?!/)[{'^' if negated else ''}{content}]")
            at = end + 1
        else:
            parts.append(re.escape(glob[at]))
            at += 1
    try:
        re.compile("".join(parts))
    except re.error as error:
        raise PatternError(f"{str(rule)!r} is no pattern ({error})", None, "Ranges go upwards, as in [a-z]") from None
    return "".join(parts)
