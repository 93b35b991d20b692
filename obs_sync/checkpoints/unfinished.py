"""Uploads in parts that were begun and never ended: their parts are paid for and no listing of objects shows them."""
from __future__ import annotations

from typing import Optional

from obs_sync.store import Store, UnfinishedUpload


def last_sign(store: Store, upload: UnfinishedUpload) -> Optional[float]:
    """When its newest part came, or it was begun: who goes on with an upload of long ago has not left it."""
    moments = (upload.initiated, store.newest_part(upload.key, upload.upload_id))
    return max((moment for moment in moments if moment is not None), default=None)
