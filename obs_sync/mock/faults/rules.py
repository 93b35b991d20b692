"""Rules: which requests have a fault. `plan.py` says how to use them."""
from __future__ import annotations

import difflib
import fnmatch
import random
import re
from dataclasses import dataclass
from typing import Any, Callable, ClassVar, Iterable, Optional, Sequence

from obs_sync.mock.faults.effect import Effect, FaultError
from obs_sync.mock.protocol import routes
from obs_sync.mock.wire.messages import Request

_OPERATIONS = sorted({operation.name for operation in routes.OPERATIONS.values()}) + ["Unknown"]


def meant(word: str, known: Iterable[str]) -> str:
    """`` (did you mean 'x'?)`` for the known word that resembles this one, or nothing."""
    near = difflib.get_close_matches(word, list(known), n=1)
    return f" (did you mean {near[0]!r}?)" if near else ""


@dataclass(frozen=True)
class Rule:
    """An effect, and the conditions under which it happens. All of them must hold.

    `operation`, `method`, `key` and `bucket` decide whether a request matches. The rule numbers the matching requests
    from 1, in the order in which their headers arrive, and the other conditions pick some of them.

    Attributes:
        operations: names of the service's calls; a mock of another service derives from this class and has its own.

    Raises:
        FaultError: no request can meet a condition.
    """

    operations: ClassVar[Sequence[str]] = _OPERATIONS

    effect: Effect
    operation: str = "*"              # e.g. "GetObject"; several with commas; patterns, e.g. "*Object,ListObjects"
    method: Optional[str] = None      # HTTP verb
    key: Optional[str] = None         # pattern, e.g. "*.jpg"; "*" also matches "/". For a listing: of its prefix
    bucket: Optional[str] = None      # pattern
    nth: Optional[int] = None         # the n-th
    every: Optional[int] = None       # the n-th, the 2n-th and so on
    first: Optional[int] = None       # the first n
    since: Optional[int] = None       # the n-th and all that follow
    probability: float = 1.0          # that the request is picked, drawn from the plan's seed
    limit: Optional[int] = None       # most requests that are picked in all

    def __post_init__(self) -> None:
        if not isinstance(self.effect, Effect):
            raise FaultError(f"the effect is {self.effect!r}: expected an Effect, such as Status(503)")
        for pattern in self.operation.split(","):
            if not fnmatch.filter(self.operations, pattern):
                raise FaultError(f"there is no operation {pattern!r}{meant(pattern, self.operations)}: expected one or "
                                 f"more of {', '.join(self.operations)}")
        for name in ("nth", "every", "first", "since", "limit"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise FaultError(f"{name}={value}: expected 1 or more")
        if not 0.0 <= self.probability <= 1.0:
            raise FaultError(f"probability={self.probability}: expected 0 to 1")

    def picker(self, seed: str) -> Callable[[Request], bool]:
        """A function that decides for each request whether it is picked. Only one thread may call it at a time."""
        return _Picker(self, seed).picks


class _Picker:
    def __init__(self, rule: Rule, seed: str):
        self._rule = rule
        self._operations = {name for pattern in rule.operation.split(",")
                            for name in fnmatch.filter(rule.operations, pattern)}
        self._method = None if rule.method is None else rule.method.upper()
        self._key, self._bucket = _matcher(rule.key), _matcher(rule.bucket)
        self._random = random.Random(seed)
        self._matched = 0
        self._picked = 0

    def picks(self, request: Request) -> bool:
        if not self._matches(request):
            return False
        self._matched += 1
        # Drawn for every match, so that the other conditions do not change which requests the seed picks.
        drawn = self._rule.probability == 1.0 or self._random.random() < self._rule.probability
        picked = drawn and self._rule.limit != self._picked and self._counts(self._matched)
        self._picked += picked
        return picked

    def _matches(self, request: Request) -> bool:
        """Whether the rule is about this request: its operation, method, bucket and key."""
        key = request.key or request.query.get("prefix", "")
        return (request.operation in self._operations and self._method in (None, request.method)
                and (self._bucket is None or bool(self._bucket(request.bucket)))
                and (self._key is None or bool(self._key(key))))

    def _counts(self, number: int) -> bool:
        """Whether the rule picks the request that matched as the `number`-th one."""
        rule = self._rule
        return (rule.nth in (None, number) and (rule.every is None or number % rule.every == 0)
                and (rule.first is None or number <= rule.first) and (rule.since is None or number >= rule.since))


def _matcher(pattern: Optional[str]) -> Optional[Callable[[str], Any]]:
    return None if pattern is None else re.compile(fnmatch.translate(pattern)).match
