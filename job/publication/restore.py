"""Find the checkpoint to resume from: the newest whole one of this run, published or still in the local spool."""
from __future__ import annotations

import itertools
import logging
import os
import shutil
import threading
from typing import Any, Callable, Collection, Dict, Iterator, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from job.errors import ConfigError
from job.publication.lineage import published_checkpoints
from job.publication.patience import OPENING_SECONDS, Patience
from job.workspace import Workspace
from masf_core.errors import CheckpointError
from masf_core.records import checkpoints
from masf_core.words import typed
from obs_sync import IntegrityError, Marker, ObjectNotFound, Store, fetch_checkpoint, list_markers
from obs_sync.errors import UnsafeKey

log = logging.getLogger(__name__)


class Candidate(NamedTuple):
    """A checkpoint that the run might resume from."""

    iteration: int
    created: str
    name: str
    marker: Optional[Marker]  # None: it is in the spool; the last attempt saved it and ended before it was published


class Restored(NamedTuple):
    """A checkpoint that was loaded."""

    arrays: Dict[str, Any]
    progress: checkpoints.Progress
    name: str


class Restoring:
    """The newest checkpoint, fetched and read in the background while the data and the graph are made ready.

    Use it as a context manager. On exit it abandons the transfer if that is still under way. Each listing and each
    transfer is repeated for up to ``OPENING_SECONDS`` while the storage is unavailable.

    Args:
        store: the run's store. workspace: where checkpoints are fetched to. lineage: of the checkpoints to consider.
        check_stop: called while it waits for the storage, from any thread; what it raises ends the wait.
    """

    def __init__(self, store: Store, workspace: Workspace, lineage: str, check_stop: Callable[[], None]) -> None:
        self._check_stop = check_stop
        patience = Patience(OPENING_SECONDS, self._check, from_failure=True)
        self._whole = _whole(store, workspace, lineage, self._note, patience)
        self._transferred = (0, 0)
        self._given_up = False
        self._first: Optional[Restored] = None
        self._failure: Optional[BaseException] = None
        self._thread = threading.Thread(target=self._work, name="restoring", daemon=True)

    def __enter__(self) -> Restoring:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._given_up = True
        self._thread.join(timeout=10)

    def newest(self, shapes: Mapping[str, Sequence[int]],
               on_progress: Callable[[int, int], None]) -> Optional[Restored]:
        """Wait until the newest checkpoint is loaded.

        Args:
            shapes: name → shape of each array that the model needs. on_progress: called with (bytes fetched, bytes)
                while waiting; an exception that it raises ends the wait.

        Returns:
            The newest checkpoint that is whole and fits the model, or None if there is none.

        Raises:
            StoreError: the store cannot be read for ``OPENING_SECONDS``. (A damaged checkpoint is skipped with a
                warning.)
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
                _skip(restored.name, error)
        return None

    def _work(self) -> None:
        try:
            self._first = next(self._whole, None)
        except BaseException as error:  # raised in the thread that waits
            self._failure = error

    def _note(self, done: int, total: int) -> None:
        self._transferred = (done, total)
        self._check()

    def _check(self) -> None:
        if self._given_up:
            raise _GivenUp
        self._check_stop()


class _GivenUp(Exception):
    """The checkpoint is no longer needed."""


def _whole(store: Store, workspace: Workspace, lineage: str, on_progress: Callable[[int, int], None],
           patience: Patience) -> Iterator[Restored]:
    """Yield every checkpoint that is whole, newest first. Keeps no reference to any of them."""
    def read(candidate: Candidate) -> Optional[Restored]:
        try:
            restored = patience.call(f"fetching checkpoint {candidate.name}",
                                     lambda: _read(store, workspace, candidate, on_progress))
            _check_progress(restored.progress, candidate, lineage)
        except (IntegrityError, ObjectNotFound, UnsafeKey, CheckpointError) as error:
            _skip(candidate.name, error)
            return None
        if candidate.marker is not None:
            shutil.rmtree(os.path.join(workspace.spool, candidate.name), ignore_errors=True)
        return restored

    found = patience.call("listing the checkpoints", lambda: candidates(store, workspace, lineage))
    yield from filter(None, map(read, found))


def _read(store: Store, workspace: Workspace, candidate: Candidate,
          on_progress: Callable[[int, int], None]) -> Restored:
    if candidate.marker is None:
        return Restored(*checkpoints.load(os.path.join(workspace.spool, candidate.name)), name=candidate.name)
    directory = fetch_checkpoint(store, candidate.marker, workspace.spool, on_progress=on_progress, to_read_only=True)
    digests = {file.name: file.sha256 for file in candidate.marker.files}
    return Restored(*checkpoints.load(directory, digests), name=candidate.name)


def _check_progress(progress: checkpoints.Progress, candidate: Candidate, lineage: str) -> None:
    """Raise CheckpointError if a checkpoint's progress.json is not that of the checkpoint its marker names."""
    if progress.iteration != candidate.iteration:
        raise CheckpointError(f"its progress.json is of iteration {progress.iteration}; expected "
                              f"{candidate.iteration}, as in its marker")
    if progress.details.get("lineage") != lineage:
        raise CheckpointError(f"its progress.json is not of the lineage {lineage}")


def _skip(name: str, reason: object) -> None:
    log.warning("checkpoint %s cannot be used (%s); trying the one before it", name, reason)


def candidates(store: Store, workspace: Workspace, lineage: str) -> List[Candidate]:
    """All checkpoints of ``lineage``, newest first. One whose marker is damaged is skipped with a warning.

    Raises:
        StoreError: the store cannot be read.
    """
    usable, damaged = published_checkpoints(store, lineage)
    for marker, reason in damaged:
        _skip(marker.name, f"its marker is damaged: {reason}")
    found = [Candidate(marker.metadata["iteration"], marker.created, marker.name, marker) for marker in usable]
    found += [Candidate(progress.iteration, "", name, None) for name, progress in spooled(workspace, lineage)]
    return sorted(found, key=lambda item: (item.iteration, item.created), reverse=True)


def spooled(workspace: Workspace, lineage: str) -> List[Tuple[str, checkpoints.Progress]]:
    """(name, ``Progress``) of every whole checkpoint of ``lineage`` in the spool, by iteration, the newest last."""
    found = []
    for name in os.listdir(workspace.spool):
        try:
            progress = checkpoints.load_progress(os.path.join(workspace.spool, name))
        except CheckpointError:  # left by a killed attempt
            continue
        if progress.details.get("lineage") == lineage:
            found.append((name, progress))
    return sorted(found, key=lambda pair: pair[1].iteration)


def undelivered(store: Store, workspace: Workspace, lineage: str,
                iteration: int) -> List[Tuple[str, checkpoints.Progress]]:
    """What earlier attempts saved up to ``iteration`` and could not publish, as ``spooled`` returns it.

    A later checkpoint is not among them. The run resumes from ``iteration`` because the later one is damaged.

    Raises:
        StoreError: the store cannot be read.
    """
    published = [marker.name for marker in list_markers(store)]
    return [(name, progress) for name, progress in spooled(workspace, lineage) if progress.iteration <= iteration
            and not any(other == name or other.startswith(name + "-") for other in published)]


def clear_spool(workspace: Workspace, keep: Collection[str] = ()) -> None:
    """Delete what earlier attempts left in the spool, except the names in ``keep``."""
    for name in os.listdir(workspace.spool):
        if name in keep:
            continue
        path = os.path.join(workspace.spool, name)
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path, ignore_errors=True)
        else:
            os.remove(path)


def refuse_changed(name: str, differing: Sequence[Tuple[str, Any, Any]]) -> None:
    """Raise if a run or checkpoint was made with another configuration.

    Args:
        name: of the run or checkpoint. differing: (setting, value there, value here) of each setting that differs.

    Raises:
        ConfigError: names every setting that differs.
    """
    if differing:
        told = "; ".join(f"{key} was {typed(there)}, is {typed(here)}" for key, there, here in differing)
        raise ConfigError(
            f"{name} was made with another configuration: {told}. Use the old values, choose another --run_name, or "
            "start from iteration 0 with --resume=never (the old checkpoints stay).")
