"""Which lists or folders an index was made from, and what was skipped. For people; no part of the fingerprint."""

from __future__ import annotations

from typing import Dict, NamedTuple, Sequence, Tuple

from masf_core.data.list_names import Lists
from masf_core.data.split import Draw
from masf_core.data.survey import DomainFolders
from masf_core.words import some

NAMED = 4  # lists in a sentence


class Origin(NamedTuple):
    """Where an index's parts come from."""

    split: str = ""  # for a sentence: what decides which images train and which validate
    lists: Tuple[str, ...] = ()  # names of the list files
    filelist_root: str = ""
    left_out: Tuple[str, ...] = ()


def origin_of_lists(lists: Lists, drawn: Dict[str, bool], draw: Draw) -> Origin:
    """The origin of an index by lists. drawn: {domain: whether its images to validate on were drawn at random}."""
    names = sorted(name for domain in drawn for name in lists.files[domain].values())
    told = "lists " + some(names, NAMED)
    if any(drawn.values()):
        told += (f"; of the images to train on, {_percent(draw.fraction)} % drawn by seed {draw.seed} for validation"
                 + _in_some(drawn))
    return Origin(told, tuple(names), lists.directory)


def origin_of_folders(domains: Sequence[DomainFolders], drawn: Dict[str, bool], draw: Draw) -> Origin:
    """The origin of an index without lists; drawn as for `origin_of_lists`."""
    splits = sorted({split.name for domain in domains for split in domain.splits})
    told = []
    if splits:
        having = sorted(domain.name for domain in domains if domain.splits)
        of = "each domain" if len(having) == len(domains) else ", ".join(having)
        told.append(f"folders {', '.join(splits)} of {of}")
    if any(drawn.values()):
        told.append(f"no lists: folders split {_percent(1 - draw.fraction)}/{_percent(draw.fraction)} by seed "
                    f"{draw.seed}" + _in_some(drawn))
    return Origin("; ".join(told))


def _in_some(drawn: Dict[str, bool]) -> str:
    """In which domains, unless in all."""
    names = sorted(name for name, is_drawn in drawn.items() if is_drawn)
    return "" if len(names) == len(drawn) else f" in {', '.join(names)}"


def _percent(share: float) -> str:
    return f"{round(100 * share, 3):g}"
