"""Trees of files between a store and the local disk: pull, pull_file, push."""
from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import Callable, Iterable, List, NamedTuple, Optional, Tuple

from obs_sync.errors import CHECK_PATH, ObjectNotFound
from obs_sync.local.removing import ExtraFile, extra_files, remove_files
from obs_sync.odd_keys import naming_exclude
from obs_sync.packs.store import unpacked
from obs_sync.parallel import OnProgress
from obs_sync.store import ObjectInfo, Store
from obs_sync.transfer.index import INDEX_NAME
from obs_sync.transfer.plan import Plan
from obs_sync.transfer.pull import Pull
from obs_sync.transfer.push import Push, PushPlan

Selects = Callable[[str], bool]
"""Whether a transfer is about a key, or about a file that would have it."""


Choose = Callable[[List[ObjectInfo]], List[ObjectInfo]]


def everything(key: str) -> bool:
    return True


def nothing(key: str) -> bool:
    return False


@dataclass(frozen=True)
class TransferReport:
    files: int          # fetched or stored
    bytes: int
    present_files: int  # there already
    present_bytes: int
    seconds: float
    removed_files: int = 0
    removed_bytes: int = 0


class PullPreview(NamedTuple):
    plan: Plan
    extra: Tuple[ExtraFile, ...]  # what `delete` would delete


def pull(store: Store, destination: str, prefix: str = "", workers: int = 16,
         on_progress: Optional[OnProgress] = None, mirror: bool = False, selects: Selects = everything,
         delete: bool = False, on_compare: Optional[OnProgress] = None, choose: Choose = list,
         may_vanish: Selects = nothing) -> TransferReport:
    """Fetch every object whose key starts with `prefix` to `destination`/key; if there is a pack, its members.

    Args:
        on_progress: called with (bytes fetched, bytes to fetch), and with (0, 0) during the listing. on_compare: called
            with (bytes read, bytes to read) of files whose digest is compared with the listing; without it, on_progress
            is called with (0, 0) meanwhile. mirror: delete files that an earlier pull fetched and that the source no
            longer has. delete: delete every file with `prefix` that the source does not have (`removing.extra_files`).
            selects: which keys count; other keys are left alone on both sides. choose: returns the part of the listing
            to fetch; other objects count as not there. may_vanish: says of a key that it is no error if its object is
            deleted between the listing and the download.

    Raises ObjectNotFound if there is nothing to fetch, UnsafeKey (before anything is fetched) if a key cannot be a file
    below the destination, LocalStorageError, and the store's own errors.
    """
    started = time.monotonic()
    store = unpacked(store, prefix)
    listing = _Listing(store, prefix, selects, choose)
    one = Pull(store, destination, lambda key: key, INDEX_NAME, on_progress, selects, on_compare, may_vanish)
    extra: List[ExtraFile] = []

    def remove_extra() -> None:
        extra.extend(_extra(destination, listing.keys, prefix, selects))
        remove_files(destination, extra)

    with naming_exclude(lambda: listing.keys):
        fetched, present = one.run(listing, prefix, workers, mirror, remove_extra if delete else None)
    return _report(started, fetched, present, extra)


def preview_pull(store: Store, destination: str, prefix: str = "", selects: Selects = everything,
                 on_compare: Optional[OnProgress] = None) -> PullPreview:
    """What `pull` would do now. Writes nothing; raises as `pull` does."""
    store = unpacked(store, prefix)
    listing = _Listing(store, prefix, selects)
    one = Pull(store, destination, lambda key: key, INDEX_NAME, None, selects, on_compare)
    with naming_exclude(lambda: listing.keys):
        plan = one.preview(listing, prefix)
    return PullPreview(plan, _extra(destination, listing.keys, prefix, selects))


def pull_file(store: Store, key: str, path: str, on_progress: Optional[OnProgress] = None) -> TransferReport:
    """Fetch one object to the file `path`. Raises as `pull` does."""
    started = time.monotonic()
    directory, name = os.path.split(os.path.abspath(path))
    one = Pull(store, directory, lambda _: name, f"{name}.index.jsonl", on_progress)
    return _report(started, *one.run(lambda: [store.head(key)], key, workers=1, mirror=False))


def push(store: Store, source: str, prefix: str = "", workers: int = 8, on_progress: Optional[OnProgress] = None,
         selects: Selects = everything, delete: bool = False,
         on_compare: Optional[OnProgress] = None) -> TransferReport:
    """Store every file below the directory `source` under `prefix` + its relative path.

    An object with the same size and digest is not stored again.

    Args:
        on_progress: called with (bytes stored, bytes to store). on_compare: called with (bytes read, bytes to read) of
            files whose digest is compared. selects: says of a relative path whether it counts; other files and objects
            are left alone. delete: once everything is stored, delete objects below the prefix that are not in the tree;
            in a local folder, links and what is behind them stay.

    Raises UnsafeKey, before anything is stored, if the name of a file cannot be a key or is a directory in the store;
    IntegrityError if a listing afterwards does not show everything as it was stored; LocalStorageError if the tree
    cannot be read, or is empty and `delete` is given.
    """
    started = time.monotonic()
    one = Push(store, source, prefix, workers, on_progress, selects, on_compare)
    plan = one.plan()
    sent = one.run(plan, delete)
    return _report(started, sent, plan.present, plan.extra if delete else ())


def preview_push(store: Store, source: str, prefix: str = "", workers: int = 8, selects: Selects = everything,
                 on_compare: Optional[OnProgress] = None) -> PushPlan:
    """What `push` would do now. Writes nothing; raises as `push` does."""
    return Push(store, source, prefix, workers, None, selects, on_compare).plan()


class _Listing:
    """Lists the objects to pull. The call fills `keys`."""

    def __init__(self, store: Store, prefix: str, selects: Selects, choose: Choose = list):
        self._choose = choose
        self._store = store
        self._prefix = prefix
        self._selects = selects
        self.keys: List[str] = []

    def __call__(self) -> List[ObjectInfo]:
        found = list(self._store.list_completely(self._prefix, self._selects))
        where = self._store.locate(self._prefix)
        if not found:
            raise ObjectNotFound("there is nothing to fetch below", where, CHECK_PATH)
        selected = [info for info in found if self._selects(info.key)]
        if not selected:
            raise ObjectNotFound(f"the patterns select none of {len(found):,} objects below", where,
                                 f"Patterns are compared with keys relative to this URL, such as {found[0].key}")
        selected = self._choose(selected)
        self.keys = [info.key for info in selected]
        return selected


def _extra(destination: str, listed: List[str], prefix: str, selects: Selects) -> Tuple[ExtraFile, ...]:
    return extra_files(destination, frozenset(listed), lambda key: key.startswith(prefix) and selects(key))


def _report(started: float, moved: Iterable[ObjectInfo], present: Iterable[ObjectInfo],
            removed: Iterable[object] = ()) -> TransferReport:
    moved, present, removed = list(moved), list(present), list(removed)
    return TransferReport(len(moved), sum(info.size for info in moved), len(present),
                          sum(info.size for info in present), time.monotonic() - started, len(removed),
                          sum(each.size for each in removed))
