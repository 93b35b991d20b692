"""Uploads in parts that were never completed. Their parts cost money, and no listing of objects shows them."""
from __future__ import annotations

from typing import Optional

from obs_sync.store import Store, UnfinishedUpload


def last_sign(store: Store, upload: UnfinishedUpload) -> Optional[float]:
    """When an upload last made progress: when its newest part was stored, or else when it was begun.

    An old upload whose parts are new is still under way.
    """
    moments = (upload.initiated, store.newest_part(upload.key, upload.upload_id))
    return max((moment for moment in moments if moment is not None), default=None)
