"""Lines of a log that is told in pieces: none is lost, none is doubled, whatever a look shows."""

from __future__ import annotations

import random

import pytest

from job.modelarts.errors import ModelArtsUnavailable
from job.modelarts.log_lines import ObjectLog, ServiceLog
from job.modelarts.service import NO_LINES, LogPart
from obs_sync import LocalStore


class LogService:
    """Shows ``log`` up to ``upto`` bytes, as ModelArts would: cut anywhere, at most ``most`` lines a reply."""

    def __init__(self, log=b"", most=500):
        self.log = log
        self.upto = len(log)
        self.kept_from = 1  # earlier lines are no longer there
        self.most = most
        self.fails_at = ()  # numbers of calls that fail
        self.calls = 0

    def lines(self, job_id, task, first, most=500):
        self.calls += 1
        if self.calls in self.fails_at:
            raise ModelArtsUnavailable("ModelArts cannot be reached")
        lines = self.log[:self.upto].decode("utf-8", "replace").split("\n")
        if not lines[-1]:
            lines.pop()
        found = [(self.position(number), text) for number, text in enumerate(lines, 1)
                 if number >= self.kept_from and self.position(number) >= first][:min(most, self.most)]
        return LogPart(found[0][0], tuple(text for _, text in found), found[-1][0]) if found else NO_LINES

    @staticmethod
    def position(number):
        """Positions grow, and are not consecutive."""
        return 1551252759254000000 + number * number


def texts(lines):
    return [line.text for line in lines]


def read_all(source):
    """What is there, the unfinished last line too."""
    found = []
    for final in (False, True, True):
        found += source.read(final)
    return found


@pytest.mark.parametrize("most", [2, 3, 500])
def test_a_log_of_several_pages_is_whole(most):
    expected = [f"line {number}" for number in range(1, 12)]
    found = read_all(ServiceLog(LogService("\n".join(expected).encode() + b"\n", most), "id", "worker-0"))
    assert texts(found) == expected and [line.number for line in found] == list(range(1, 12))


@pytest.mark.parametrize("seed", range(6))
def test_looks_that_cut_the_log_anywhere_and_fall_behind_lose_and_double_nothing(seed):
    draw = random.Random(seed)
    expected = ["精度 " + "é" * draw.randrange(5) + str(number) for number in range(60)]
    service = LogService("\n".join(expected).encode() + b"\n")
    source = ServiceLog(service, "id", "worker-0")
    truth, found = 0, []
    while truth < len(service.log):
        truth = min(len(service.log), truth + draw.randrange(40))
        service.upto = max(0, truth - draw.choice((0, 0, 0, 25)))  # another server may be behind
        found += source.read()
    service.upto = len(service.log)
    found += read_all(source)
    pieces = {}
    for line in found:  # a line that did not grow for a look is told, and continued later
        pieces[line.number] = pieces.get(line.number, "") + line.text
    assert list(pieces.values()) == expected and list(pieces) == sorted(pieces)


def test_the_last_line_is_told_once_a_second_look_finds_it_unchanged():
    service = LogService(b"one\ntwo")
    source = ServiceLog(service, "id", "worker-0")
    assert texts(source.read()) == ["one"]
    assert texts(source.read()) == ["two"]
    assert texts(source.read()) == []


def test_a_line_that_grows_after_it_was_told_is_continued():
    service = LogService(b"compiling ")
    source = ServiceLog(service, "id", "worker-0")
    source.read()
    assert texts(source.read()) == ["compiling "]
    service.log = b"compiling done\nnext\n"
    service.upto = len(service.log)
    assert texts(source.read()) == ["done"]
    assert texts(read_all(source)) == ["next"]


def test_half_a_character_is_not_told():
    service = LogService("one\nüü".encode())
    service.upto -= 1
    source = ServiceLog(service, "id", "worker-0")
    assert texts(source.read()) + texts(source.read()) + texts(source.read()) == ["one"]
    service.upto += 1
    assert texts(source.read()) + texts(source.read()) == ["üü"]


def test_a_log_that_begins_again_is_told_from_its_beginning(caplog):
    caplog.set_level("INFO", logger="job")
    service = LogService(b"first start\na\nb\n")
    source = ServiceLog(service, "id", "worker-0")
    assert texts(read_all(source)) == ["first start", "a", "b"]
    service.log, service.upto = b"second start\n", 13
    assert texts(read_all(source)) == ["second start"]
    service.log, service.upto = b"third start\nc\nd\ne\n", 18
    assert texts(read_all(source)) == ["third start", "c", "d", "e"]
    assert [record.getMessage() for record in caplog.records] == ["the log of worker-0 begins again"] * 2


def test_lines_that_modelarts_no_longer_has_are_named(caplog):
    service = LogService(b"a\nb\nc\nd\n")
    service.kept_from = 3
    source = ServiceLog(service, "id", "worker-0")
    assert texts(source.read()) == ["c"] and not caplog.records
    service.log += b"e\nf\n"
    service.upto, service.kept_from = len(service.log), 6
    assert texts(read_all(source)) == ["d", "f"] and "lines of the log may be missing here" in caplog.text


def test_lines_before_a_failure_are_told_and_those_after_it_too():
    service = LogService(b"a\nb\nc\nd\ne\n", most=2)
    service.fails_at = (2, 3)
    source = ServiceLog(service, "id", "worker-0")
    found = source.read()
    assert texts(found) == ["a"]
    with pytest.raises(ModelArtsUnavailable):
        source.read()
    assert texts(found + read_all(source)) == ["a", "b", "c", "d", "e"]


@pytest.fixture
def log_object(tmp_path):
    """(write the log object, its source)."""
    store = LocalStore(str(tmp_path))
    (tmp_path / "other").write_bytes(b"x")
    return lambda data: store.write("worker-0.log", data), ObjectLog(store, "worker-0.log")


def test_a_log_object_that_grows_is_told_line_by_line(log_object):
    write, source = log_object
    assert source.read() == []
    whole = "eins\nzwei ü\r\ndrei\nvier".encode()
    found = []
    for size in range(0, len(whole) + 1, 3):
        write(whole[:size])
        found += source.read()
    write(whole)
    assert texts(found + source.read()) == ["eins", "zwei ü", "drei"]
    assert texts(source.read(final=True)) == ["vier"] and source.read(final=True) == []


def test_an_older_view_of_the_log_object_is_waited_out(log_object, caplog):
    caplog.set_level("INFO", logger="job")
    write, source = log_object
    write(b"a\nb\nc\n")
    assert texts(source.read()) == ["a", "b", "c"]
    write(b"a\nb\n")
    assert source.read() == []
    write(b"a\nb\nc\nd\n")
    assert texts(source.read()) == ["d"] and not caplog.records


@pytest.mark.parametrize("later", [b"second start\n", b"second start, and it is longer than the first\n"])
def test_a_log_object_of_a_new_container_is_told_from_its_beginning(log_object, caplog, later):
    caplog.set_level("INFO", logger="job")
    write, source = log_object
    write(b"first start\nand more\n")
    assert len(source.read()) == 2
    write(later)
    assert texts(source.read()) == [later.decode().rstrip("\n")]
    assert [record.getMessage() for record in caplog.records] == ["the log in OBS begins again"]


def test_lines_that_were_told_from_elsewhere_are_left_out(tmp_path):
    store = LocalStore(str(tmp_path))
    store.write("a.log", b"one\ntwo\nthree\n")
    assert [tuple(line) for line in ObjectLog(store, "a.log", skip=2).read()] == [(3, "three")]
