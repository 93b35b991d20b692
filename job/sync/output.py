"""What `python -m job sync` prints: lines for people, or one JSON document."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import sys
import time

from job.console import amount


UNREAD = 128 + signal.SIGPIPE  # exit code of what is stopped because nobody reads its output any more


class OutputClosed(Exception):
    """Whoever read the output has had enough of it. code: the exit code that the work has had all the same."""

    def __init__(self, code):
        super().__init__("the output was closed")
        self.code = code


@contextlib.contextmanager
def telling(code):
    """Around what prints a result that `code` is the exit code of.

    Raises:
        OutputClosed: nobody reads it any more. obs_sync.LocalStorageError: it cannot be written.
    """
    from obs_sync import LocalStorageError

    try:
        yield
        if sys.stdout is not None:  # the shell may have closed it: then nothing is to be told
            sys.stdout.flush()
    except BrokenPipeError:
        discard_output()
        raise OutputClosed(code) from None
    except OSError as error:
        discard_output()
        raise LocalStorageError(f"the output cannot be written ({error.strerror})", "standard output",
                                "All else has been done; free some space, or send the output elsewhere") from error


def is_read():
    """Write out what standard output holds; whether somebody reads it still. If not, the rest goes nowhere."""
    if sys.stdout is None:
        return True
    try:
        sys.stdout.flush()
        watched = select.poll()  # a failed write has thrown away what a second flush would miss
        watched.register(sys.stdout.fileno(), 0)
        closed = any(events & select.POLLERR for _, events in watched.poll(0))
    except BrokenPipeError:
        closed = True
    except (OSError, ValueError):  # a stream without a descriptor; or a full disk, which whoever printed tells of
        closed = False
    if closed:
        discard_output()
    return not closed


def discard_output(stream=None):
    """Let what is printed from now on, and what has not been written yet, go nowhere. stream: standard output if None.
    """
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, (stream or sys.stdout).fileno())
    os.close(nowhere)


def print_json(document):
    """The only thing on standard output."""
    print(json.dumps(document, indent=1))


def print_key(first, size, key):
    """A line about one object or file: a word or a time, bytes, key."""
    print(f"{first}  {size:>15,}  {shown(key)}")


def shown(text):
    """The text with everything spelt out that would move the cursor, or that the terminal's encoding lacks."""
    plain = "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text)
    encoding = getattr(sys.stdout, "encoding", None) or "ascii"
    return plain.encode(encoding, "backslashreplace").decode(encoding)


def files(count, size=None):
    """``3, 1200`` → ``3 files, 1.2 kB``."""
    text = "{:,} file{}".format(count, "" if count == 1 else "s")
    return text if size is None else "{}, {}".format(text, amount(size, "B"))


def moment(seconds):
    """UTC; blank if it is not known."""
    return " " * 19 if seconds is None else time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(seconds))


def age(seconds):
    """``90000`` → ``25.0 h old``."""
    if seconds is None:
        return "of unknown age"
    days = seconds / 86400.0
    return f"{days:.1f} days old" if days >= 2.0 else f"{24.0 * days:.1f} h old"


def total(items):
    """Bytes of objects or files."""
    return sum(item.size for item in items)


def listed(items):
    """For JSON."""
    return [{"key": item.key, "size": item.size} for item in items]
