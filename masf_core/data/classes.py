"""Which class folders are the classes of the data set, and whether they can be what the user means."""

from __future__ import annotations

import logging
from typing import Dict, Iterable, List, Optional, Sequence, Tuple

from masf_core.data.folders import Folder
from masf_core.data.offences import Offences
from masf_core.data.survey import DomainFolders
from masf_core.errors import DataError

log = logging.getLogger(__name__)

SUGGESTIONS = 3  # names in a "did you mean"


def leave_out_single(domains: Sequence[DomainFolders], offences: Offences) -> None:
    """Take out of `domains` the classes that only one of several domains has, and add them to `offences`.

    Such a class cannot be generalised to another domain, and most often its name is misspelt.
    """
    owners: Dict[str, List[DomainFolders]] = {}
    for domain in domains:
        for name in domain.classes:
            owners.setdefault(name, []).append(domain)
    for name, having in sorted(owners.items()) if len(domains) > 1 else ():
        if len(having) == 1:
            for folder in having[0].classes.pop(name):
                offences.add("class of a single domain", folder.path,
                             f"only domain {having[0].name} has a class {name}{_suggestion(name, owners)}")


def find_classes(root: Folder, domains: Sequence[DomainFolders], num_classes: Optional[int]) -> Tuple[str, ...]:
    """The classes, sorted. Warns of those that a domain lacks.

    Raises DataError where a domain has no class, or where there are fewer than two classes or not `num_classes`.
    """
    empty = [domain.name for domain in domains if not domain.classes]
    if empty:
        raise DataError(f"domain {', '.join(empty)} in {root.location} has no class in common with another domain. "
                        "Rename its class folders as in the other domains, or name the domains to use with --domains.")
    classes = tuple(sorted({name for domain in domains for name in domain.classes}))
    if len(classes) < 2:
        raise DataError(f"expected at least 2 classes in {root.location}, found only {', '.join(classes)}. Looked for "
                        f"class folders with images at <domain>/<class>/<image> in "
                        f"{', '.join(domain.name for domain in domains)}.")
    if num_classes is not None and num_classes != len(classes):
        raise DataError(f"num_classes={num_classes} is set, but {root.location} has {len(classes)} class "
                        f"folders: {', '.join(classes)}. Correct num_classes, or remove the folders that are not "
                        "classes.")
    for domain in domains:
        absent = [name for name in classes if name not in domain.classes]
        if absent:
            log.warning("domain %s has no images of %s", domain.name, ", ".join(absent))
    return classes


def _suggestion(name: str, others: Iterable[str]) -> str:
    """Names that differ from this one by case, then those that differ by a letter."""
    near = [other for other in others if other != name and _is_near(name.lower(), other.lower())]
    near.sort(key=lambda other: (other.lower() != name.lower(), other))
    return f"; did you mean {' or '.join(near[:SUGGESTIONS])}?" if near else ""


def _is_near(one: str, other: str) -> bool:
    """Whether at most one letter was added, dropped or replaced."""
    if len(one) > len(other):
        one, other = other, one
    if len(other) - len(one) > 1:
        return False
    same = 0
    while same < len(one) and one[same] == other[same]:
        same += 1
    return one[same:] == other[same + 1:] or one[same + 1:] == other[same + 1:]
