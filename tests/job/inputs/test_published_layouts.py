"""The published data sets, as people have them, are read by the configurations that this project has for them."""
from __future__ import annotations

import functools
import os
import re

import pytest

from job.config.loading import load_config
from job.preflight.data import find_structure, structure_rows
from masf_core.data import known_sets
from tests.job.inputs import layouts
from tests.test_architecture import REPOSITORY

LAYOUTS = {
    "PACS": ("paper/pacs_resnet18", layouts.pacs, [],
             "lists art_painting_crossval_kfold.txt, art_painting_test_kfold.txt"),
    "PACS, paths without kfold/": ("pacs_sketch", functools.partial(layouts.pacs, prefix=""), [],
                                   "lists art_painting_crossval_kfold.txt"),
    "PACS of the port": ("pacs_photo", layouts.pacs_of_the_port, [], "lists art_painting.txt, cartoon.txt"),
    "VLCS of DomainBed": ("vlcs", layouts.vlcs_of_domainbed, [], "no lists: folders split 90/10"),
    "VLCS of JigenDG": ("paper/vlcs_alexnet", layouts.vlcs_of_jigendg, [], "lists CALTECH_test.txt, CALTECH_train.txt"),
    "VLCS of JigenDG without lists": ("paper/vlcs_alexnet", functools.partial(layouts.vlcs_of_jigendg, lists=False),
                                      [], "folders crossval, full, test, train of each domain"),
    "OfficeHome": ("officehome", layouts.office_home, [], "no lists: folders split 90/10"),
    "DomainNet": ("domainnet", layouts.domain_net, [], "no lists: folders split 90/10"),
    "DomainNet by its lists": ("domainnet", layouts.domain_net, ["--filelist_root=domain_net"],
                               "lists clipart_test.txt, clipart_train.txt"),
    "TerraIncognita": ("terraincognita", layouts.terra_incognita, [], "no lists: folders split 90/10"),
}


def settings(name, root, flags=()):
    file = os.path.join(REPOSITORY, "configs", name + ".yaml")
    return load_config([f"--config={file}", f"--data_url={root}", "--meta_batch_size=8", *flags]).config


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_set_as_it_is_downloaded_is_read_by_its_configuration(tmp_path, layout):
    name, write, flags, origin = LAYOUTS[layout]
    counts = write(tmp_path)
    config = settings(name, tmp_path, flags)
    found = find_structure(config, None, str(tmp_path))
    index = found.index
    assert {domain.name: len(domain.used) for domain in index.domains} == counts
    for domain in index.domains:
        assert not set(domain.train) & set(domain.validation) and len(domain.validation)
    domains, data_set = structure_rows(config, found)
    assert origin in domains.told and f"of {config.data.target_domain} to test on" in domains.told
    assert data_set.state == "note" and f"these data have {sum(counts.values())}: " in data_set.told
    assert data_set.told.startswith(layout.split()[0].rstrip(",") + " as published has ")


def test_classes_in_mixed_case_keep_the_order_of_their_folders_or_that_of_the_lists(tmp_path):
    layouts.office_home(tmp_path / "office")
    index = find_structure(settings("officehome", tmp_path / "office"), None, str(tmp_path / "office")).index
    assert index.classes == layouts.OFFICE_CLASSES  # as ImageFolder sorts them: TV before Table
    layouts.domain_net(tmp_path / "net")
    by_lists = settings("domainnet", tmp_path / "net", ["--filelist_root=domain_net"])
    index = find_structure(by_lists, None, str(tmp_path / "net")).index
    assert index.classes == ("aircraft_carrier", "axe", "t-shirt", "The_Eiffel_Tower", "zigzag")


def test_a_list_to_test_on_beside_one_to_train_on_says_what_the_target_is_tested_on(tmp_path):
    layouts.domain_net(tmp_path)
    config = settings("domainnet", tmp_path, ["--filelist_root=domain_net"])
    clipart = find_structure(config, None, str(tmp_path)).index.domain("clipart")
    assert (len(clipart.train) + len(clipart.validation), len(clipart.whole)) == (35, 15)


@pytest.mark.parametrize("name, known", [
    ("vlcs", known_sets.VLCS), ("officehome", known_sets.OFFICE_HOME), ("domainnet", known_sets.DOMAIN_NET),
    ("terraincognita", known_sets.TERRA_INCOGNITA)])
def test_a_configuration_says_how_many_images_each_domain_has(name, known):
    with open(os.path.join(REPOSITORY, "configs", name + ".yaml"), encoding="utf-8") as stream:
        text = stream.read()
    told = re.search(r"the set has\n((?:#   .*\n)+)", text).group(1).replace("#  ", "")
    found = {known.domain(domain.strip()): int(count.replace(",", ""))
             for domain, count in re.findall(r"([A-Za-z][\w ]*?) ([\d,]+\d)(?=[, ]| images)", told.replace("\n", ""))
             if known.domain(domain.strip())}
    assert found == known.domains and f"{known.classes} classes" in told
