"""When faults happen: which requests a rule picks. `plan.py` says how to use them."""
from __future__ import annotations

import fnmatch
import random
import re
from dataclasses import dataclass
from typing import Any, Callable, Optional

from obs_sync.mock.faults.effect import Effect, FaultError
from obs_sync.mock.protocol import routes
from obs_sync.mock.wire.messages import Request

_OPERATIONS = sorted({operation.name for operation in routes.OPERATIONS.values()}) + ["Unknown"]


@dataclass(frozen=True)
class Rule:
    """An effect and when it happens. All conditions that are given must hold.

    A request matches by `operation`, `method`, `key` and `bucket`. The rule numbers the requests that match from 1,
    in the order in which their headers have arrived, and picks among them by the rest.

    Raises:
        FaultError: a condition that no request can meet.
    """

    effect: Effect
    operation: str = "*"              # e.g. "GetObject"; several with commas; patterns, e.g. "*Object,ListObjects"
    method: Optional[str] = None      # HTTP verb
    key: Optional[str] = None         # pattern, e.g. "*.jpg"; "*" matches "/" too. Of a listing: its prefix
    bucket: Optional[str] = None      # pattern
    nth: Optional[int] = None         # this one
    every: Optional[int] = None       # the n-th, the 2n-th and so on
    first: Optional[int] = None       # the first n
    since: Optional[int] = None       # the n-th and all that follow
    probability: float = 1.0          # of being picked, drawn from the plan's seed
    limit: Optional[int] = None       # picks no more than so many in all

    def __post_init__(self) -> None:
        if not isinstance(self.effect, Effect):
            raise FaultError(f"a rule has an effect, such as Status(503), not {self.effect!r}")
        for pattern in self.operation.split(","):
            if not fnmatch.filter(_OPERATIONS, pattern):
                raise FaultError(f"there is no operation {pattern!r}: expected some of {', '.join(_OPERATIONS)}")
        for name in ("nth", "every", "first", "since", "limit"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise FaultError(f"{name}={value}: expected 1 or more")
        if not 0.0 <= self.probability <= 1.0:
            raise FaultError(f"probability={self.probability}: expected 0 to 1")

    def picker(self, seed: str) -> Callable[[Request], bool]:
        """A function that tells of one request after the other whether it is picked; not safe for threads."""
        return _Picker(self, seed).picks


class _Picker:
    def __init__(self, rule: Rule, seed: str):
        self._rule = rule
        self._operations = {name for pattern in rule.operation.split(",")
                            for name in fnmatch.filter(_OPERATIONS, pattern)}
        self._method = None if rule.method is None else rule.method.upper()
        self._key, self._bucket = _matcher(rule.key), _matcher(rule.bucket)
        self._random = random.Random(seed)
        self._matched = 0
        self._picked = 0

    def picks(self, request: Request) -> bool:
        rule = self._rule
        if request.operation not in self._operations or self._method not in (None, request.method):
            return False
        if self._bucket is not None and not self._bucket(request.bucket):
            return False
        if self._key is not None and not self._key(request.key or request.query.get("prefix", "")):
            return False
        self._matched += 1
        number = self._matched
        # Drawn for every match, so that what is picked does not hang on the other conditions.
        drawn = rule.probability == 1.0 or self._random.random() < rule.probability
        if not drawn or rule.limit == self._picked or rule.nth not in (None, number):
            return False
        if (rule.every and number % rule.every) or (rule.first and number > rule.first) \
                or (rule.since and number < rule.since):
            return False
        self._picked += 1
        return True


def _matcher(pattern: Optional[str]) -> Optional[Callable[[str], Any]]:
    return None if pattern is None else re.compile(fnmatch.translate(pattern)).match
