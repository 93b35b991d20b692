"""Published checkpoints, checked end to end: every file that a marker names exists, with its size and its SHA-256."""
from __future__ import annotations

import functools
from typing import Callable, Dict, Iterable, List, Mapping, NamedTuple, Optional, Tuple

from obs_sync.checkpoints.markers import Marker, MarkerFile
from obs_sync.checkpoints.pointers import read_pointer
from obs_sync.checkpoints.publish import Orphan, list_markers, orphans
from obs_sync.errors import IntegrityError, ObjectChanged, ObjectNotFound, StoreError
from obs_sync.parallel import OnProgress, Progress, run_aside, run_parallel
from obs_sync.store import ObjectInfo, Store
from obs_sync.transfer.compare import stored_sha256

FOLDER = "checkpoints"  # name of the folder of a run's checkpoints


class Verdict(NamedTuple):
    """What was found about one checkpoint. It is whole if it has no faults."""

    prefix: str             # of the folder of its marker, such as "run/checkpoints/"
    name: str
    created: Optional[str]  # ISO 8601, UTC; None if its marker cannot be read
    files: int
    bytes: int
    faults: Tuple[str, ...]


class Folder(NamedTuple):
    """One folder of checkpoints."""

    prefix: str
    verdicts: Tuple[Verdict, ...]
    pointers: Mapping[str, str]  # such as {"best": "ckpt-000100-1f"}; that checkpoint may have been deleted
    orphans: Tuple[Orphan, ...]


def checkpoint_folders(store: Store, infos: Iterable[ObjectInfo]) -> List[str]:
    """The prefixes of all folders called `checkpoints` that hold one of the objects. One may be inside another.

    The prefix "" stands for the store itself, if its URL ends in that name.
    """
    found = {""} if store.url.rstrip("/").rpartition("/")[2] == FOLDER else set()
    for info in infos:
        segments = info.key.split("/")
        found.update("/".join(segments[:number + 1]) + "/" for number, segment in enumerate(segments[:-1])
                     if segment == FOLDER)
    return sorted(found)


def verify_checkpoints(store: Store, workers: int = 8, on_progress: Optional[OnProgress] = None,
                       fault_of: Callable[[Marker], Optional[str]] = lambda marker: None) -> List[Folder]:
    """Read every file of every checkpoint below the store's URL. `on_progress(done, total)` counts bytes.

    fault_of: what the caller finds wrong with the metadata of a marker; None if nothing. A fault of a checkpoint is in
    its verdict and raises nothing. Raises StoreError if the store fails.
    """
    survey = Progress(0, on_progress)
    infos = {info.key: info for info in run_aside(lambda: list(store.list()), survey)}
    prefixes = checkpoint_folders(store, infos.values())
    found = {prefix: run_aside(functools.partial(_markers, store, prefix), survey) for prefix in prefixes}
    markers = [(prefix, marker) for prefix in prefixes for marker in found[prefix].markers]
    faults = _faults(store, infos, markers, workers, on_progress)
    for prefix, marker in markers:
        fault = fault_of(marker)
        if fault is not None:
            faults.setdefault((prefix, marker.name), []).insert(0, f"its marker: {fault}")
    return [_folder(store, infos, prefix, found[prefix], faults, prefixes) for prefix in prefixes]


class _Markers(NamedTuple):
    """The markers of a folder."""

    markers: List[Marker]
    damaged: Dict[str, str]  # key → what is wrong


def _markers(store: Store, prefix: str) -> _Markers:
    damaged: Dict[str, str] = {}
    return _Markers(list_markers(store, prefix, damaged.__setitem__), damaged)


def _faults(store: Store, infos: Mapping[str, ObjectInfo], markers: List[Tuple[str, Marker]], workers: int,
            on_progress: Optional[OnProgress]) -> Dict[Tuple[str, str], List[str]]:
    """(prefix, name of a checkpoint) → the faults of its files; no entry if there are none."""
    files = [(prefix, marker, file) for prefix, marker in markers for file in marker.files]
    moving = Progress(sum(file.size for _, _, file in files), on_progress)
    answers = run_parallel(lambda item: _fault(store, infos, *item, progress=moving), files, workers, moving)
    faults: Dict[Tuple[str, str], List[str]] = {}
    for (prefix, marker, _), fault in zip(files, answers):
        if fault is not None:
            faults.setdefault((prefix, marker.name), []).append(fault)
    return faults


def _folder(store: Store, infos: Mapping[str, ObjectInfo], prefix: str, found: _Markers,
            faults: Mapping[Tuple[str, str], List[str]], prefixes: List[str]) -> Folder:
    """The folder at `prefix`. `prefixes`: of all folders, which may be inside this one and are no orphans of it."""
    verdicts = [Verdict(prefix, marker.name, marker.created, len(marker.files), marker.size,
                        tuple(faults.get((prefix, marker.name), ()))) for marker in found.markers]
    verdicts += [Verdict(prefix, key[len(prefix):-len(".json")], None, 0, 0, (f"its marker: {reason}",))
                 for key, reason in found.damaged.items()]
    unmarked = [orphan for orphan in orphans(store, prefix)
                if not any(each.startswith(f"{prefix}{orphan.name}/") for each in prefixes)]
    return Folder(prefix, tuple(sorted(verdicts, key=lambda verdict: verdict.name)),
                  _pointers(store, infos, prefix, verdicts), tuple(unmarked))


def _fault(store: Store, infos: Mapping[str, ObjectInfo], prefix: str, marker: Marker, file: MarkerFile,
           progress: Progress) -> Optional[str]:
    """What is wrong with one file; None if it is as the marker says."""
    info = infos.get(f"{prefix}{marker.name}/{file.name}")
    wrong: Optional[str] = None
    if info is None:
        wrong = "is missing"
    elif info.size != file.size:
        wrong = f"has {info.size:,} bytes; the marker says {file.size:,}"
    if wrong is not None:
        progress.add(file.size)
        return f"{file.name} {wrong}"
    try:
        found = stored_sha256(store, info, progress.add)
        if found != file.sha256:  # read it again, because the bytes may have been damaged on the way
            found = stored_sha256(store, info, lambda _: progress.check())
    except ObjectNotFound:
        return f"{file.name} was deleted while it was being read"
    except ObjectChanged:
        return f"{file.name} was overwritten while it was being read"
    return None if found == file.sha256 else f"{file.name} has the SHA-256 {found}; the marker says {file.sha256}"


def _pointers(store: Store, infos: Iterable[str], prefix: str, verdicts: Iterable[Verdict]) -> Dict[str, str]:
    markers = {verdict.name for verdict in verdicts}
    found: Dict[str, str] = {}
    for key in infos:
        name = key[len(prefix):-len(".json")]
        if key.startswith(prefix) and key.endswith(".json") and "/" not in name and name not in markers:
            try:
                meant = read_pointer(store, name, prefix)
            except (IntegrityError, StoreError):  # not a pointer
                continue
            if meant is not None:
                found[name] = meant
    return found
