"""The label base: does a list count its classes from 0 or from 1?

PACS's lists count from 1. If a network is trained on such labels as they are, no output stands for the last class, and
the first output is never a target. Accuracy is then limited by the share of the last class, and nothing else looks
wrong. So the base is found by comparing labels with folder names, and a list that fits neither base is refused.
"""

from __future__ import annotations

import collections
import logging
from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

from masf_core.data.lists import Line
from masf_core.data.offences import Offences, refuse
from masf_core.words import plural, some

log = logging.getLogger(__name__)

BASES = (0, 1)
SHOWN = 10  # labels in a message


class Numbering(NamedTuple):
    """label − base is an index into the classes."""

    base: int
    classes: Tuple[str, ...]

    def class_of(self, label: int) -> Optional[str]:
        """The class that a label stands for; None for a label that stands for none."""
        index = label - self.base
        return self.classes[index] if 0 <= index < len(self.classes) else None


def check_labels(
    lists: Dict[str, Sequence[Line]],
    classes: Sequence[str],
    label_base: str,
    offences: Offences,
    offenders_path: Optional[str] = None,
) -> Numbering:
    """The base b of all lists, and the classes' order: label − b is the index of the line's folder in it.

    The order is that of `classes`, or, where that does not fit, the one that the lists agree on: each label stands for
    one class, which is the same in all lists.

    The base is the one that more lines fit. It must fit more than half of all lines, and at least half of each class: a
    whole class that disagrees is a list in another order, not a list with mistakes. Lines that do not fit are added to
    `offences`.

    Args:
        lists: file name → its lines, whose classes are all in `classes`.
        classes: class folders in PACS's order, which is that of their characters' codes.
        label_base: "auto", or "0" or "1" to insist.

    Raises:
        DataError: no base fits most lines, the lists disagree with each other, or they count from another base than
            `label_base`. Skipping lines would not help.
    """
    lines = [line for group in lists.values() for line in group]
    if not lines:
        return Numbering(BASES[0], tuple(classes))
    numbering = _numbering(lists, classes, lines)
    base = numbering.base
    disagreeing = [line for line in lines if not _fits(line, numbering)]
    pairs = [(line.where, _disagreement(line, numbering)) for line in disagreeing]
    if not _fits_most(lines, numbering):
        raise refuse(
            "the labels of the lists do not match their folders, whether counted from 0 or from 1.\n"
            f"{_found(lines)}\nExpected one label for each class in all lists, counted from 0 or 1, such as "
            f"{_order(numbering.classes)}. Correct the lists, or check dataroot for folders that are not classes.",
            pairs, offenders_path)
    odd_lists = _counting_otherwise(lists, numbering)
    if odd_lists:
        raise refuse(
            f"the lists disagree about the label of the first class: it is {1 - base} in {', '.join(odd_lists)}, and "
            f"{base} in the others. Make all lists count from the same number.", pairs, offenders_path)
    if label_base not in ("auto", str(base)):
        raise refuse(
            f"label_base={label_base} is set, but the lists count from {base}: then "
            f"{len(lines) - len(disagreeing)} of {plural(len(lines), 'line')} agree with their folders.\n"
            f"{_found(lines)}\nLeave label_base at auto, or correct the lists.",
            [(line.where, f"label {line.label} of folder {line.class_name}") for line in lines],
            offenders_path)
    for line, (where, what) in zip(disagreeing, pairs):
        offences.add("label that disagrees with the folder", where, f"{line.path}: {what}")
    return numbering


def _numbering(lists: Dict[str, Sequence[Line]], classes: Sequence[str], lines: Sequence[Line]) -> Numbering:
    """What most lines fit: `classes` in their order, or, where that does not fit, in the lists' own."""
    candidates = [Numbering(base, tuple(classes)) for base in BASES]
    own = _own_order(lists, classes, lines)
    if own is not None and not any(_fits_most(lines, each) for each in candidates):
        candidates = [Numbering(base, own) for base in BASES]
        log.warning("the lists number the classes in another order than the alphabet; this order is used: %s",
                    _order(own))
    return max(candidates, key=lambda each: sum(_fits(line, each) for line in lines))


def _fits(line: Line, numbering: Numbering) -> bool:
    return numbering.class_of(line.label) == line.class_name


def _fits_most(lines: Sequence[Line], numbering: Numbering) -> bool:
    """Whether this fits more than half of the lines, and no less than half of each class."""
    in_class = collections.Counter(line.class_name for line in lines)
    fitting = collections.Counter(line.class_name for line in lines if _fits(line, numbering))
    return 2 * sum(fitting.values()) > len(lines) and all(2 * fitting[name] >= in_class[name] for name in in_class)


def _counting_otherwise(lists: Dict[str, Sequence[Line]], numbering: Numbering) -> List[str]:
    """Names of the lists most of whose lines fit the other base."""
    other = numbering._replace(base=1 - numbering.base)
    return [name for name, group in lists.items() if 2 * sum(_fits(line, other) for line in group) > len(group)]


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


def _disagreement(line: Line, numbering: Numbering) -> str:
    meaning = numbering.class_of(line.label) or "no class"
    return f"label {line.label} is {meaning} (labels count from {numbering.base}), the folder says {line.class_name}"


def _found(lines: Sequence[Line]) -> str:
    """The folder that each label is found with most often."""
    folders: Dict[int, collections.Counter] = collections.defaultdict(collections.Counter)
    for line in lines:
        folders[line.label][line.class_name] += 1
    told = [f"{label} in folder {counter.most_common(1)[0][0]}" for label, counter in sorted(folders.items())]
    return f"Found labels {min(folders)}..{max(folders)}: {some(told, SHOWN)}."


def _order(classes: Sequence[str]) -> str:
    return some([f"{index}={name}" for index, name in enumerate(classes)], SHOWN)
