"""Exit codes mean something."""

from __future__ import annotations

import errno
import signal

import pytest

from job import exits
from job.errors import CannFailed, ConfigError
from job.stopping import Stopped
from masf_core.errors import CacheError, CheckpointError, DataError, TrainingDiverged, WeightsError
from obs_sync.errors import (
    AccessDenied,
    BucketNotFound,
    CredentialsMissing,
    IntegrityError,
    InvalidUrl,
    LeaseHeld,
    LeaseLost,
    LocalStorageError,
    ObjectNotFound,
    StoreUnavailable,
)


@pytest.mark.parametrize("error, code", [
    (ConfigError("x"), 2),
    (InvalidUrl("x"), 2),
    (LeaseHeld("x"), 2),
    (DataError("x"), 3),
    (WeightsError("x"), 3),
    (AccessDenied("x"), 4),
    (BucketNotFound("x"), 4),
    (CredentialsMissing("x"), 4),
    (IntegrityError("x"), 4),
    (LeaseLost("x"), 4),
    (LocalStorageError("x"), 4),
    (ObjectNotFound("x"), 4),
    (StoreUnavailable("x"), 4),
    (CacheError("x"), 4),
    (CheckpointError("x"), 4),
    (OSError(errno.ENOSPC, "No space left on device", "/cache/x"), 4),
    (PermissionError(errno.EACCES, "Permission denied", "/cache/x"), 4),
    (TrainingDiverged("x"), 5),
    (Stopped(signal.SIGTERM), 143),
    (Stopped(signal.SIGINT), 130),
    (KeyboardInterrupt(), 130),
])
def test_what_can_be_expected_has_a_code_and_needs_no_trace(error, code):
    ending = exits.ending(error)
    assert (ending.code, ending.expected) == (code, True)
    assert ending.message
    assert code in exits.MEANING
    assert exits.exit_code(error) == code


@pytest.mark.parametrize("error", [
    ValueError("x"), KeyError("x"), MemoryError(), OSError("no number"), FileNotFoundError(errno.ENOENT, "none", "x")])
def test_anything_else_is_unexpected_and_shows_its_trace(error):
    ending = exits.ending(error)
    assert (ending.code, ending.expected) == (1, False)
    assert type(error).__name__ in ending.message


def test_a_full_disk_is_told_with_its_path_and_a_way_out():
    message = exits.ending(OSError(errno.ENOSPC, "No space left on device", "/cache/x")).message
    assert message == "/cache/x: the disk is full; free some space, or choose another --work_dir"


def test_a_failure_of_cann_keeps_its_message_and_shows_its_trace():
    assert exits.ending(CannFailed("x\n  [ERROR] y")) == exits.Ending(1, "x\n  [ERROR] y", False)
