"""Published data sets are recognised by their domains, and what differs from them is told."""
from __future__ import annotations

import pytest

from masf_core.data.known_sets import DOMAIN_NET, OFFICE_HOME, PACS, SETS, TERRA_INCOGNITA, VLCS, compare, known_set


def test_the_numbers_of_the_domains_are_those_of_the_published_totals():
    assert [(known.name, known.images) for known in SETS] == [
        ("PACS", 9_991), ("VLCS", 10_729), ("OfficeHome", 15_588), ("DomainNet", 586_575), ("TerraIncognita", 24_788)]
    train, test = VLCS.parts.values()
    assert {name: train[name] + test[name] for name in train} == VLCS.domains


@pytest.mark.parametrize("names, known", [
    (("art painting", "Cartoon", "sketch"), PACS), (("art", "photo"), PACS), (("VOC2007", "sun09", "LabelMe"), VLCS),
    (("Art", "Real_World"), OFFICE_HOME), (("clipart", "real", "sketch"), DOMAIN_NET),
    (("location_38", "location_100"), TERRA_INCOGNITA),
    (("sketch",), None), (("art", "art_painting", "photo"), None), (("photo", "sketch", "oil"), None), ((), None)])
def test_a_set_is_recognised_by_domains_that_are_all_its_own(names, known):
    assert known_set(names) is known


@pytest.mark.parametrize("known", SETS)
def test_a_complete_set_is_as_published_also_without_some_of_its_domains(known):
    assert compare(known, known.domains, known.classes) == (
        True, f"{known.name}: {known.images:,} images and {known.classes} classes, as published")
    some = dict(list(known.domains.items())[1:])
    found = compare(known, some, known.classes)
    told = f"{len(some)} of its {len(known.domains)} domains, {sum(some.values()):,} images"
    assert found.same and told in found.told


@pytest.mark.parametrize("known, changes, classes, told", [
    (PACS, {"sketch": 3928}, 7, "PACS as published has 9,991 images in these 4 domains, and these data have 9,990: "
                                "sketch 3,928 instead of 3,929"),
    (PACS, {}, 8, "these data have 9,991: 8 classes instead of 7"),
    (PACS, {"photo": 9, "sketch": 3930}, 2, ": 2 classes instead of 7, photo 9 instead of 1,670, sketch 3,930 "),
    (VLCS, dict(CALTECH=991, LABELME=1859, PASCAL=2363, SUN=2297), 5, "VLCS: 7,510 images, the 70 % that train in"),
    (VLCS, dict(CALTECH=424, LABELME=797, PASCAL=1013, SUN=985), 5, "VLCS: 3,219 images, the 30 % that test in"),
    (TERRA_INCOGNITA, {"location_38": 9767 - 458}, 10, "TerraIncognita: 24,330 images, as later downloads have")])
def test_what_differs_is_told_and_known_parts_and_versions_are_named(known, changes, classes, told):
    found = compare(known, dict(known.domains, **changes), classes)
    assert not found.same and told in found.told


def test_domains_are_called_as_the_data_at_hand_call_them():
    found = compare(VLCS, {"SUN09": 3282, "VOC2007": 3000}, 5)
    assert found.told.endswith("these data have 6,282: VOC2007 3,000 instead of 3,376")
