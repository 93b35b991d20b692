"""Requests to stop: SIGTERM from the platform, Ctrl-C, or a terminal that was closed.

ModelArts sends SIGTERM and, about 15 s later, SIGKILL. In this time the job ends the current iteration, saves and
publishes as much as possible, and exits with 143. SIGHUP, which says that the terminal was closed, is handled like
SIGTERM; under `nohup` it stays ignored. A signal handler alone is not enough, for two reasons:

- Python runs its handlers between two steps of its main thread, which may be inside one long call of TensorFlow. But
  the interpreter writes to its wake-up descriptor at once. A thread reads from the other end, notes the time and
  watches the grace period. If this period passes before the job has ended, the thread calls ``last_words`` and ends the
  process, because nothing else can interrupt a running iteration.
- A forked process inherits handlers and descriptor. A signal that it gets would then look like a signal to its parent.
  So both are removed from a forked process when it starts.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import sys
import threading
import time
import weakref
from typing import Any, Callable, Dict, Iterator, Optional, Tuple

log = logging.getLogger(__name__)

GRACE = 12.0  # seconds from the signal until `last_words` is called: 15 less the time that it needs
LAST_WORDS = 2.0  # seconds that `last_words` may take
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Stopped(BaseException):
    """The job stops, because it was asked to.

    It is not an ``Exception``, as KeyboardInterrupt is not: it is no failure of an operation, and a clause that retries
    or ignores failures must not catch it.
    """

    def __init__(self, signum: int) -> None:
        super().__init__("stopped by " + signal.Signals(signum).name)
        self.signum = signum


class StopRequest:
    """Whether the job was asked to stop; a context manager that handles signals while it lasts.

    Args:
        grace: seconds from the request until ``last_words`` is called. last_words: called in its own thread, for at
            most ``LAST_WORDS`` seconds; may be set later. clock: monotonic seconds. exit: ends the process with a code,
            without any clean-up. told: what happens after a request, in words.
    """

    def __init__(
        self,
        grace: float = GRACE,
        last_words: Optional[Callable[[], None]] = None,
        clock: Callable[[], float] = time.monotonic,
        exit: Callable[[int], Any] = os._exit,
        told: str = "stopping after the current iteration",
    ) -> None:
        self.last_words = last_words
        self._grace = grace
        self._clock = clock
        self._exit = exit
        self._told = told
        self._signum: Optional[int] = None
        self._held = False
        self._since = 0.0
        self._ended = threading.Event()
        self._handlers: Dict[int, Any] = {}
        self._watchdog: Optional[threading.Thread] = None

    def hold(self) -> None:
        """From here on ``check`` lets everything pass until ``release``: several processes have to stop together."""
        self._held = True

    def release(self) -> None:
        """End ``hold``."""
        self._held = False

    @property
    def requested(self) -> bool:
        """Whether the job was asked to stop."""
        return self._signum is not None

    def check(self) -> None:
        """Raise ``Stopped`` if the job was asked to stop."""
        if self._signum is not None and not self._held:
            raise Stopped(self._signum)

    def seconds_left(self, grace: float = 15.0) -> float:
        """Seconds until ``grace`` seconds after the request have passed, at least 0; all of them before a request."""
        return grace if self._signum is None else max(0.0, self._since + grace - self._clock())

    def note(self, signum: int) -> None:
        """Take a request. The first one counts; Ctrl-C after any other ends the process at once."""
        if self._signum is None:
            self._since = self._clock()
            self._signum = signum  # last: whoever sees it may ask since when
        elif signum == signal.SIGINT:
            self._exit(128 + signum)

    def __enter__(self) -> StopRequest:
        """Hear signals from here on. Only the main thread can do this."""
        self._ended.clear()
        ours, theirs = socket.socketpair()
        theirs.setblocking(False)
        self._sockets = (ours, theirs)
        # Their handler does nothing, but there has to be one: without it the wake-up descriptor is not written.
        self._handlers = {signum: signal.signal(signum, lambda *_: None) for signum in heard_signals()}
        self._old_wakeup = signal.set_wakeup_fd(theirs.fileno(), warn_on_full_buffer=False)
        _forget_in_children(self)
        self._watchdog = threading.Thread(target=self._watch, args=(ours,), name="stop request", daemon=True)
        self._watchdog.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self._ended.set()
        self._stop_hearing()
        ours, theirs = self._sockets
        theirs.close()  # the watchdog reads the end of the stream, and ends
        if self._watchdog is not None:
            self._watchdog.join()
            self._watchdog = None
        ours.close()

    def _stop_hearing(self) -> None:
        handlers, self._handlers = self._handlers, {}
        if handlers:
            signal.set_wakeup_fd(self._old_wakeup)
        for signum, handler in handlers.items():
            signal.signal(signum, handler)

    def _watch(self, wakeups: socket.socket) -> None:
        """Wait for a signal, then for the grace period or the end of the job, whichever is first."""
        while not self._ended.is_set():
            wakeups.settimeout(None if self._signum is None else max(0.001, self.seconds_left(self._grace)))
            try:
                heard = wakeups.recv(64)
            except socket.timeout:
                heard = b""
            for signum in heard:
                if signum in SIGNALS:
                    self._hear(signum)
            if not self._ended.is_set() and self._signum is not None and self.seconds_left(self._grace) <= 0.0:
                self._end_process()
                return

    def _hear(self, signum: int) -> None:
        first = not self.requested
        self.note(signal.SIGTERM if signum == signal.SIGHUP else signum)
        if first:
            if signum == signal.SIGINT:
                begin_line()
            log.warning("%s: %s%s", signal.Signals(signum).name, self._told,
                        "; press Ctrl-C again to stop immediately" if signum == signal.SIGINT else "")

    def _end_process(self) -> None:
        """The job has not ended in time."""
        words = threading.Thread(target=self._say_last_words, name="last words", daemon=True)
        words.start()
        words.join(LAST_WORDS)
        self._exit(128 + (self._signum or signal.SIGTERM))

    def _say_last_words(self) -> None:
        log.warning("the current step did not end within %.0f s; ending the process", self._grace)
        if self.last_words is not None:
            self.last_words()


def _forget_in_children(request: StopRequest) -> None:
    """Give children that are forked from now on the signal handling that was there before ``request``.

    The signals are held back while a child starts, so that one which comes too early finds it ready.
    """
    reference = weakref.ref(request)
    mask = threading.local()

    def before() -> None:
        mask.earlier = None
        heard = reference()
        if heard is not None and heard._handlers:
            mask.earlier = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)

    def in_child() -> None:
        heard = reference()
        if heard is not None:
            heard._stop_hearing()
        in_parent()

    def in_parent() -> None:
        if mask.earlier is not None:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask.earlier)

    os.register_at_fork(before=before, after_in_child=in_child, after_in_parent=in_parent)


def heard_signals() -> Tuple[int, ...]:
    """The signals that ask to stop. SIGHUP is not one under `nohup`: then the process outlives the terminal."""
    ignored = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    return tuple(signum for signum in SIGNALS if signum != signal.SIGHUP or not ignored)


def begin_line() -> None:
    """Begin a line on a terminal, which has just shown ``^C``, so that the next message does not stand behind it."""
    with contextlib.suppress(OSError, ValueError, AttributeError):  # closed, or no terminal at all
        if sys.stderr.isatty():
            sys.stderr.write("\n")
            sys.stderr.flush()


@contextlib.contextmanager
def ended_by_sigterm() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end a command as Ctrl-C does, so that it removes its unfinished files."""
    def stop(signum: int, frame: Any) -> None:
        raise Stopped(signal.SIGTERM)

    earlier = {signum: signal.signal(signum, stop) for signum in heard_signals() if signum != signal.SIGINT}
    try:
        yield
    finally:
        for signum, handler in earlier.items():
            signal.signal(signum, handler)
