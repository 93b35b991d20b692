"""Which keys a transfer selects: an ordered list of --include and --exclude patterns."""
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
    """The first pattern that matches a key decides whether it is selected.

    A key that no pattern matches is selected, unless the last pattern is an include. So a single `--include '*.jpg'`
    selects these files only, and a single `--exclude '*.tmp'` everything else.

    `*` and `?` match within a segment; `[ab]`, `[a-z]` and `[!a]` match one character of it; `**` matches across '/'. A
    pattern without '/' is compared with the last segment, a pattern with '/' with the whole key. A pattern that ends in
    '/' names a directory and matches everything below it: a directory anywhere if this is its only '/', otherwise one
    at the beginning of the key. A leading '/' stands for the beginning of the key. Keys that cannot be files, such as
    `/a` and `a//b`, are matched by //a and a//b.

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
        """The patterns that have not decided about any key: probably misspelt, or after a wider pattern."""
        return [rule for rule in self.rules if rule in self._waiting]


def _matcher(rule: Rule) -> "re.Pattern[str]":
    pattern = rule.pattern
    body = pattern.rstrip("/")
    if not body or "\0" in body:
        raise PatternError(f"{str(rule)!r} cannot match any key", None,
                           "Keys are relative to the URL, such as photo/dog/1.jpg")
    is_directory, anchored = pattern.endswith("/"), "/" in body
    expression = _expression(body[1:] if body.startswith("/") else body, rule)
    return re.compile(("" if anchored else "(?:.*/)?") + expression + (r"/.*\Z" if is_directory else r"\Z"), re.DOTALL)


def _expression(glob: str, rule: Rule) -> str:
    """The regular expression of a glob, without anchors."""
    parts, at = [], 0
    while at < len(glob):
        if glob.startswith("**/", at) and (at == 0 or glob[at - 1] == "/"):
            parts.append("(?:.*/)?")  # also no directory at all
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
        raise PatternError(f"{str(rule)!r} is not a pattern ({error})", None,
                           "Write a range in ascending order, as in [a-z]") from None
    return "".join(parts)
