"""Run checks side by side, each in a thread of its own, so that no check hides or delays another."""
from __future__ import annotations

import threading
import time
from typing import Any, Callable, Iterable, Iterator, List, NamedTuple, Optional, Tuple, Union

from job.errors import ConfigError
from masf_core.errors import DataError, MasfError, WeightsError
from obs_sync import StoreError

GOOD, BAD, NONE = "good", "bad", "none"
NOTE = "note"  # a run works without it
MARKS = {GOOD: "✓", BAD: "✗", NONE: "–", NOTE: "!"}
PLAIN_MARKS = {GOOD: "ok", BAD: "NO", NONE: "-", NOTE: "!"}  # where the terminal cannot print these
# What to do about an error whose own message does not say; the first entry that fits counts.
MENDS = (
    (DataError, "Correct these files or lists, or skip bad ones with --bad_data=skip; a run refuses them, too"),
    (WeightsError, "Give --weights_path the weights of this backbone and width, or --weights_path=none"),
    (StoreError, "Try again; if the error stays, look at the server's log. A run would fail with the same error"),
    (Exception, "Correct what the message names; a run would fail with the same error"))
TICK = 0.1  # seconds between two looks at the stop request


class Row(NamedTuple):
    """The outcome of a check. told: what was found. mend: what to do about it, or None."""

    name: str
    state: str
    told: str
    mend: str = None


Check = Tuple[str, Callable[[], Union[Row, List[Row]]]]  # name, function that makes its rows


class Unknown(Exception):
    """This check needs something that another check could not find out. The message names that check."""


class Shared:
    """Something that several checks need. The first check that asks finds it out; the others wait.

    Args:
        name: of the check that reports the error, if finding it fails. find: called once. limit: ``Limit``.
    """

    def __init__(self, name: str, find: Callable[[], Any], limit: Limit) -> None:
        self._name, self._find, self._limit = name, find, limit
        self._lock = threading.Lock()
        self._found = self._error = None
        self._begun = False
        self._done = threading.Event()

    def get(self, own: bool = False) -> Any:
        """The value.

        Args:
            own: the caller is the check that reports the error.

        Raises:
            Exception: the error of finding it, to the ``own`` check. Unknown: to the other checks, after an error or
                when waiting has taken until just before the limit.
        """
        with self._lock:
            first, self._begun = not self._begun, True
        if first:
            try:
                self._found = self._find()
            except Exception as error:
                self._error = error
            self._done.set()
        # Other checks stop waiting a little earlier, so that the limit is reported for the check that hangs.
        done = self._done.wait(max(0.0, self._limit.seconds_left() - (0.0 if own else 1.0)))
        if own and self._error is not None:
            raise self._error
        if not done or self._error is not None:
            raise Unknown(f"not checked, because {self._name} could not be checked")
        return self._found


class Limit:
    """When the preflight has to have ended. seconds: from now."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._end = clock() + seconds
        self.seconds = seconds

    def seconds_left(self) -> float:
        return self._end - self._clock()


def run_checks(checks: Iterable[Check], limit: Limit, check_stop: Callable[[], None] = lambda: None) -> Iterator[Row]:
    """Yield the rows of each check, in the order of the checks, as soon as they are known.

    Args:
        checks: (name, function that returns a ``Row`` or a list of them). limit: ``Limit``; a check that has
            not ended by then gets a row that says so, and its thread is abandoned. check_stop: raises if the program
            was asked to stop.
    """
    running = []
    for name, function in checks:
        outcome = []
        thread = threading.Thread(target=lambda name=name, function=function, outcome=outcome: outcome.append(
            outcome_of(name, function)), name=name, daemon=True)
        thread.start()
        running.append((name, thread, outcome))
    for name, thread, outcome in running:
        while thread.is_alive() and limit.seconds_left() > 0.0:
            check_stop()
            thread.join(min(TICK, max(0.0, limit.seconds_left())))
        check_stop()
        yield from outcome[0] if outcome else [Row(
            name, BAD, f"no answer within {limit.seconds:.0f} s",
            "Check the network, OBS_SERVER and proxies; a store that is only slow is no obstacle to a run")]


def outcome_of(name: str, function: Callable[[], Union[Row, List[Row]]]) -> List[Row]:
    """The rows of a check, also of one that fails."""
    try:
        found = function()
        return found if isinstance(found, list) else [found]
    except Unknown as error:
        return [Row(name, NONE, str(error))]
    except StoreError as error:
        return [refused(name, error)]
    except (ConfigError, MasfError) as error:
        return [Row(name, BAD, str(error).rstrip("."), mend_of(error))]
    except Exception as error:
        return [Row(name, BAD, f"the check itself failed: {type(error).__name__}: {error}",
                    "Run it again with --log_level=debug, and report it")]


def refused(name: str, error: StoreError, what: str = "") -> Row:
    """The row of a StoreError. what: the operation that failed, or ""."""
    told = error.what if error.where is None else f"{error.what}: {error.where}"
    return Row(name, BAD, (what + ": " if what else "") + told, error.mend or mend_of(error))


def mend_of(error: Exception) -> str:
    """What to do about an error whose message does not say so itself."""
    return next(mend for kind, mend in MENDS if isinstance(error, kind))


def line_of(row: Row, width: int, encoding: Optional[str]) -> str:
    """A row as text, the mending step on a line of its own."""
    marks, arrow = MARKS, "→"
    try:
        "✓✗–→".encode(encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        marks, arrow = PLAIN_MARKS, "->"
    mark_width = max(map(len, marks.values()))
    text = f"{marks[row.state]:<{mark_width}} {row.name:<{width}} {row.told}"
    if row.mend:
        indent = " " * (mark_width + width + 2)
        text += f"\n{indent}{arrow} {row.mend}"
    return text
