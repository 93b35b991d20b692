from __future__ import annotations

import os
import shutil

import pytest

from masf_core.data.index import build_index
from tests.masf_core.data.datasets import CLASSES, DOMAINS, refused, save_image, write_folders


def names(index):
    return tuple(domain.name for domain in index.domains)


def replace_by_link(root, folder):
    """Move a folder out of `root` and leave a link to it."""
    outside = os.path.join(os.path.dirname(root), "outside")
    shutil.move(os.path.join(root, folder), outside)
    os.symlink(outside, os.path.join(root, folder))


# ---- links

def test_a_domain_folder_that_is_a_link_is_refused_by_name(data):
    replace_by_link(data[0], "clip")
    problem = refused(data[0])
    assert "1 x symbolic link" in str(problem) and [where for where, _ in problem.offenders] == ["clip"]


def test_a_link_can_be_left_out_in_so_many_words(data, caplog, tmp_path):
    replace_by_link(data[0], "clip")
    report = tmp_path / "offenders.txt"
    index = build_index(data[0], bad_data="skip", offenders_path=str(report))
    assert names(index) == ("photo", "sketch")
    assert "clip is a symbolic link" in caplog.text and report.read_text().startswith("clip\t")


@pytest.mark.parametrize("bad_data", ["refuse", "skip"])
def test_a_link_in_the_place_of_a_domain_that_is_wanted_is_refused(data, bad_data):
    replace_by_link(data[0], "clip")
    for problem in (refused(data[0], domains=DOMAINS, bad_data=bad_data), refused(*data, bad_data=bad_data)):
        assert "symbolic link" in str(problem) and problem.offenders[0][0] == "clip"


def test_a_link_beside_the_domains_that_were_asked_for_does_not_matter(data):
    replace_by_link(data[0], "clip")
    assert names(build_index(data[0], domains=["photo", "sketch"])) == ("photo", "sketch")


def test_a_link_that_leads_nowhere_is_refused_and_one_to_a_file_is_not_looked_at(data):
    os.symlink(os.path.join(data[0], "clip", "ant", "0.png"), os.path.join(data[0], "preview"))
    assert names(build_index(data[0])) == DOMAINS
    os.symlink("nowhere", os.path.join(data[0], "art"))
    assert refused(data[0]).offenders[0][0] == "art"


@pytest.mark.parametrize("with_lists", [True, False])
def test_a_class_folder_that_is_a_link_is_refused_by_name(data, with_lists):
    replace_by_link(data[0], "clip/ant")
    assert [where for where, _ in refused(data[0], data[1] if with_lists else None).offenders] == ["clip/ant"]


def test_a_class_folder_that_is_a_link_can_be_left_out(data, caplog):
    replace_by_link(data[0], "clip/ant")
    index = build_index(data[0], num_classes=3, bad_data="skip")
    assert index.domain("clip").labels.tolist() == [1] * 4 + [2] * 4
    caplog.clear()
    build_index(*data, bad_data="skip")
    assert "9 x symbolic link" in caplog.text  # the folder, and the lines that name its images


def test_a_domain_of_nothing_but_links_is_refused_whatever_is_skipped(data):
    for name in CLASSES:
        shutil.rmtree(os.path.join(data[0], "clip", name))
        os.symlink(os.path.join(data[0], "photo", name), os.path.join(data[0], "clip", name))
    problem = refused(data[0], domains=DOMAINS, bad_data="skip")
    assert [where for where, _ in problem.offenders] == ["clip/" + name for name in CLASSES]


# ---- classes

def test_a_single_class_is_refused(tmp_path):
    write_folders(tmp_path, classes=("ant",))
    message = str(refused(str(tmp_path)))
    assert "at least 2 classes" in message and str(tmp_path) in message and "only ant" in message


@pytest.mark.parametrize("wrong, meant", [
    ("Ant", "ant"), ("ants", "ant"), ("at", "ant"), ("act", "ant"), ("xbee", "bee"), ("CAT", "cat"), ("zebra", None)])
def test_a_class_of_a_single_domain_is_refused_with_what_may_be_meant(data, wrong, meant):
    save_image(os.path.join(data[0], "photo", wrong, "0.png"))
    problem = refused(data[0])
    (where, what), = problem.offenders
    assert where == "photo/" + wrong and f"only domain photo has a class {wrong}" in str(problem)
    assert (f"did you mean {meant}" in what) if meant else ("did you mean" not in what)


def test_names_that_differ_by_case_alone_are_suggested_first(tmp_path):
    write_folders(tmp_path, classes=("Dog", "cog", "bog", "dogs"))
    save_image(tmp_path / "clip" / "dog" / "0.png")
    assert "did you mean Dog or bog or cog?" in str(refused(str(tmp_path)))


@pytest.mark.parametrize("with_lists", [True, False])
def test_a_class_of_a_single_domain_can_be_left_out(data, with_lists, caplog):
    save_image(os.path.join(data[0], "photo", "Ant", "0.png"))
    index = build_index(data[0], data[1] if with_lists else None, num_classes=3, bad_data="skip")
    assert index.classes == CLASSES and len(index.domain("photo").paths) == 12
    assert "1 x class of a single domain" in caplog.text and "did you mean ant?" in caplog.text
    assert "has no images of" not in caplog.text


def test_a_domain_whose_classes_are_all_its_own_is_refused_whatever_is_skipped(data):
    save_image(os.path.join(data[0], "notes", "figures", "0.png"))
    assert "notes/figures" in str(refused(data[0]))
    assert "domain notes" in str(refused(data[0], bad_data="skip"))
    assert names(build_index(data[0], domains=DOMAINS)) == DOMAINS


# ---- domains without lists

def test_a_domain_without_lists_is_refused_with_both_ways_out(data):
    save_image(os.path.join(data[0], "extra", "ant", "0.png"))
    message = str(refused(*data))
    assert "extra" in message and "Add the lists" in message and "--domains=clip,photo,sketch" in message


def test_a_domain_without_lists_is_left_out_where_the_user_says_so(data, caplog):
    save_image(os.path.join(data[0], "extra", "ant", "0.png"))
    assert names(build_index(*data, domains=DOMAINS)) == DOMAINS
    assert "extra" not in caplog.text
    assert names(build_index(*data, bad_data="skip")) == DOMAINS
    assert "extra skipped, because " + data[1] + " has no lists" in caplog.text


def test_a_folder_without_images_beside_the_domains_needs_no_lists(data):
    shutil.move(data[1], os.path.join(data[0], "lists"))
    assert names(build_index(data[0], os.path.join(data[0], "lists"))) == DOMAINS
