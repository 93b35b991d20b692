"""A named pointer to a checkpoint, such as `checkpoints/best.json`.

Unlike a marker, a pointer is overwritten. It is one small object, so a reader sees the old pointer or the new one. It
may point to a checkpoint that has been deleted: code that follows a pointer checks that the marker exists.
"""
from __future__ import annotations

import json
from typing import Any, Mapping, Optional

from obs_sync.checkpoints.publish import checkpoint_name
from obs_sync.errors import IntegrityError, ObjectNotFound, UnsafeKey
from obs_sync.json_document import DocumentError, members, one_of, read_json, text
from obs_sync.store import Store, read_at_most

FORMAT = "masf-pointer/1"
LARGEST = 1 << 20  # bytes of a pointer that is read

_SHAPE = members({"format": one_of(FORMAT), "name": text()})


def write_pointer(store: Store, pointer: str, name: str, prefix: str = "checkpoints/",
                  metadata: Optional[Mapping[str, Any]] = None) -> None:
    """Let `pointer` ("best") point to the checkpoint `name`. `metadata`: any JSON, 16 levels deep."""
    content = {"format": FORMAT, "name": checkpoint_name(name, store, prefix), "metadata": dict(metadata or {})}
    data = json.dumps(content, indent=1, sort_keys=True, allow_nan=False).encode("ascii")
    store.write(f"{prefix}{checkpoint_name(pointer, store, prefix)}.json", data)


def read_pointer(store: Store, pointer: str, prefix: str = "checkpoints/") -> Optional[str]:
    """The name of the checkpoint that `pointer` points to; None if there is no such pointer.

    Raises IntegrityError if the object is not a pointer.
    """
    key = f"{prefix}{checkpoint_name(pointer, store, prefix)}.json"
    try:
        content = read_json(read_at_most(store, key, LARGEST), _SHAPE, LARGEST)
        return checkpoint_name(content["name"], store, prefix)
    except ObjectNotFound:
        return None
    except (DocumentError, UnsafeKey) as error:
        raise IntegrityError(f"this is not a pointer to a checkpoint ({error})", store.locate(key),
                             "Write it again, or delete it") from None
