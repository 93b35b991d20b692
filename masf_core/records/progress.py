"""Where a run is, besides its arrays: progress.json of a checkpoint, and the record of an interval.

A checkpoint may come from a storage that others can write to. So whatever progress.json says is compared with what a
run writes there: once, on reading. After that every member is there, and has its type.
"""
from __future__ import annotations

import json
import math
from typing import Any, Callable, Dict, Iterable, List, Mapping, NamedTuple, Tuple

FORMAT = 1
LARGEST = 256 << 20  # bytes; a record has 2 kB for 7 classes, and 400 kB for 345

_MOST = 10 ** 12     # iterations
_LONGEST_WHOLE = 40  # digits
_DEEPEST = 16        # levels of lists and objects

Check = Tuple[Callable[[Any], bool], str]
"""What a value has to be: a function that says whether it is, and the same in words."""


class Progress(NamedTuple):
    """Where a run is, besides its arrays.

    ``pending`` are the per-iteration scalars since the last interval: a run that was stopped inside an interval resumes
    with them, so that the interval's means come out the same.
    """

    iteration: int
    history: List[Dict[str, Any]]  # one record for each interval, see logs.py
    pending: List[Dict[str, float]]
    details: Dict[str, Any]  # the job's own: configuration, data fingerprint, lineage

    def evaluated(self) -> bool:
        """Whether the interval that ends at this iteration has been evaluated."""
        return bool(self.history) and self.history[-1]["iteration"] == self.iteration


def progress_text(progress: Progress) -> str:
    """The content of progress.json."""
    return json.dumps(dict(progress._asdict(), format=FORMAT), allow_nan=True)


def parse_progress(data: bytes) -> Progress:
    """The inverse of ``progress_text``.

    Raises:
        ValueError: the bytes are not what a run writes. The message says what is wrong, and where.
    """
    if len(data) > LARGEST:
        raise ValueError(f"it has {len(data):,} bytes; at most {LARGEST:,} are read")
    try:
        content = json.loads(data.decode("utf-8"), parse_int=_parse_whole)
    except RecursionError:
        raise ValueError("it nests too deep") from None
    _check_depth(content)
    _check_members(content, _PROGRESS, "")
    unknown = set(content) - set(_PROGRESS)
    if unknown:
        raise ValueError(f"it has members that are not known here: {', '.join(sorted(unknown))[:200]}")
    for index, record in enumerate(content["history"]):
        _check_record(record, f"history[{index}]")
    for index, scalars in enumerate(content["pending"]):
        _check_members(scalars, _SCALARS, f"pending[{index}]")
        for name, check in _SCALED.items():
            if name in scalars:
                _check(scalars[name], check, f"pending[{index}].{name}")
    progress = Progress(content["iteration"], content["history"], content["pending"], content["details"])
    _check_complete(progress)
    return progress


def _check_complete(progress: Progress) -> None:
    """Raise if the intervals and the scalars since the last one are not those of all iterations."""
    ends = [record["iteration"] for record in progress.history]
    if any(end >= following for end, following in zip(ends, ends[1:])):
        raise ValueError("the iterations of its history do not increase")
    covered = (ends[-1] if ends else 0) + len(progress.pending)
    if covered != progress.iteration:
        raise ValueError(f"its history and pending cover {covered} iterations; expected {progress.iteration}")


def _check_record(record: Any, place: str) -> None:
    _check_members(record, _RECORD, place)
    for name, check in _SOMETIMES.items():
        if name in record:
            _check(record[name], check, f"{place}.{name}")
    for domain, result in record["validation"].items():
        _check_members(result, _RESULT, f"{place}.validation.{domain}")


def _check_members(value: Any, checks: Mapping[str, Check], place: str) -> None:
    """Raise unless ``value`` is an object with all these members, each as it has to be."""
    if not isinstance(value, dict):
        raise ValueError(f"{place or 'it'} is not an object")
    for name, check in checks.items():
        where = f"{place}.{name}" if place else name
        if name not in value:
            raise ValueError(f"{where} is missing")
        _check(value[name], check, where)


def _check(value: Any, check: Check, place: str) -> None:
    is_right, expected = check
    if not is_right(value):
        raise ValueError(f"{place} is not {expected}")


def _check_depth(content: Any) -> None:
    """Raise if lists and objects nest so deep that code which walks through them might fail."""
    level = _containers([content])
    for _ in range(_DEEPEST):
        level = _containers(each for one in level for each in (one.values() if isinstance(one, dict) else one))
    if level:
        raise ValueError(f"it nests deeper than {_DEEPEST} levels")


def _containers(values: Iterable[Any]) -> List[Any]:
    return [value for value in values if isinstance(value, (dict, list))]


def _parse_whole(digits: str) -> int:
    if len(digits) > _LONGEST_WHOLE:  # Python takes quadratic time to read millions of digits
        raise ValueError(f"it holds a whole number of {len(digits):,} digits")
    return int(digits)


def _is_number(value: Any) -> bool:
    return type(value) in (int, float)  # True is an int too


def _is_whole(value: Any) -> bool:
    return type(value) is int and 0 <= value <= _MOST


def _is_list_of(is_right: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, list) and all(is_right(each) for each in value)


def _is_mapping_to(is_right: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, dict) and all(is_right(each) for each in value.values())


def _or_none(is_right: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: value is None or is_right(value)


_OBJECT: Check = (lambda value: isinstance(value, dict), "an object")
_LIST: Check = (lambda value: isinstance(value, list), "a list")
_TEXT: Check = (lambda value: isinstance(value, str), "text")
_NUMBER: Check = (_is_number, "a number")  # a loss may be NaN
_NUMBER_OR_NONE: Check = (_or_none(_is_number), "a number or null")
_WHOLE: Check = (_is_whole, f"a whole number from 0 to {_MOST:,}")
_PER_CENT: Check = (lambda value: _is_number(value) and math.isfinite(value) and 0 <= value <= 100,
                    "a number from 0 to 100")

_PROGRESS = {"format": (lambda value: type(value) is int and value == FORMAT, str(FORMAT)), "iteration": _WHOLE,
             "history": _LIST, "pending": _LIST, "details": _OBJECT}
_SCALARS = {"source_loss": _NUMBER, "source_accuracy": _NUMBER, "global_loss": _NUMBER, "metric_loss": _NUMBER,
            "seconds": _NUMBER}
_SCALED = {"loss_scale": _NUMBER, "skipped": (lambda value: _is_number(value) and value in (0, 1), "0 or 1")}
_RESULT = {"loss": _NUMBER, "accuracy": _PER_CENT}
_RECORD = {
    "iteration": _WHOLE,
    "source_loss": _NUMBER_OR_NONE,  # the losses are null where every iteration of the interval was skipped
    "source_accuracy": _NUMBER_OR_NONE,
    "global_loss": _NUMBER_OR_NONE,
    "metric_loss": _NUMBER_OR_NONE,
    "seconds_per_iteration": _NUMBER_OR_NONE,
    "images_per_second": _NUMBER_OR_NONE,
    "evaluation_seconds": _NUMBER,
    "target_domain": _TEXT,
    "target_loss": _NUMBER,
    "target_accuracy": _PER_CENT,
    "target_per_class": (_is_mapping_to(_or_none(_is_number)), "an object of numbers"),
    "target_confusion": (_is_list_of(_is_list_of(_is_whole)), "a list of lists of whole numbers"),
    "validation": _OBJECT,
    "validation_accuracy": _PER_CENT,
}
_SOMETIMES = {"loss_scale": _NUMBER, "skipped": _WHOLE, "score": _NUMBER_OR_NONE}
