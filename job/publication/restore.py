"""Find the checkpoint to go on from: the newest whole one of this run, published or still in the local spool."""
from __future__ import annotations

import itertools
import logging
import os
import shutil
import threading
from typing import Any, Dict, NamedTuple, Optional

from job.errors import ConfigError
from masf_core.errors import CheckpointError
from masf_core.records import checkpoints
from obs_sync import IntegrityError, ObjectNotFound, fetch_checkpoint, list_markers
from obs_sync.errors import UnsafeKey

log = logging.getLogger(__name__)


class Candidate(NamedTuple):
    """A checkpoint that might be resumed from."""

    iteration: int
    created: str
    name: str
    marker: Optional[object]  # None: it lies in the spool, saved but not delivered when the last attempt ended


class Restored(NamedTuple):
    """A checkpoint that was loaded."""

    arrays: Dict[str, Any]
    progress: checkpoints.Progress
    name: str


class Restoring:
    """The newest checkpoint, fetched and read in the background while the data and the graph are made ready.

    Use it as a context manager: its end gives up what is still under way.

    Args:
        store: the run's store. workspace: ``Workspace``. lineage: only checkpoints of this lineage count.
    """

    def __init__(self, store, workspace, lineage):
        self._whole = _whole(store, workspace, lineage, self._note)
        self._transferred = (0, 0)
        self._given_up = False
        self._first = self._failure = None
        self._thread = threading.Thread(target=self._work, name="restoring", daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._given_up = True
        self._thread.join(timeout=10)

    def newest(self, shapes, on_progress):
        """Wait for it.

        Args:
            shapes: name → shape of what the model needs. on_progress: called with (bytes fetched, bytes) meanwhile;
                what it raises ends the wait.

        Returns:
            ``Restored``, the newest whose sizes, digests and shapes hold, or None when there is no checkpoint.

        Raises:
            StoreError: the store cannot be read. (A damaged checkpoint is no error: the one before it is taken.)
        """
        while self._thread.is_alive():
            self._thread.join(timeout=0.1)
            on_progress(*self._transferred)
        if self._failure is not None:
            raise self._failure
        first, self._first = self._first, None
        for restored in itertools.chain([first] if first is not None else [], self._whole):
            try:
                checkpoints.check_shapes(restored.name, restored.arrays, shapes)
                return restored
            except CheckpointError as error:
                _pass_over(restored.name, error)
        return None

    def _work(self):
        try:
            self._first = next(self._whole, None)
        except BaseException as error:  # raised where it is waited for
            self._failure = error

    def _note(self, done, total):
        self._transferred = (done, total)
        if self._given_up:
            raise _GivenUp


class _GivenUp(Exception):
    """Nobody waits for the checkpoint any more."""


def _whole(store, workspace, lineage, on_progress):
    """Yield ``Restored`` of every checkpoint whose sizes and digests hold, newest first. Holds on to none of them."""
    def read(candidate):
        directory = os.path.join(workspace.spool, candidate.name)
        try:
            if candidate.marker is None:
                return Restored(*checkpoints.load(directory), name=candidate.name)
            directory = fetch_checkpoint(store, candidate.marker, workspace.spool, on_progress=on_progress,
                                         to_read_only=True)
            digests = {file.name: file.sha256 for file in candidate.marker.files}
            restored = Restored(*checkpoints.load(directory, digests), name=candidate.name)
        except (IntegrityError, ObjectNotFound, UnsafeKey, CheckpointError) as error:
            _pass_over(candidate.name, error)
            return None
        shutil.rmtree(directory, ignore_errors=True)
        return restored

    yield from filter(None, map(read, candidates(store, workspace, lineage)))


def _pass_over(name, error):
    log.warning("checkpoint %s cannot be used (%s); trying the one before it", name, error)


def candidates(store, workspace, lineage):
    """All checkpoints of ``lineage``, newest first."""
    found = [
        Candidate(marker.metadata["iteration"], marker.created, marker.name, marker)
        for marker in list_markers(store) if marker.metadata.get("lineage") == lineage and _tells_iteration(marker)]
    found += [Candidate(progress.iteration, "", name, None) for name, progress in spooled(workspace, lineage)]
    return sorted(found, key=lambda item: (item.iteration, item.created), reverse=True)


def _tells_iteration(marker):
    told = isinstance(marker.metadata.get("iteration"), int)
    if not told:
        _pass_over(marker.name, "its marker tells no iteration")
    return told


def spooled(workspace, lineage):
    """(name, ``Progress``) of every whole checkpoint of ``lineage`` in the spool, in the order of their iterations."""
    found = []
    for name in os.listdir(workspace.spool):
        try:
            progress = checkpoints.load_progress(os.path.join(workspace.spool, name))
        except CheckpointError:
            continue  # a leftover of a killed attempt
        if progress.details.get("lineage") == lineage:
            found.append((name, progress))
    return sorted(found, key=lambda pair: pair[1].iteration)


def undelivered(store, workspace, lineage, iteration):
    """What earlier attempts saved up to ``iteration`` and could not deliver, as ``spooled`` gives it.

    A later one would be one that could not be restored from: damaged, and not worth delivering.
    """
    published = [marker.name for marker in list_markers(store)]
    return [(name, progress) for name, progress in spooled(workspace, lineage) if progress.iteration <= iteration
            and not any(other == name or other.startswith(name + "-") for other in published)]


def clear_spool(workspace, keep=()):
    """Remove what earlier attempts left on its way, but the names in ``keep``."""
    for name in os.listdir(workspace.spool):
        if name in keep:
            continue
        path = os.path.join(workspace.spool, name)
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path, ignore_errors=True)
        else:
            os.remove(path)


def refuse_changed(name, differing):
    """Raise if a checkpoint was made under another configuration.

    Args:
        name: of the checkpoint or run. differing: list of (key, there, here).

    Raises:
        ConfigError: names every key that differs.
    """
    if differing:
        raise ConfigError(
            "{} was made with another configuration: {}. Go on with the old values, give another --run_name, or start "
            "afresh with --resume=never (the old checkpoints stay).".format(
                name, "; ".join(f"{key} was {there}, is {here}" for key, there, here in differing)))
