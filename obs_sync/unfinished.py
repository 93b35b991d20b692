"""Uploads in parts that were begun and never ended: their parts are paid for and no listing of objects shows them."""
from __future__ import annotations

from typing import List, Optional

from obs_sync.store import Store, UnfinishedUpload


def abort_uploads(store: Store, older_than: float, prefix: str = "") -> List[UnfinishedUpload]:
    """Abort the uploads below `prefix` that nobody has sent a part of for `older_than` seconds; returns them.

    Their age is that by the storage's own clock. One whose start the storage does not tell is left alone: it may
    have begun just now.
    """
    uploads = store.unfinished_uploads(prefix)
    if not uploads:
        return []
    latest = store.server_time() - older_than
    aborted = []
    for upload in uploads:
        moment = last_sign(store, upload)
        if moment is not None and moment < latest:
            store.abort_upload(upload.key, upload.upload_id)
            aborted.append(upload)
    return aborted


def last_sign(store: Store, upload: UnfinishedUpload) -> Optional[float]:
    """When its newest part came, or it was begun: who goes on with an upload of long ago has not left it."""
    moments = (upload.initiated, store.newest_part(upload.key, upload.upload_id))
    return max((moment for moment in moments if moment is not None), default=None)
