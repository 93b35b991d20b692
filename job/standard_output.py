"""What commands print to standard output: when its reader leaves, and characters that it cannot take."""

from __future__ import annotations

import contextlib
import json
import math
import os
import select
import signal
import sys
from typing import Any, Iterator, Optional, TextIO

from job.printable import printable

UNREAD = 128 + signal.SIGPIPE  # exit code of a command that stops because nobody reads its output any more


class OutputClosed(Exception):
    """The reader of standard output has closed it. code: the exit code of the command, which is not a failure."""

    def __init__(self, code: int) -> None:
        super().__init__("standard output is closed")
        self.code = code


@contextlib.contextmanager
def telling(code: int = UNREAD) -> Iterator[None]:
    """Print inside this context. At its end everything that was printed is written out.

    Args:
        code: the exit code if the reader leaves: the result's own where all work is done, or ``UNREAD``.

    Raises:
        OutputClosed: the reader of standard output has closed it.
        obs_sync.LocalStorageError: standard output cannot be written.
    """
    from obs_sync import LocalStorageError

    try:
        yield
        if sys.stdout is not None:  # None if the shell has closed it: then nothing is printed
            sys.stdout.flush()
    except BrokenPipeError:
        discard_output()
        raise OutputClosed(code) from None
    except OSError as error:
        discard_output()
        raise LocalStorageError(f"the output cannot be written ({error.strerror})", "standard output",
                                "The command has done everything else; free some space, or send the output elsewhere"
                                ) from error


def is_closed() -> bool:
    """Whether the reader of standard output has closed it. If so, everything that is still to be written is discarded.

    This tells a broken pipe of standard output from one of a connection.
    """
    if sys.stdout is None:
        return False
    try:
        watched = select.poll()
        watched.register(sys.stdout.fileno(), 0)
        closed = any(events & select.POLLERR for _, events in watched.poll(0))
    except (OSError, ValueError):  # a stream without a descriptor
        return False
    if closed:
        discard_output()
    return closed


def discard_output(stream: Optional[TextIO] = None) -> None:
    """Discard what ``stream`` has not written yet, and what is printed to it later.

    Args:
        stream: standard output if None.
    """
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, (stream or sys.stdout).fileno())
    os.close(nowhere)


def shown(text: str) -> str:
    """``text`` in one line, with escape sequences for what is not printable or not in the output's encoding."""
    return encodable(printable(text))


def encodable(text: str) -> str:
    """``text`` with escape sequences for the characters that are not in the encoding of standard output."""
    encoding = getattr(sys.stdout, "encoding", None) or "ascii"
    return text.encode(encoding, "backslashreplace").decode(encoding)


def json_text(document: Any, indent: Optional[int] = 1) -> str:
    """A JSON document for programs, in ASCII and without control characters.

    Infinite numbers and NaN, which JSON does not have, become null. indent: None for a document in one line.
    """
    return json.dumps(_finite(document), indent=indent, allow_nan=False).replace("\x7f", "\\u007f")


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {name: _finite(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(each) for each in value]
    return value
