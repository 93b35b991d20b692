"""What a person sees: log lines, and the progress of long operations.

On a terminal, a bar shows a running operation, if tqdm is installed. Elsewhere a few log lines show it. Bars and lines
both go to standard error, and a line is written above the bars. No colours are used.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import time
from typing import Any, Callable, ContextManager, Dict, List, Mapping, NamedTuple, Optional, TextIO

from job.printable import printable_lines
from job.stopping import StopRequest

LINE_SECONDS = 10.0  # longest time between two lines of progress
SHORT = 0.5  # seconds of work below which a rate means nothing
WITHOUT_RATE = "{l_bar}{bar}| {n_fmt}/{total_fmt}"  # tqdm's bar
QUARTER_SECONDS = 2.0  # shortest time before the line that is written at each quarter of the work
OUR_LOGGERS = ("job", "masf_core", "obs_sync")
BYTES = "B"


class Console:
    """Where log lines and progress go.

    Args:
        stop: asked at every report of progress; ``Stopped`` is raised from there. stream: standard error by default.
        environ: environment variables (TERM, COLUMNS). clock: monotonic seconds.
    """

    def __init__(
        self,
        stop: Optional[StopRequest] = None,
        stream: Optional[TextIO] = None,
        environ: Mapping[str, str] = os.environ,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.stop = stop
        self._stream: TextIO = sys.stderr if stream is None else stream
        if self._stream is None:  # the shell has closed standard error, so nobody reads it
            self._stream = open(os.devnull, "w", encoding="utf-8")
        self._clock = clock
        self._tqdm: Any = None
        if self._stream.isatty() and environ.get("TERM") != "dumb":
            self._tqdm = _tqdm()
        self._size = _size(self._stream, environ) if self._tqdm is not None else {}
        self._tasks: List[Task] = []
        self._stop_noted = False
        self._log_before: Optional[_LogSettings] = None

    def set_up_logging(self, level: str = "info") -> None:
        """Send log lines of this project to the stream, from ``level`` on, and warnings of other packages."""
        handler = _LineHandler(self)
        handler.setFormatter(_LineFormatter())
        if self._log_before is None:
            self._log_before = _LogSettings.now()
        root = logging.getLogger()
        root.handlers[:] = [handler]
        root.setLevel(logging.WARNING)
        self.set_log_level(level)

    def give_back_logging(self) -> None:
        """Undo ``set_up_logging``: restore the handlers and levels that were there before.

        The process may outlive a command, and its threads may still write log lines after the stream was closed.
        """
        if self._log_before is not None:
            self._log_before.restore()
            self._log_before = None

    def detach(self) -> None:
        """From now on, write to standard error through a duplicate of its descriptor.

        While TensorFlow is imported, descriptor 2 leads elsewhere, so that messages of its libraries are held back. The
        lines of our own threads still reach the terminal.
        """
        with contextlib.suppress(OSError, ValueError):  # it is closed, or no file
            self._stream = os.fdopen(os.dup(self._stream.fileno()), "w", 1, self._stream.encoding, self._stream.errors)

    @staticmethod
    def set_log_level(level: str) -> None:
        """debug, info, warning or error, for this project's packages."""
        for name in OUR_LOGGERS:
            logging.getLogger(name).setLevel(level.upper())

    def task(self, label: str, unit: str, log_lines: bool = True, start: int = 0) -> Task:
        """Show the progress of one operation.

        Args:
            label: what is done. unit: what is counted; ``"B"`` is bytes. log_lines: whether the finished bar stays on
                the terminal, or lines are written elsewhere; False for an operation that is short or writes its own
                lines. start: count that was done before; the rate leaves it out.

        Returns:
            ``on_progress(done, total)``, also a context manager. It ends when done reaches total, or when closed.
        """
        return Task(self, label, unit, log_lines, start)

    def stop_noted(self) -> None:
        """Note that the job handles the request to stop: ``check_stop`` does not raise it again."""
        self._stop_noted = True
        self.close()

    def close(self) -> None:
        """Close all tasks that are still shown. Lines can be written and tasks begun afterwards."""
        for task in list(self._tasks):
            task.close()

    def check_stop(self) -> None:
        """Raise ``Stopped`` if the job was asked to stop and that has not been noted yet."""
        if self.stop is not None and not self._stop_noted:
            self.stop.check()

    def write_line(self, text: str) -> None:
        """Write a line above the bars."""
        with self._without_bars():
            self._stream.write(text + "\n")
            self._stream.flush()

    def _without_bars(self) -> ContextManager[Any]:
        if self._tqdm is None:
            return contextlib.nullcontext()
        return self._tqdm.external_write_mode(file=self._stream)


class Task:
    """The progress of one operation; see ``Console.task``. Its methods belong to one thread."""

    def __init__(self, console: Console, label: str, unit: str, log_lines: bool, start: int) -> None:
        self._console = console
        self._label = label
        self._unit = unit
        self._log_lines = log_lines
        self._start = start
        self._bar: Any = None
        self._begun = self._last_line = 0.0
        self._last_quarter = 0
        self._state = "new"

    def __call__(self, done: int, total: int) -> None:
        """Report that ``done`` of ``total`` is done. A total of 0 means that it is not known yet: nothing is shown.

        Raises:
            Stopped: the job was asked to stop.
        """
        if self._state == "new" and total > 0 and (done > self._start or not self._waits_for_bytes()):
            self._open(done, total)
        if self._state == "open":
            self._show(done, total)
            if done >= total:
                self.close()
        self._console.check_stop()

    def __enter__(self) -> Task:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def close(self) -> None:
        """Stop showing the operation. If it was not finished, its bar is erased."""
        self._state = "closed"
        if self in self._console._tasks:
            self._console._tasks.remove(self)
        if self._bar is not None:
            self._bar.leave = self._bar.leave and self._bar.n >= self._bar.total
            self._bar.close()
            self._bar = None

    def _open(self, done: int, total: int) -> None:
        console = self._console
        self._state = "open"
        self._begun = self._last_line = console._clock()
        self._last_quarter = self._quarter(done, total)
        if console._tqdm is not None:
            self._bar = console._tqdm(
                total=total, initial=self._start, desc=self._label, file=console._stream,
                unit="B" if self._unit == BYTES else " " + self._unit, unit_scale=self._unit == BYTES,
                # The bar of an operation with its own lines, or inside another operation, is erased at its end.
                leave=self._log_lines and not console._tasks, **console._size)
        elif self._log_lines and done < total:
            self._write(f"{self._label}: {amount(total, self._unit)}")
        console._tasks.append(self)

    def _waits_for_bytes(self) -> bool:
        """Whether the bar waits for the first byte, so that a transfer without bytes draws no bar."""
        return self._console._tqdm is not None and self._unit == BYTES

    def _show(self, done: int, total: int) -> None:
        if self._bar is not None:
            self._bar.total = total
            if done >= total and self._console._clock() - self._begun < SHORT:
                self._bar.bar_format = WITHOUT_RATE
            self._bar.update(done - self._bar.n)
        elif self._log_lines:
            self._show_line(done, total)

    def _show_line(self, done: int, total: int) -> None:
        now = self._console._clock()
        seconds, silence = now - self._begun, now - self._last_line
        quarter = self._quarter(done, total)
        if done >= total:
            # The rate of so short a time would mislead: the files may have been there already, for example.
            rate = "" if seconds < SHORT else f" ({amount((done - self._start) / seconds, self._unit)}/s)"
            self._write(f"{self._label}: {amount(done, self._unit)} done in {seconds:.1f} s{rate}")
        elif silence >= LINE_SECONDS or (quarter > self._last_quarter and silence >= QUARTER_SECONDS):
            rate = max(0, done - self._start) / seconds if seconds > 0 else 0.0
            left = f", {amount(rate, self._unit)}/s, {(total - done) / rate:,.0f} s left" if rate else ""
            self._write(f"{self._label}: {amount(done, self._unit)} of {amount(total, self._unit)} "
                        f"({100.0 * done / total:.0f} %), {seconds:.0f} s{left}")
            self._last_line, self._last_quarter = now, quarter

    @staticmethod
    def _quarter(done: int, total: int) -> int:
        return 4 * done // total

    @staticmethod
    def _write(text: str) -> None:
        logging.getLogger(__name__).info("%s", text)


def amount(count: float, unit: str) -> str:
    """``1234567, "B"`` → ``1.2 MB``; ``12, "images"`` → ``12 images``."""
    if unit != BYTES:
        return f"{count:,.0f} {unit}" if count >= 10 or count == int(count) else f"{count:.2g} {unit}"
    for prefix in ("", "k", "M", "G"):
        if count < 1000 or prefix == "G":
            return f"{count:.1f} {prefix}B" if prefix else f"{count:.0f} B"
        count /= 1000.0
    raise AssertionError("not reached")


def duration(seconds: float) -> str:
    """``75`` → ``1 min 15 s``."""
    seconds = int(round(seconds))
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60:02d} s"
    return f"{seconds // 3600} h {seconds % 3600 // 60:02d} min"


class _LogSettings(NamedTuple):
    """The handlers of the root logger, and the levels of it and of our loggers."""

    handlers: List[logging.Handler]
    levels: Dict[str, int]

    @classmethod
    def now(cls) -> _LogSettings:
        names = ("",) + OUR_LOGGERS  # "" is the root's
        return cls(list(logging.getLogger().handlers), {name: logging.getLogger(name).level for name in names})

    def restore(self) -> None:
        logging.getLogger().handlers[:] = self.handlers
        for name, level in self.levels.items():
            logging.getLogger(name).setLevel(level)


class _LineHandler(logging.Handler):
    """Writes records to a console."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self._console = console

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._console.write_line(self.format(record))
        except Exception:  # as logging's own handlers do: a log line that cannot be written stops nothing
            self.handleError(record)


class _LineFormatter(logging.Formatter):
    """``12:00:00 message``, with the date before it on the first line of each day.

    The level stands before the message when it is not info. Names of files and objects are in many messages, and may
    hold anything: control characters are shown as escape sequences, and every further line of a message is indented.
    """

    def __init__(self) -> None:
        super().__init__("%(day)s%(asctime)s %(label)s%(message)s", "%H:%M:%S")
        self._day = ""

    def formatMessage(self, record: logging.LogRecord) -> str:
        record.message = printable_lines(record.message)
        return super().formatMessage(record)

    def formatException(self, ei: Any) -> str:
        return printable_lines(super().formatException(ei))

    def format(self, record: logging.LogRecord) -> str:
        day = time.strftime("%Y-%m-%d ", self.converter(record.created))
        record.day = day if day != self._day else ""
        self._day = day
        record.label = "" if record.levelno == logging.INFO else record.levelname.lower() + ": "
        return super().format(record)


def _size(stream: TextIO, environ: Mapping[str, str]) -> Dict[str, Any]:
    """tqdm's options about the terminal's size; a terminal that does not know its own is taken for 80 × 24."""
    try:
        columns, rows = os.get_terminal_size(stream.fileno())
    except (OSError, ValueError):
        columns, rows = 0, 0
    options: Dict[str, Any] = {} if rows > 0 else {"nrows": 24}
    if environ.get("COLUMNS", "").isdigit():
        options["ncols"] = int(environ["COLUMNS"])
    elif columns > 0:
        options["dynamic_ncols"] = True
    else:
        options["ncols"] = 80
    return options


def _tqdm() -> Any:
    """The bar class of tqdm, or None where it is not installed."""
    try:
        from tqdm import tqdm
    except ImportError:
        return None
    tqdm.monitor_interval = 0  # no thread of its own: progress is reported often enough
    return tqdm
