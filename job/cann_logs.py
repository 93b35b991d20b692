"""CANN's own logs: where they are, their last errors, their upload. Only they hold the reason when CANN fails.

CANN writes a file for each process below ``$HOME/ascend/log``, or below ``ASCEND_PROCESS_LOG_PATH``. The folder may
hold files of earlier processes, which are left out here.
"""
from __future__ import annotations

import contextlib
import logging
import os
import time
from typing import Iterator, List, Mapping, NamedTuple

from job.errors import CannFailed
from job.printable import printable
from job.publication.time_limit import within
from job.start_times import process_age
from obs_sync import Store, StoreError

log = logging.getLogger(__name__)

UPLOADED_TO = "logs/cann/"  # below the run's folder
MOST_UPLOADED = 20 << 20  # bytes of all files
UPLOAD_SECONDS = 60.0
MOST_LINES, LONGEST_LINE = 5, 300  # lines of errors that are printed, and characters of each
TAIL = 1 << 18  # bytes at the end of a file where errors are looked for
MARK = "[ERROR]"


class LogFile(NamedTuple):
    """A file below the folder of logs. modified: seconds since 1970. size: bytes."""

    path: str
    modified: float
    size: int


def log_folder(environ: Mapping[str, str]) -> str:
    """Where CANN writes its logs."""
    given = environ.get("ASCEND_PROCESS_LOG_PATH")
    return os.path.abspath(given or os.path.join(environ.get("HOME") or os.path.expanduser("~"), "ascend", "log"))


def started() -> float:
    """When this process was started, in seconds since 1970."""
    return time.time() - process_age()


def newest_logs(folder: str, since: float) -> List[LogFile]:
    """The files that were written after ``since`` (seconds since 1970), the newest first."""
    found = []
    for directory, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(directory, name)
            with contextlib.suppress(OSError):  # CANN deletes its oldest files itself
                status = os.stat(path)
                if status.st_mtime >= since - 1.0 and name.endswith(".log"):  # some file systems count whole seconds
                    found.append(LogFile(path, status.st_mtime, status.st_size))
    return sorted(found, key=lambda file: (-file.modified, file.path))


def last_errors(files: List[LogFile]) -> List[str]:
    """The last lines that report an error, printable and cut: those of the newest file, which is the first, are last.
    """
    lines: List[str] = []
    for file in files:
        text = _end_of(file, TAIL).decode("utf-8", "replace")
        errors = [line for line in text.splitlines() if MARK in line][-MOST_LINES:]
        lines = errors[len(lines) - MOST_LINES:] + lines if len(lines) < MOST_LINES else lines
    return [printable(line.strip())[:LONGEST_LINE] for line in lines]


def explanation(environ: Mapping[str, str], since: float) -> str:
    """A sentence that names the folder of CANN's logs, and a line for each of the last errors."""
    folder = log_folder(environ)
    files = newest_logs(folder, since)
    if not files:
        return f"CANN wrote no log below {folder}"
    errors = last_errors(files)
    if not errors:
        return f"CANN's own logs are below {folder}; they report no error"
    return "\n".join([f"CANN's own logs are below {folder}. Their last errors:"] + ["  " + line for line in errors])


@contextlib.contextmanager
def explained(device: str, environ: Mapping[str, str]) -> Iterator[None]:
    """Turn an error of TensorFlow on an Ascend into one that shows what CANN's logs say.

    Args:
        device: ``cpu``, ``gpu`` or ``ascend``.

    Raises:
        CannFailed: an operation failed, or a graph was not compiled.
    """
    from masf_core.tf1 import tf

    try:
        yield
    except tf.errors.OpError as error:
        if device != "ascend":
            raise
        first = printable((error.message or type(error).__name__).strip().split("\n")[0])[:LONGEST_LINE]
        raise CannFailed(f"the Ascend adapter failed: {first}\n{explanation(environ, started())}") from error


def upload_cann_logs(store: Store, environ: Mapping[str, str]) -> None:
    """Store the newest of CANN's logs of this run below ``UPLOADED_TO``. A failure is only a warning."""
    folder = log_folder(environ)
    files = newest_logs(folder, started())
    if not files:
        return
    try:
        count = within(UPLOAD_SECONDS, "the upload of CANN's logs", lambda: _upload(store, folder, files))
        log.info("CANN's logs: %d files uploaded to %s", count, store.locate(UPLOADED_TO))
    except (StoreError, OSError) as error:
        log.warning("CANN's logs could not be uploaded: %s. They are below %s", error, folder)


def _upload(store: Store, folder: str, files: List[LogFile]) -> int:
    """The number of files. Of the oldest one that fits in part, the end is stored."""
    room, count = MOST_UPLOADED, 0
    for file in files:
        if room <= 0:
            break
        content = _end_of(file, room)
        store.write(UPLOADED_TO + os.path.relpath(file.path, folder).replace(os.sep, "/"), content)
        room -= len(content)
        count += 1
    return count


def _end_of(file: LogFile, most: int) -> bytes:
    """The last ``most`` bytes; nothing where the file is gone."""
    try:
        with open(file.path, "rb") as stream:
            stream.seek(max(0, os.fstat(stream.fileno()).st_size - most))
            return stream.read(most)
    except OSError:
        return b""
