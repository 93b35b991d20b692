"""Durable storage for training jobs: OBS through its SDK or moxing, or a directory, behind one interface.

    with open_store("obs://bucket/pacs/") as store:
        pull(store, "/cache/pacs")

Trees of files: pull, pull_file, push; pack, for many small files. Checkpoints that are seen whole or not at all:
publish_checkpoint, list_markers, fetch_checkpoint, delete_checkpoint, retain, orphans, write_pointer, read_pointer. A
mocked OBS: obs_sync.mock.
"""
from obs_sync.checkpoints import (
    Orphan, delete_checkpoint, fetch_checkpoint, list_markers, orphans, publish_checkpoint, retain,
)
from obs_sync.errors import (
    AccessDenied, AlreadyPublished, BucketNotFound, CredentialsMissing, IntegrityError, InvalidUrl, LeaseHeld,
    LeaseLost, LocalStorageError, ObjectChanged, ObjectNotFound, StoreError, StoreUnavailable, UnsafeKey,
)
from obs_sync.lease import Lease
from obs_sync.lease_owner import this_process
from obs_sync.local_store import LocalStore
from obs_sync.markers import Marker, MarkerFile
from obs_sync.opening import open_store
from obs_sync.pack_publishing import PackReport, pack, publish_pack
from obs_sync.pack_source import PackPlan, plan_pack
from obs_sync.pack_store import PackedStore
from obs_sync.pointers import read_pointer, write_pointer
from obs_sync.store import ObjectInfo, Store
from obs_sync.transfer import TransferReport, pull, pull_file, push
from obs_sync.urls import is_remote, parse_url, split_object_url

__all__ = [
    "AccessDenied", "AlreadyPublished", "BucketNotFound", "CredentialsMissing", "IntegrityError", "InvalidUrl", "Lease",
    "LeaseHeld", "LeaseLost", "LocalStorageError", "LocalStore", "Marker", "MarkerFile", "ObjectChanged", "ObjectInfo",
    "ObjectNotFound", "Orphan", "PackPlan", "PackReport", "PackedStore", "Store", "StoreError", "StoreUnavailable",
    "TransferReport", "UnsafeKey", "delete_checkpoint", "fetch_checkpoint", "is_remote", "list_markers", "open_store",
    "orphans", "pack", "parse_url", "plan_pack", "publish_checkpoint", "publish_pack", "pull", "pull_file", "push",
    "read_pointer", "retain", "split_object_url", "this_process", "write_pointer",
]
