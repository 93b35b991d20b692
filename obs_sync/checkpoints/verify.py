"""Published checkpoints, checked end to end: every file that a marker names is there, as large, and has its SHA-256."""
from __future__ import annotations

from typing import Dict, Iterable, List, Mapping, NamedTuple, Optional, Tuple

from obs_sync.checkpoints.markers import Marker, MarkerFile
from obs_sync.checkpoints.pointers import read_pointer
from obs_sync.checkpoints.publish import Orphan, list_markers, orphans
from obs_sync.errors import IntegrityError, ObjectChanged, ObjectNotFound, StoreError
from obs_sync.parallel import OnProgress, Progress, run_aside, run_parallel
from obs_sync.store import ObjectInfo, Store
from obs_sync.transfer.compare import stored_sha256

FOLDER = "checkpoints"  # what the folder of a run's checkpoints is called


class Verdict(NamedTuple):
    """What was found of one checkpoint, which is whole if it has no faults."""

    prefix: str             # of the folder that its marker is in, such as "run/checkpoints/"
    name: str
    created: Optional[str]  # ISO 8601, UTC; None if its marker cannot be read
    files: int
    bytes: int
    faults: Tuple[str, ...]


class Folder(NamedTuple):
    """One folder of checkpoints."""

    prefix: str
    verdicts: Tuple[Verdict, ...]
    pointers: Mapping[str, str]  # such as {"best": "ckpt-000100-1f"}; what it means may have been removed
    orphans: Tuple[Orphan, ...]


def checkpoint_folders(store: Store, infos: Iterable[ObjectInfo]) -> List[str]:
    """The prefixes of all folders called `checkpoints` that hold one of the objects, in each other too; "" is the
    store itself, if it is called that.
    """
    found = {""} if store.url.rstrip("/").rpartition("/")[2] == FOLDER else set()
    for info in infos:
        segments = info.key.split("/")
        found.update("/".join(segments[:number + 1]) + "/" for number, segment in enumerate(segments[:-1])
                     if segment == FOLDER)
    return sorted(found)


def verify_checkpoints(store: Store, workers: int = 8, on_progress: Optional[OnProgress] = None) -> List[Folder]:
    """Read every file of every checkpoint below the store's URL through. `on_progress(done, total)` counts bytes.

    What is wrong with a checkpoint is its verdict, and no exception; a store that fails is one.
    """
    survey = Progress(0, on_progress)
    infos = {info.key: info for info in run_aside(lambda: list(store.list()), survey)}
    folders = checkpoint_folders(store, infos.values())
    markers: List[Tuple[str, Marker]] = []
    damaged: Dict[str, Dict[str, str]] = {prefix: {} for prefix in folders}  # prefix -> key -> what is wrong
    for prefix in folders:
        markers += [(prefix, marker) for marker in run_aside(
            lambda: list_markers(store, prefix, damaged[prefix].__setitem__), survey)]  # noqa: B023  (called at once)
    files = [(prefix, marker, file) for prefix, marker in markers for file in marker.files]
    moving = Progress(sum(file.size for _, _, file in files), on_progress)
    answers = run_parallel(lambda item: _fault(store, infos, *item, progress=moving), files, workers, moving)
    faults: Dict[Tuple[str, str], List[str]] = {}
    for (prefix, marker, _), fault in zip(files, answers):
        faults.setdefault((prefix, marker.name), []).extend([fault] if fault else [])
    verdicts: Dict[str, List[Verdict]] = {prefix: [] for prefix in folders}
    for prefix, marker in markers:
        verdicts[prefix].append(Verdict(prefix, marker.name, marker.created, len(marker.files), marker.size,
                                        tuple(faults[prefix, marker.name])))
    for prefix in folders:
        verdicts[prefix] += [Verdict(prefix, key[len(prefix):-len(".json")], None, 0, 0, (f"its marker: {reason}",))
                             for key, reason in damaged[prefix].items()]
    return [Folder(prefix, tuple(sorted(verdicts[prefix], key=lambda verdict: verdict.name)),
                   _pointers(store, infos, prefix, verdicts[prefix]),
                   tuple(orphan for orphan in orphans(store, prefix)
                         if not any(each.startswith(f"{prefix}{orphan.name}/") for each in folders)))
            for prefix in folders]


def _fault(store: Store, infos: Mapping[str, ObjectInfo], prefix: str, marker: Marker, file: MarkerFile,
           progress: Progress) -> Optional[str]:
    """What is wrong with one file, None if nothing is."""
    info = infos.get(f"{prefix}{marker.name}/{file.name}")
    wrong: Optional[str] = None
    if info is None:
        wrong = "is missing"
    elif info.size != file.size:
        wrong = f"has {info.size:,} bytes, the marker says {file.size:,}"
    if wrong is not None:
        progress.add(file.size)
        return f"{file.name} {wrong}"
    try:
        found = stored_sha256(store, info, progress.add)
        if found != file.sha256:  # a second time, should the bytes have been damaged on the way
            found = stored_sha256(store, info, lambda _: progress.check())
    except ObjectNotFound:
        return f"{file.name} was removed while it was read"
    except ObjectChanged:
        return f"{file.name} was written again while it was read"
    return None if found == file.sha256 else f"{file.name} has the SHA-256 {found}, the marker says {file.sha256}"


def _pointers(store: Store, infos: Iterable[str], prefix: str, verdicts: Iterable[Verdict]) -> Dict[str, str]:
    markers = {verdict.name for verdict in verdicts}
    found: Dict[str, str] = {}
    for key in infos:
        name = key[len(prefix):-len(".json")]
        if key.startswith(prefix) and key.endswith(".json") and "/" not in name and name not in markers:
            try:
                meant = read_pointer(store, name, prefix)
            except (IntegrityError, StoreError):  # another document
                continue
            if meant is not None:
                found[name] = meant
    return found
