from __future__ import annotations

import pytest

from masf_core.data.labels import check_labels
from masf_core.data.lists import Line
from masf_core.data.offences import Offences
from masf_core.errors import DataError

CLASSES = ("dog", "elephant", "person")


def lines(base, name="a_train", count=4, classes=CLASSES):
    return [Line(f"a/{folder}/{i}.jpg", index + base, f"{name}:{folder}{i}")
            for index, folder in enumerate(classes) for i in range(count)]


def check(lists, label_base="auto", offenders_path=None):
    offences = Offences()
    base, classes = check_labels(lists, CLASSES, label_base, offences, offenders_path)
    assert classes == CLASSES
    return base, offences.found


@pytest.mark.parametrize("base", [0, 1])
def test_the_base_is_found(base):
    assert check({"a_train": lines(base)}) == (base, [])


@pytest.mark.parametrize("base", [0, 1])
def test_the_base_may_be_insisted_on_where_it_is_right(base):
    assert check({"a_train": lines(base)}, str(base)) == (base, [])


@pytest.mark.parametrize("base, asked", [(1, "0"), (0, "1")])
def test_the_label_trap_a_list_forced_to_the_wrong_base_is_refused(base, asked, tmp_path):
    report = tmp_path / "offenders.txt"
    with pytest.raises(DataError) as caught:
        check({"a_train": lines(base)}, asked, str(report))
    assert f"label_base={asked}" in str(caught.value)
    assert f"count from {base}" in str(caught.value)
    assert f"{base} in folder dog" in str(caught.value)
    assert len(caught.value.offenders) == 12 and len(report.read_text().splitlines()) == 12


def test_single_lines_that_disagree_are_offences_and_do_not_change_the_base():
    group = lines(1)
    group[5] = group[5]._replace(label=0)  # the line that is wrong in one copy of PACS's art list in circulation
    group[6] = group[6]._replace(label=1)
    base, found = check({"a_train": group})
    assert base == 1
    assert [offence.where for offence in found] == [group[5].where, group[6].where]
    assert "label 0 is no class (labels count from 1), the folder says elephant" in found[0].what
    assert "label 1 is dog (labels count from 1), the folder says elephant" in found[1].what


def test_one_class_in_another_place_is_refused_though_most_lines_fit():
    group = lines(1, count=8)
    swapped = [line._replace(label=9) if line.class_name == "person" else line for line in group]
    with pytest.raises(DataError, match="whether counted from 0 or from 1"):
        check({"a_train": swapped})


@pytest.mark.parametrize("base", [-1, 2, 5])
def test_labels_that_fit_no_base_are_refused_and_shown(base):
    with pytest.raises(DataError) as caught:
        check({"a_train": lines(base)})
    assert f"labels {base}..{base + 2}" in str(caught.value)
    assert "0=dog, 1=elephant, 2=person" in str(caught.value)


@pytest.mark.parametrize("base", [0, 1])
def test_an_order_of_classes_that_all_lists_agree_on_is_taken_with_a_word(base, caplog):
    order = ("person", "dog", "elephant")
    offences = Offences()
    wrong = lines(base, "b_train", classes=order)
    wrong[0] = wrong[0]._replace(label=base + 2)
    found = check_labels({"a_train": lines(base, classes=order), "b_train": wrong}, CLASSES, "auto", offences)
    assert found == (base, order)
    assert [offence.where for offence in offences.found] == [wrong[0].where]
    assert "0=person, 1=dog, 2=elephant" in caplog.text


def test_lists_that_order_the_classes_differently_are_refused():
    with pytest.raises(DataError, match="whether counted from 0 or from 1"):
        check({"a_train": lines(0, classes=("person", "dog", "elephant")),
               "b_train": lines(0, "b_train", classes=("elephant", "dog", "person"))})


def test_an_order_of_which_a_class_is_absent_is_refused():
    with pytest.raises(DataError, match="whether counted from 0 or from 1"):
        check({"a_train": lines(1, classes=("person", "dog"))})


def test_lists_that_disagree_among_themselves_are_refused_whatever_the_majority():
    with pytest.raises(DataError) as caught:
        check({"a_train": lines(1), "b_train": lines(1, "b_train"), "c_train": lines(0, "c_train", count=2)})
    assert "it is 0 in c_train, and 1 in the others" in str(caught.value)


def test_exactly_half_is_not_most():
    group = [Line(f"a/dog/{i}.jpg", i % 2 * 5, str(i)) for i in range(4)]
    with pytest.raises(DataError, match="whether counted from 0 or from 1"):
        check({"a_train": group})


def test_no_lines_are_no_labels_to_check():
    assert check({"a_train": []}) == (0, [])
