from __future__ import annotations

import logging

import pytest

from masf_core.data.offences import REMEDIES, Offences, write_offenders
from masf_core.errors import DataError, MasfError


def offences(count=7):
    result = Offences()
    for i in range(count):
        result.add("missing file", f"list:{i}", f"file {i}")
    result.add("unknown class", "list:99", "folder x")
    return result


def test_no_offence_is_no_error_and_no_file(tmp_path):
    Offences().settle("/data", "refuse", str(tmp_path / "offenders.txt"))
    assert not list(tmp_path.iterdir())


def test_one_error_tells_counts_first_offenders_remedies_and_where_the_rest_is(tmp_path):
    report = tmp_path / "logs" / "offenders.txt"
    with pytest.raises(DataError) as caught:
        offences().settle("/data", "refuse", str(report))
    message = str(caught.value)
    assert "8 problems in /data: 1 x unknown class, 7 x missing file" in message
    assert "list:0: file 0" in message and "list:5" not in message and "  and 3 more" in message
    assert REMEDIES["missing file"] in message and REMEDIES["unknown class"] in message
    assert REMEDIES["repeated path"] not in message
    assert str(report) in message
    assert report.read_text().splitlines()[7] == "list:99\tfolder x"
    assert len(caught.value.offenders) == 8 and caught.value.offenders[0] == ("list:0", "file 0")
    assert [path.name for path in report.parent.iterdir()] == ["offenders.txt"]


def test_skipping_warns_instead(tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        offences().settle("/data", "skip", str(tmp_path / "offenders.txt"))
    assert "7 x missing file" in caplog.text and "skipped" in caplog.text
    assert (tmp_path / "offenders.txt").exists()


def test_a_report_that_cannot_be_written_does_not_hide_what_it_reports(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError) as caught:
        offences().settle("/data", "refuse", str(tmp_path / "file" / "offenders.txt"))
    assert "7 x missing file" in str(caught.value) and "whole list" not in str(caught.value)


def test_names_that_are_no_unicode_can_be_reported(tmp_path):
    path = str(tmp_path / "offenders.txt")
    assert write_offenders(path, [("a\udcff.jpg", "bad")]) == path
    assert (tmp_path / "offenders.txt").read_text() == "a\\udcff.jpg\tbad\n"


def test_kinds_are_those_that_have_a_remedy():
    with pytest.raises(KeyError):
        Offences().add("ugly image", "a", "b")


def test_data_errors_are_both_of_their_kinds():
    assert issubclass(DataError, MasfError) and issubclass(DataError, ValueError)
