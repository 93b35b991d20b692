"""The label base: does a list count its classes from 0 or from 1?

PACS's lists count from 1. Fed to a network as they are, the last class has no target and the first is never one:
accuracy is then capped by the share of the last class, and nothing else looks wrong. So the base is found by comparing
labels with folder names, and a list that fits neither base is refused.
"""

from __future__ import annotations

import collections
import logging
from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

from masf_core.data.lists import Line
from masf_core.data.offences import Offences, plural, refuse

log = logging.getLogger(__name__)

BASES = (0, 1)


class Numbering(NamedTuple):
    """label − base is an index into the classes."""

    base: int
    classes: Tuple[str, ...]


def check_labels(
    lists: Dict[str, Sequence[Line]],
    classes: Sequence[str],
    label_base: str,
    offences: Offences,
    offenders_path: Optional[str] = None,
) -> Numbering:
    """The base b of all lists, and the classes' order: label − b is the index of the line's folder in it.

    The order is that of `classes`, or, where that does not fit, the one that the lists themselves agree on: each label
    stands for one class, and in each list for the same.

    The base is the one that most lines fit. It must be most of them, and no less than half of each class: a whole class
    that disagrees is a list in another order, not a list with mistakes. Lines that do not fit are added to `offences`.

    Args:
        lists: file name → its lines, whose classes are all in `classes`.
        classes: class folders in PACS's order, which is that of their characters' codes.
        label_base: "auto", or "0" or "1" to insist.

    Raises:
        DataError: no base fits most lines, the lists disagree among themselves, or the base that was insisted on is
            not theirs. Leaving lines out mends none of that.
    """
    lines = [line for group in lists.values() for line in group]
    if not lines:
        return Numbering(BASES[0], tuple(classes))
    position = {name: index for index, name in enumerate(classes)}
    own = _own_order(lists, classes, lines)
    if own is not None and not _fits_most(lines, position):
        classes = own
        position = {name: index for index, name in enumerate(classes)}
        log.warning("the lists number the classes in an order of their own, which is taken: %s", _order(classes))

    def fits(group: Sequence[Line], base: int) -> int:
        return sum(line.label - base == position[line.class_name] for line in group)

    base = max(BASES, key=lambda candidate: fits(lines, candidate))
    disagreeing = [line for line in lines if line.label - base != position[line.class_name]]
    in_class = collections.Counter(line.class_name for line in lines)
    wrong_in_class = collections.Counter(line.class_name for line in disagreeing)
    pairs = [(line.where, _disagreement(line, base, classes)) for line in disagreeing]
    if 2 * len(disagreeing) >= len(lines) or any(2 * wrong_in_class[name] > in_class[name] for name in in_class):
        raise refuse(
            "the labels of the lists fit their folders counted neither from 0 nor from "
            f"1.\n{_found(lines)}\nExpected: one label "
            f"for each class in all lists, from 0 or 1 on, such as {_order(classes)}. Correct the lists, or check "
            "dataroot for folders "
            "that are no classes.", pairs, offenders_path)
    odd_lists = [name for name, group in lists.items() if 2 * fits(group, 1 - base) > len(group)]
    if odd_lists:
        raise refuse(
            "the lists disagree about the label of the first class: {} from {}, the others from {}. Make them "
            "agree.".format(", ".join(odd_lists), 1 - base, base), pairs, offenders_path)
    if label_base != "auto" and int(label_base) != base:
        raise refuse(
            "label_base={} was asked for, but the lists count from {}: {} of {} agree with their folders then.\n{}\n"
            "Leave label_base at auto, or correct the lists.".format(
                label_base, base, fits(lines, base), plural(len(lines), "line"), _found(lines)),
            [(line.where, f"label {line.label} of folder {line.class_name}") for line in lines],
            offenders_path)
    for line, (where, what) in zip(disagreeing, pairs):
        offences.add("label that disagrees with the folder", where, f"{line.path}: {what}")
    return Numbering(base, tuple(classes))


def _fits_most(lines: Sequence[Line], position: Dict[str, int]) -> bool:
    """Whether some base fits more than half of the lines, and no less than half of each class."""
    in_class = collections.Counter(line.class_name for line in lines)
    for base in BASES:
        fitting = collections.Counter(
            line.class_name for line in lines if line.label - base == position[line.class_name])
        if 2 * sum(fitting.values()) > len(lines) and all(2 * fitting[name] >= in_class[name] for name in in_class):
            return True
    return False


def _own_order(
    lists: Dict[str, Sequence[Line]], classes: Sequence[str], lines: Sequence[Line]
) -> Optional[Tuple[str, ...]]:
    """The order in which the lists number the classes, or None where they do not agree on one.

    Every class must be listed: what an absent one is numbered cannot be known.
    """
    label_of = _labels_of(lines)
    if label_of is None or set(label_of) != set(classes):
        return None
    order = tuple(sorted(label_of, key=lambda name: label_of[name]))
    if sorted(label_of.values()) not in [list(range(base, base + len(classes))) for base in BASES]:
        return None
    for group in lists.values():
        of_group = _labels_of(group)
        if of_group is None or any(label_of[name] != label for name, label in of_group.items()):
            return None
    return order


def _labels_of(lines: Sequence[Line]) -> Optional[Dict[str, int]]:
    """{class: the label of more than half of its lines}, or None where a class has none such."""
    labels: Dict[str, collections.Counter] = collections.defaultdict(collections.Counter)
    for line in lines:
        labels[line.class_name][line.label] += 1
    found = {}
    for name, counts in labels.items():
        (label, count), = counts.most_common(1)
        if 2 * count <= sum(counts.values()):
            return None
        found[name] = label
    return found


def _disagreement(line: Line, base: int, classes: Sequence[str]) -> str:
    index = line.label - base
    meaning = "is " + classes[index] if 0 <= index < len(classes) else "is no class"
    return f"label {line.label} {meaning} (labels count from {base}), the folder says {line.class_name}"


def _found(lines: Sequence[Line]) -> str:
    """What the labels stand for in the lists, most frequent folder first."""
    folders: Dict[int, collections.Counter] = collections.defaultdict(collections.Counter)
    for line in lines:
        folders[line.label][line.class_name] += 1
    shown: List[Tuple[int, collections.Counter]] = sorted(folders.items())[:10]
    return "Found labels {}..{}: {}{}".format(
        min(folders), max(folders),
        ", ".join(f"{label} in folder {counter.most_common(1)[0][0]}" for label, counter in shown),
        ", ..." if len(folders) > len(shown) else ".")


def _order(classes: Sequence[str]) -> str:
    return ", ".join(f"{index}={name}" for index, name in enumerate(classes[:10])) + (
        ", ..." if len(classes) > 10 else "")
