"""Log lines and progress, on a terminal and off it."""

from __future__ import annotations

import fcntl
import io
import logging
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import textwrap

import pytest

from job.console import Console, amount
from job.stopping import Stopped, StopRequest

REPOSITORY = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


class Clock:
    """Seconds that pass when told to."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


class Shown:
    """A console that writes into memory."""

    def __init__(self, **options):
        self.stream, self.clock = io.StringIO(), Clock()
        self.console = Console(stream=self.stream, clock=self.clock, environ={}, **options)

    @property
    def lines(self):
        """Without the time at their beginning."""
        return [re.sub(r"^(\d{4}-\d\d-\d\d )?\d\d:\d\d:\d\d ", "", line)
                for line in self.stream.getvalue().splitlines()]


@pytest.fixture
def shown():
    """A console that takes the log, and gives the loggers back as they were."""
    shown = Shown()
    shown.console.set_up_logging()
    yield shown
    shown.console.give_back_logging()


# -- lines

def test_a_line_has_the_time_and_the_level_if_it_is_not_info(shown):
    logging.getLogger("job.x").info("hello")
    logging.getLogger("obs_sync.x").warning("careful")
    assert shown.lines == ["hello", "warning: careful"]
    assert re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d hello\n", shown.stream.getvalue())


def test_a_message_of_several_lines_keeps_its_structure(shown):
    logging.getLogger("job.x").info("settings:\ndata:\n  seed: 3\nend")
    logging.getLogger("job.x").info("list:\n  one\n    two")
    assert "settings:\n  data:\n    seed: 3\n  end\n" in shown.stream.getvalue()
    assert "list:\n  one\n    two\n" in shown.stream.getvalue()


def test_the_date_stands_on_the_first_line_of_a_day_alone(shown):
    for created in (0.0, 60.0, 86400.0, 86460.0):
        record = logging.LogRecord("job.x", logging.INFO, "", 0, "hello", (), None)
        record.created = created
        logging.getLogger().handlers[0].handle(record)
    lines = shown.stream.getvalue().splitlines()
    assert [len(line.split(" ")) for line in lines] == [3, 2, 3, 2], lines


def test_other_packages_are_heard_only_when_they_warn(shown):
    logging.getLogger("elsewhere").info("chatter")
    logging.getLogger("elsewhere").warning("trouble")
    assert shown.lines == ["warning: trouble"]


def test_the_level_can_be_chosen(shown):
    shown.console.set_log_level("warning")
    logging.getLogger("job.x").info("not now")
    shown.console.set_log_level("debug")
    logging.getLogger("masf_core.x").debug("details")
    assert shown.lines == ["debug: details"]


# -- progress off a terminal

def test_progress_is_a_line_at_the_start_each_quarter_and_at_the_end(shown):
    task = shown.console.task("pull", "B")
    for done in range(0, 101):
        task(done * 10**6, 100 * 10**6)
        shown.clock.now += 0.125
    assert shown.lines == [
        "pull: 100.0 MB",
        "pull: 25.0 MB of 100.0 MB (25 %), 3 s, 8.0 MB/s, 9 s left",
        "pull: 50.0 MB of 100.0 MB (50 %), 6 s, 8.0 MB/s, 6 s left",
        "pull: 75.0 MB of 100.0 MB (75 %), 9 s, 8.0 MB/s, 3 s left",
        "pull: 100.0 MB done in 12.5 s (8.0 MB/s)",
    ]


def test_slow_progress_is_a_line_every_ten_seconds(shown):
    task = shown.console.task("decode", "images")
    for done in range(0, 6):
        task(done, 1000)
        shown.clock.now += 5.0
    assert shown.lines == ["decode: 1,000 images",
                           "decode: 2 images of 1,000 images (0 %), 10 s, 0.2 images/s, 4,990 s left",
                           "decode: 4 images of 1,000 images (0 %), 20 s, 0.2 images/s, 4,980 s left"]


def test_quick_progress_is_two_lines(shown):
    task = shown.console.task("index", "files")
    for done in range(0, 5):
        task(done, 4)
    assert shown.lines == ["index: 4 files", "index: 4 files done in 0.0 s"]


def test_a_total_that_is_not_known_yet_is_waited_for(shown):
    task = shown.console.task("pull", "B")
    task(0, 0)
    assert shown.lines == []
    task(0, 10)
    task(10, 10)
    assert shown.lines == ["pull: 10 B", "pull: 10 B done in 0.0 s"]


def test_what_was_done_before_is_not_in_the_rate(shown):
    task = shown.console.task("train", "iterations", start=90)
    task(90, 100)
    shown.clock.now += 5.0
    task(100, 100)
    assert shown.lines[-1] == "train: 100 iterations done in 5.0 s (2 iterations/s)"


def test_a_task_that_has_lines_of_its_own_writes_none(shown):
    task = shown.console.task("train", "iterations", log_lines=False)
    for done in range(0, 5):
        task(done, 4)
        shown.clock.now += 60.0
    assert shown.lines == []


def test_a_finished_task_is_not_told_twice(shown):
    task = shown.console.task("pull", "B")
    task(5, 5)
    task(5, 5)
    assert len(shown.lines) == 1


def test_a_total_that_grows_is_followed(shown):
    task = shown.console.task("pull", "B")
    task(0, 10)
    shown.clock.now += 20.0
    task(9, 20)
    assert shown.lines[-1] == "pull: 9 B of 20 B (45 %), 20 s, 0 B/s, 24 s left"


@pytest.mark.parametrize("count, unit, told", [
    (0, "B", "0 B"), (999, "B", "999 B"), (1000, "B", "1.0 kB"), (1234567, "B", "1.2 MB"), (5e12, "B", "5000.0 GB"),
    (1, "images", "1 images"), (2048, "images", "2,048 images"), (0.347, "iterations", "0.35 iterations"),
])
def test_amounts_are_readable(count, unit, told):
    assert amount(count, unit) == told


# -- the request to stop

def test_each_report_of_progress_asks_whether_to_stop():
    stop = StopRequest()
    shown = Shown(stop=stop)
    task = shown.console.task("pull", "B")
    task(0, 10)
    stop.note(signal.SIGTERM)
    with pytest.raises(Stopped):
        task(1, 10)


def test_a_noted_request_is_not_raised_again():
    stop = StopRequest()
    shown = Shown(stop=stop)
    stop.note(signal.SIGTERM)
    shown.console.stop_noted()
    shown.console.task("publish", "B")(1, 10)
    shown.console.check_stop()


def test_a_task_tells_its_end_before_it_asks(shown):
    shown.console.stop = StopRequest()
    shown.console.stop.note(signal.SIGTERM)
    with pytest.raises(Stopped):
        shown.console.task("pull", "B")(3, 3)
    assert shown.lines == ["pull: 3 B done in 0.0 s"]


# -- progress on a terminal

PROGRAM = """
import logging, sys, threading
from job.console import Console
now = [0.0]
console = Console(clock=lambda: now[0])
console.set_up_logging()
log = logging.getLogger("job.test")
outer = console.task("train", "iterations")
outer(0, 3)
for i in range(3):
    with console.task("evaluate", "images", log_lines=i == 0) as inner:
        for j in range(0, 2001, 100):
            inner(j, 2000)
            if j == 1000:
                log.info("line %d from here", i)
                other = threading.Thread(target=log.info, args=("line %d from a thread", i))
                other.start()
                other.join()
    now[0] += 1.0
    outer(i + 1, 3)
console.task("quick", "images")(5, 5)
console.task("own lines", "iterations", log_lines=False)(1, 1)
console.task("unfinished", "B")(1, 2)
console.task("never begun", "B")(0, 2)
log.info("last line")
console.close()
"""


def on_a_terminal(environ, rows=0, columns=0):
    """What the program writes to a terminal of its own; one of size 0 × 0 does not know its size."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(PROGRAM)], stdin=theirs, stdout=theirs, stderr=theirs, cwd=REPOSITORY,
        env=dict({key: value for key, value in os.environ.items() if key not in ("COLUMNS", "TERM")}, **environ))
    os.close(theirs)
    written = b""
    while True:
        try:
            piece = os.read(ours, 65536)
        except OSError:  # how Linux says that the other end is closed
            break
        if not piece:
            break
        written += piece
    os.close(ours)
    assert process.wait() == 0, written
    return written.decode("utf-8")


def visible(written, columns):
    """The lines that remain on the screen: what carriage returns, cursor moves and erasures leave."""
    screen, row, column = [[]], 0, 0
    for part in re.findall(r"\x1b\[[0-9;]*[A-Za-z]|.|\n|\r", written):
        if part == "\n":
            row += 1
            while len(screen) <= row:
                screen.append([])
        elif part == "\r":
            column = 0
        elif part == "\x1b[A":
            row = max(0, row - 1)
        elif part.startswith("\x1b["):
            assert part in ("\x1b[K",), f"an escape that only colours or moves: {part!r}"
            del screen[row][column:]
        else:
            line = screen[row]
            line.extend(" " * (column + 1 - len(line)))
            line[column] = part
            column += 1
            assert column <= columns, "wraps: " + "".join(line)
    return ["".join(line).rstrip() for line in screen if "".join(line).strip()]


@pytest.mark.parametrize("environ, rows, columns, width", [
    ({}, 24, 72, 72),
    ({"COLUMNS": "70"}, 24, 100, 70),
    ({}, 0, 0, 80),
])
def test_bars_and_lines_do_not_tear_each_other(environ, rows, columns, width):
    pytest.importorskip("tqdm")
    written = on_a_terminal(dict(environ, TERM="xterm"), rows, columns)
    lines = visible(written, width)
    told = [re.sub(r"^(\d{4}-\d\d-\d\d )?\d\d:\d\d:\d\d ", "", line) for line in lines
            if "line" in line and "/s" not in line]
    assert told == [
        f"line {i} from {where}" for i in range(3) for where in ("here", "a thread")] + ["last line"]
    rest = [line for line in lines if "line" not in line]
    assert [line.split(":")[0] for line in rest] == ["train", "quick"]
    assert "unfinished: " in written and "never begun" not in written
    assert "3/3" in rest[0] and "100%" in rest[0]
    assert "iterations/s" in rest[0]
    assert "5/5" in rest[1] and "/s" not in rest[1]  # the rate of a moment would mislead


@pytest.mark.parametrize("environ", [{"TERM": "dumb"}, {"TERM": "dumb", "NO_COLOR": "1"}])
def test_a_terminal_that_cannot_draw_gets_lines(environ):
    written = on_a_terminal(environ)
    assert "\x1b" not in written
    assert "\r" not in written.replace("\r\n", "\n")
    assert "train: 3 iterations done" in written


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_terminal_without_tqdm_gets_lines(shown, monkeypatch):
    monkeypatch.setitem(sys.modules, "tqdm", None)  # importing it raises ImportError
    console = Console(stream=Terminal(), environ={"TERM": "xterm"})
    console.task("pull", "B")(0, 5)
    assert shown.lines == ["pull: 5 B"]


DETACHED = """
import os, sys
from job.console import Console
console = Console()
console.set_up_logging()
console.write_line("before")
console.detach()
kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
os.dup2(nowhere, 2)
print("held back", file=sys.stderr, flush=True)
console.write_line("a line")
console.task("pull", "B")(0, 5)
os.dup2(kept, 2)
console.write_line("after")
"""


def test_a_console_is_heard_while_standard_error_is_held_back():
    child = subprocess.run([sys.executable, "-c", DETACHED], stderr=subprocess.PIPE, universal_newlines=True,
                           cwd=REPOSITORY)
    lines = child.stderr.splitlines()
    progress = [line for line in lines if line.endswith(" pull: 5 B")]
    assert progress and [line for line in lines if line not in progress] == ["before", "a line", "after"], child.stderr


def test_a_stream_that_is_no_file_is_written_to_all_the_same():
    stream = io.StringIO()
    console = Console(stream=stream)
    console.detach()
    console.write_line("a line")
    assert stream.getvalue() == "a line\n"


def test_without_a_standard_error_nothing_is_told_and_nothing_fails(monkeypatch):
    monkeypatch.setattr(sys, "stderr", None)
    console = Console(environ={})
    console.write_line("to nobody")
    with console.task("pull", "B") as task:
        task(1, 1)
