"""How many images the published data sets of domain generalisation have, and how those at hand differ from that.

A data set is recognised by the names of its domains. Somebody's own images may have the same names, so a difference is
worth a remark and is no error. Sources:

- PACS: Li et al., ICCV 2017: 9,991 images.
- VLCS: the train and test lists of CSD and JigenDG, 70 % and 30 % of each domain; together 10,729 images.
- OfficeHome: the numbers that users of the set state for each domain; together 15,588 images.
- DomainNet: the cleaned version, whose train and test lists TensorFlow Datasets counts (docs/catalog/domainnet.md);
  together 586,575 images.
- TerraIncognita: github.com/khanrc/miro/issues/9 has each domain of the version with 24,788 images, which publications
  use. There and in github.com/facebookresearch/DomainBed/issues/58 users report 24,330 images of later downloads.

The totals are those of Zhou et al., "Domain Generalization: A Survey" (arXiv:2103.02503), in the table of data sets.
"""
from __future__ import annotations

import re
from typing import Dict, Iterable, Mapping, NamedTuple, Optional


class KnownSet(NamedTuple):
    """A published data set.

    domains: name of each → number of its images. aliases: other name of a domain → name. parts: known parts of the set,
    in words → images of each domain. totals: of other versions of the whole set, images → in words.
    """

    name: str
    classes: int
    domains: Mapping[str, int]
    aliases: Mapping[str, str] = {}
    parts: Mapping[str, Mapping[str, int]] = {}
    totals: Mapping[int, str] = {}

    @property
    def images(self) -> int:
        return sum(self.domains.values())

    def domain(self, name: str) -> Optional[str]:
        """The set's own name of a domain, None where it has no such domain. Case, blanks, - and _ do not count."""
        plain = {_plain(each): each for each in self.domains}
        plain.update((_plain(alias), each) for alias, each in self.aliases.items())
        return plain.get(_plain(name))


class Comparison(NamedTuple):
    """The data at hand beside a published set. same: there is no difference. told: a sentence without its full stop."""

    same: bool
    told: str


def _of_vlcs(*images: int) -> Dict[str, int]:
    return dict(zip(("CALTECH", "LABELME", "PASCAL", "SUN"), images))


PACS = KnownSet("PACS", 7, {"art_painting": 2048, "cartoon": 2344, "photo": 1670, "sketch": 3929},
                {"art": "art_painting"})
VLCS = KnownSet(
    "VLCS", 5, _of_vlcs(1415, 2656, 3376, 3282),
    {"Caltech101": "CALTECH", "VOC2007": "PASCAL", "SUN09": "SUN"},
    {"the 70 % that train in the copy of JigenDG and CSD": _of_vlcs(991, 1859, 2363, 2297),
     "the 30 % that test in the copy of JigenDG and CSD": _of_vlcs(424, 797, 1013, 985)})
OFFICE_HOME = KnownSet("OfficeHome", 65, {"Art": 2427, "Clipart": 4365, "Product": 4439, "Real World": 4357})
DOMAIN_NET = KnownSet("DomainNet", 345, {
    "clipart": 48_129, "infograph": 51_605, "painting": 72_266, "quickdraw": 172_500, "real": 172_947,
    "sketch": 69_128})
TERRA_INCOGNITA = KnownSet(
    "TerraIncognita", 10, {"location_38": 9767, "location_43": 4020, "location_46": 6122, "location_100": 4879},
    totals={24_330: "as later downloads have; publications count 24,788"})
SETS = (PACS, VLCS, OFFICE_HOME, DOMAIN_NET, TERRA_INCOGNITA)


def known_set(domains: Iterable[str]) -> Optional[KnownSet]:
    """The published set that has all these domains, at least two of them; no two sets share two domains."""
    names = list(domains)
    for known in SETS:
        own = {known.domain(name) for name in names}
        if None not in own and len(own) == len(names) > 1:
            return known
    return None


def compare(known: KnownSet, images: Mapping[str, int], classes: int) -> Comparison:
    """The data at hand beside ``known``.

    Args:
        images: number of images by domain, each one that ``known`` has. classes: number of classes.
    """
    found = {known.domain(name): count for name, count in images.items()}
    total, whole = sum(found.values()), len(found) == len(known.domains)
    of_domains = "" if whole else f"{len(found)} of its {len(known.domains)} domains, "
    if classes == known.classes:
        if all(count == known.domains[name] for name, count in found.items()):
            return Comparison(True, f"{known.name}: {of_domains}{total:,} images and {classes} classes, as published")
        for words, part in known.parts.items():
            if all(count == part[name] for name, count in found.items()):
                return Comparison(False, f"{known.name}: {of_domains}{total:,} images, {words}")
        if whole and total in known.totals:
            return Comparison(False, f"{known.name}: {total:,} images, {known.totals[total]}")
    differences = ([] if classes == known.classes
                   else [f"{classes} class{'es' * (classes != 1)} instead of {known.classes}"])
    differences += [f"{name} {found[known.domain(name)]:,} instead of {known.domains[known.domain(name)]:,}"
                    for name in images if found[known.domain(name)] != known.domains[known.domain(name)]]
    published = sum(known.domains[name] for name in found)
    return Comparison(False, f"{known.name} as published has {published:,} images in these {len(found)} domains, "
                             f"and these data have {total:,}: {', '.join(differences)}")


def _plain(name: str) -> str:
    return re.sub(r"[\s_-]", "", name).lower()
