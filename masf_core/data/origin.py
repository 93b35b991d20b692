"""How an index came about: by which lists or folders, and what was left out. For people; no part of the fingerprint."""

from __future__ import annotations

from typing import Dict, NamedTuple, Tuple

from masf_core.data.list_names import Lists
from masf_core.data.offences import some

NAMED = 4  # lists in a sentence


class Origin(NamedTuple):
    """Where an index's parts come from."""

    split: str = ""  # a sentence's worth: by what images are for training or validation
    lists: Tuple[str, ...] = ()  # names of the list files
    filelist_root: str = ""
    left_out: Tuple[str, ...] = ()


def origin_of_lists(filelist_root: str, lists: Lists, drawn: Dict[str, bool], fraction: float, seed: int) -> Origin:
    """The origin of an index by lists. drawn: whether each domain's images to validate on were drawn at random."""
    names = sorted(name for domain in drawn for name in lists.files[domain].values())
    told = "lists " + some(names, NAMED)
    by_draw = sorted(domain for domain, is_drawn in drawn.items() if is_drawn)
    if by_draw:
        told += "; of the images to train on, {} for validation{}".format(
            _draw(fraction, seed), "" if len(by_draw) == len(drawn) else " in " + ", ".join(by_draw))
    return Origin(told, tuple(names), filelist_root)


def origin_of_folders(
    splits: Dict[str, Tuple[str, ...]], drawn: Dict[str, bool], fraction: float, seed: int
) -> Origin:
    """The origin of an index without lists. splits: of each domain, the folders between it and its classes."""
    own = sorted({name for names in splits.values() for name in names})
    told = []
    if own:
        told.append("folders {} of {}".format(
            ", ".join(own), "each domain" if all(splits.values()) else
            ", ".join(sorted(domain for domain, names in splits.items() if names))))
    by_draw = sorted(domain for domain, is_drawn in drawn.items() if is_drawn)
    if by_draw:
        share = f"{round(100 * (1 - fraction), 3):g}/{round(100 * fraction, 3):g}"
        told.append("no lists: folders split {} by seed {}{}".format(
            share, seed, "" if len(by_draw) == len(drawn) else " in " + ", ".join(by_draw)))
    return Origin("; ".join(told))


def _draw(fraction: float, seed: int) -> str:
    return f"{round(100 * fraction, 3):g} % drawn by seed {seed}"
