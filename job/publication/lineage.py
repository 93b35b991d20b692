"""The published checkpoints of one lineage of a run, as their markers tell of them."""
from __future__ import annotations

from typing import Callable, List, NamedTuple, Optional, Tuple

from obs_sync import Marker, Store, list_markers
from obs_sync.json_document import DocumentError, members, text, truth, whole

MOST_ITERATIONS = 10 ** 12
METADATA = members({"lineage": text(), "iteration": whole(0, MOST_ITERATIONS)}, may={"best": truth(), "kept": truth()})
"""What the metadata of a marker of this job hold."""


class Published(NamedTuple):
    """The checkpoints of a lineage."""

    usable: List[Marker]                 # by iteration, the newest last
    damaged: List[Tuple[Marker, str]]    # markers whose metadata cannot be used, and why


def fault_of(marker: Marker) -> Optional[str]:
    """Why the metadata of a marker cannot be used; None where they can."""
    try:
        METADATA(marker.metadata, "metadata")
    except DocumentError as error:
        return str(error)
    return None


def published_checkpoints(store: Store, lineage: str,
                          on_corrupt: Optional[Callable[[str, str], None]] = None) -> Published:
    """The checkpoints of ``lineage`` in ``store``; others are not ours.

    Args:
        on_corrupt: is called with (key, reason) of a marker that cannot be read; by default, a warning says it.

    Raises:
        StoreError: the store cannot be read.
    """
    usable, damaged = [], []
    for marker in list_markers(store, on_corrupt=on_corrupt):
        if marker.metadata.get("lineage") != lineage:
            continue
        fault = fault_of(marker)
        if fault is None:
            usable.append(marker)
        else:
            damaged.append((marker, fault))
    usable.sort(key=lambda marker: (marker.metadata["iteration"], marker.created, marker.name))
    return Published(usable, damaged)
