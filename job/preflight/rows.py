"""A preflight: checks that go on at once, each in a thread of its own, none of which can hide or hold up another."""
from __future__ import annotations

import threading
import time
from typing import Any, Callable, Iterable, Iterator, List, NamedTuple, Optional, Tuple, Union

from job.errors import ConfigError
from masf_core.errors import DataError, MasfError, WeightsError
from obs_sync import StoreError

GOOD, BAD, NONE = "good", "bad", "none"
NOTE = "note"  # a run can do without it
MARKS = {GOOD: "✓", BAD: "✗", NONE: "–", NOTE: "!"}
PLAIN_MARKS = {GOOD: "ok", BAD: "NO", NONE: "-", NOTE: "!"}  # where the terminal's encoding lacks these
# The first that fits counts.
MENDS = (
    (DataError, "Correct these files or lists, or leave out what is bad with --bad_data=skip; a run refuses them, too"),
    (WeightsError, "Give --weights_path the weights of this backbone and width, or --weights_path=none"),
    (StoreError, "Try again, and look at the server's own log if it stays: a run would end with the same"),
    (Exception, "Correct it as it says: a run would end with the same"))
TICK = 0.1  # seconds from one look at the stop request to the next


class Row(NamedTuple):
    """The outcome of a check. told: what is. mend: what to do about it, or None."""

    name: str
    state: str
    told: str
    mend: str = None


Check = Tuple[str, Callable[[], Union[Row, List[Row]]]]  # name, function that makes its rows


class Unknown(Exception):
    """A check needs what another could not find out. The message says which."""


class Shared:
    """Something that several checks need, found out once by whoever asks first; the others wait.

    Args:
        name: of the check that tells why, if it fails. find: called once. limit: ``Limit``.
    """

    def __init__(self, name: str, find: Callable[[], Any], limit: Limit) -> None:
        self._name, self._find, self._limit = name, find, limit
        self._lock = threading.Lock()
        self._found = self._error = None
        self._begun = False
        self._done = threading.Event()

    def get(self, own: bool = False) -> Any:
        """It. What finding it raises is raised to the check that is its ``own``; to others, Unknown, as it is to those
        whom it keeps waiting until just before the limit."""
        with self._lock:
            first, self._begun = not self._begun, True
        if first:
            try:
                self._found = self._find()
            except Exception as error:
                self._error = error
            self._done.set()
        # Others give up a little earlier, so that it is not they who seem to hang.
        done = self._done.wait(max(0.0, self._limit.seconds_left() - (0.0 if own else 1.0)))
        if own and self._error is not None:
            raise self._error
        if not done or self._error is not None:
            raise Unknown(f"not looked at, because of {self._name}")
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
    """Yield the ``Row`` s of each check, in the order of the checks, as soon as they are there.

    Args:
        checks: (name, function that returns a ``Row`` or a list of them). limit: ``Limit``; what has not ended by then
            is a row that says so, and its thread is left behind. check_stop: raises if the program is to stop.
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
    """Rows of a check, also of one that fails: list."""
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
                    "Run it with --log_level=debug, and report it")]


def refused(name: str, error: StoreError, what: str = "") -> Row:
    """The row of a StoreError. what: was tried."""
    told = error.what if error.where is None else f"{error.what}: {error.where}"
    return Row(name, BAD, (what + ": " if what else "") + told, error.mend or mend_of(error))


def mend_of(error: Exception) -> str:
    """What to do about an error whose message says what is wrong and was expected."""
    return next(mend for kind, mend in MENDS if isinstance(error, kind))


def line_of(row: Row, width: int, encoding: Optional[str]) -> str:
    """A row as text, the mending step on a line of its own."""
    marks, arrow = MARKS, "→"
    try:
        "✓✗–→".encode(encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        marks, arrow = PLAIN_MARKS, "->"
    text = "{:<{}} {:<{}} {}".format(marks[row.state], max(map(len, marks.values())), row.name, width, row.told)
    if row.mend:
        indent = " " * (max(map(len, marks.values())) + width + 2)
        text += f"\n{indent}{arrow} {row.mend}"
    return text
