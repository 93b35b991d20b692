"""Durable storage for training jobs: OBS through its SDK or moxing, or a directory, behind one interface.

    with open_store("obs://bucket/pacs/") as store:
        pull(store, "/cache/pacs")

Trees of files: pull, pull_file, push; pack, for many small files. Checkpoints that are seen whole or not at all:
publish_checkpoint, list_markers, fetch_checkpoint, delete_checkpoint, retain, orphans, write_pointer, read_pointer. A
mocked OBS: obs_sync.mock.
"""
from __future__ import annotations

import importlib
from typing import Any, List

_NAMES = {
    "checkpoints.publish": ("Orphan", "delete_checkpoint", "fetch_checkpoint", "list_markers", "orphans",
                            "publish_checkpoint", "retain"),
    "errors": ("AccessDenied", "AlreadyPublished", "BucketNotFound", "CredentialsMissing", "IntegrityError",
               "InvalidUrl", "LeaseHeld", "LeaseLost", "LocalStorageError", "ObjectChanged", "ObjectNotFound",
               "StoreError", "StoreUnavailable", "UnsafeKey"),
    "lease.lease": ("Lease",),
    "lease.owner": ("this_process",),
    "local.store": ("LocalStore",),
    "checkpoints.markers": ("Marker", "MarkerFile"),
    "opening": ("open_store",),
    "packs.publish": ("PackReport", "pack", "publish_pack"),
    "packs.source": ("PackPlan", "plan_pack"),
    "packs.store": ("PackedStore",),
    "checkpoints.pointers": ("read_pointer", "write_pointer"),
    "store": ("ObjectInfo", "Store"),
    "transfer.trees": ("TransferReport", "pull", "pull_file", "push"),
    "urls": ("is_remote", "parse_url", "split_object_url"),
}
_MODULE_OF = {name: module for module, names in _NAMES.items() for name in names}
__all__ = sorted(_MODULE_OF)


def __getattr__(name: str) -> Any:
    """Import the module of a name when it is first asked for: to pull takes a third of them, and less time."""
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> List[str]:
    return sorted(set(globals()) | set(__all__))
