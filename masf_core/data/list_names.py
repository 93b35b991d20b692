"""Which files are lists, by their names, and of which domain and part.

PACS's own lists are `<domain>_{train,crossval,test}_kfold.txt`. If a folder has one of these, only names with `_kfold`
are lists. Otherwise `<domain>.txt` and `<domain>_{train,val,crossval,test,full}.txt` are lists if a domain's folder has
that name. `list_pattern` replaces all these names.
"""

from __future__ import annotations

import re
from typing import Collection, Dict, Iterable, List, NamedTuple, Optional, Sequence, Tuple

from masf_core.data.naming import PART_OF_FOLDER, canonical

PARTS = ("train", "crossval", "test")
_WORDS = "|".join(PART_OF_FOLDER)
_OFFICIAL = re.compile(r"(?P<domain>.+)_(train|crossval|test)_kfold\.txt")
_NAMES = (  # the first that a name matches
    re.compile(rf"(?P<domain>.+)_(?P<part>{_WORDS})_kfold\.txt", re.IGNORECASE),
    re.compile(r"(?P<domain>.+)_kfold\.txt", re.IGNORECASE),
    re.compile(rf"(?P<domain>.+)_(?P<part>{_WORDS})\.txt", re.IGNORECASE),
    re.compile(r"(?P<domain>.+)\.txt", re.IGNORECASE))
_LIKE_A_LIST = re.compile(r".+[_-](train|crossval|val|test)(?![a-z])[^/]*", re.IGNORECASE)

_SUFFIXES = (".txt", ".csv", ".tsv", ".lst", ".list")


class Lists(NamedTuple):
    """The lists of one folder."""

    files: Dict[str, Dict[str, str]]  # domain → part ("train", "crossval", "test", "full") → name of the file
    unused: List[str]  # names that look like lists and are not among them
    official: bool  # PACS's own names
    directory: str = ""

    def names(self) -> List[str]:
        return sorted(name for of_domain in self.files.values() for name in of_domain.values())


class _Name(NamedTuple):
    """What the name of a file says."""

    domain: str
    part: str
    preference: Tuple[int, int]  # of several files for one part, the one with the smallest preference is used


def find_names(names: Iterable[str], domains: Iterable[str], pattern: Optional[str] = None) -> Lists:
    """The lists among these file names.

    Args:
        domains: names of the domains' folders. pattern: such as `{domain}-{part}.lst`; `{part}` may be absent.
    """
    names, known = sorted(names), {canonical(domain) for domain in domains}
    official = pattern is None and any(_OFFICIAL.fullmatch(name) for name in names)
    shapes: Tuple = (compiled(pattern),) if pattern is not None else _NAMES[:2] if official else _NAMES
    found: Dict[str, Dict[str, List[Tuple[Tuple[int, int], str]]]] = {}
    for name in names:
        said = _told_by(name, shapes, None if official and _OFFICIAL.fullmatch(name) else known)
        if said is not None:
            found.setdefault(said.domain, {}).setdefault(said.part, []).append((said.preference, name))
    files = {domain: _chosen(parts) for domain, parts in sorted(found.items())}
    lists = Lists(files, [], official)
    used = set(lists.names())
    return lists._replace(unused=[name for name in names if name not in used and looks_like_list(name, known)])


def _chosen(candidates: Dict[str, List[Tuple[Tuple[int, int], str]]]) -> Dict[str, str]:
    """{part: the preferred of its names}."""
    parts = {part: min(preferences)[1] for part, preferences in candidates.items()}
    if "full" in parts and "train" in parts:  # beside a list to train on, the whole domain is what to test on
        parts["test"] = parts.pop("full")
    return parts


def _told_by(name: str, shapes: Sequence["re.Pattern"], domains: Optional[Collection[str]]) -> Optional[_Name]:
    """What a file name of one of these shapes says of the list; None for other names and for other domains.

    domains: None takes any.
    """
    for rank, shape in enumerate(shapes):
        match = shape.fullmatch(canonical(name))
        if match is not None and (domains is None or match.group("domain") in domains):
            word = (match.groupdict().get("part") or "full").lower()
            # PACS's own word for a part comes first, then the others in their order.
            order = -1 if word == "crossval" else list(PART_OF_FOLDER).index(word)
            return _Name(match.group("domain"), PART_OF_FOLDER[word], (rank, order))
    return None


def compiled(pattern: str) -> "re.Pattern":
    """The regular expression of a `list_pattern`. Raises ValueError for a pattern without its place for the domain."""
    pieces = re.split(r"(\{domain\}|\{part\})", pattern)
    if pieces.count("{domain}") != 1 or pieces.count("{part}") > 1 or "/" in pattern:
        raise ValueError(f"expected {{domain}} once, {{part}} at most once, and no slash, got {pattern!r}")
    groups = {"{domain}": "(?P<domain>.+)", "{part}": f"(?P<part>{_WORDS})"}
    return re.compile("".join(groups.get(piece) or re.escape(piece) for piece in pieces))


def looks_like_list(name: str, domains: Iterable[str], pattern: Optional[str] = None) -> bool:
    """Whether the user may mean this file as a list: its name begins with a domain, or has a list's ending.

    Only the name is judged, so that objects in a bucket and files on disk are judged alike.
    """
    name = canonical(name)
    if pattern is not None and compiled(pattern).fullmatch(name):
        return True
    if not name.lower().endswith(_SUFFIXES):
        return False
    if _LIKE_A_LIST.fullmatch(name):
        return True
    lower = name.lower()
    return any(
        lower.startswith(domain.lower()) and not lower[len(domain):len(domain) + 1].isalnum() for domain in domains)
