"""Uploads in parts that were begun and never ended: their parts are paid for and no listing of objects shows them."""
from __future__ import annotations

from typing import List

from obs_sync.store import Store, UnfinishedUpload


def abort_uploads(store: Store, older_than: float, prefix: str = "") -> List[UnfinishedUpload]:
    """Abort the uploads below `prefix` that were begun more than `older_than` seconds ago; returns them.

    Their age is that by the storage's own clock. One whose start the storage does not tell is left alone: it may
    have begun just now.
    """
    uploads = store.unfinished_uploads(prefix)
    if not uploads:
        return []
    latest = store.server_time() - older_than
    aborted = [upload for upload in uploads if upload.initiated is not None and upload.initiated < latest]
    for upload in aborted:
        store.abort_upload(upload.key, upload.upload_id)
    return aborted
