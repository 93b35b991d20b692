"""The file beside an averaged network that says what it is: NAME.json of NAME.npz.

With it, `evaluate`, `predict` and `export` know the settings and the classes of the network.
"""
from __future__ import annotations

import logging
from typing import Any, Dict, Optional

from job.publication.run_record import CONFIG, DATA
from obs_sync import Store
from obs_sync.json_document import (
    DocumentError, list_of, members, one_of, optional, parse_json, sha256, text, whole,
)
from obs_sync.store import read_at_most

log = logging.getLogger(__name__)

FORMAT = "masf-average/1"
ENDING = ".npz"
LARGEST = 8 << 20  # bytes

_SHAPE = members(
    {"format": one_of(FORMAT), "sha256": sha256(), "run": text(),
     "checkpoints": list_of(members({"name": text(), "iteration": whole(), "sha256": optional(sha256())}), least=2)},
    may={"config": optional(CONFIG), "data": DATA})


def sidecar_of(name: str) -> str:
    """The name of the sidecar of a file."""
    return name[:-len(ENDING)] + ".json"


def read_sidecar(store: Store, name: str) -> Optional[Dict[str, Any]]:
    """What the sidecar of the file ``name`` says; None where there is none, or where it is another program's.

    A sidecar that is damaged is not used, and a warning says so.

    Raises:
        StoreError: storage.
    """
    if not name.endswith(ENDING) or not store.exists(sidecar_of(name)):
        return None
    try:
        content = parse_json(read_at_most(store, sidecar_of(name), LARGEST), LARGEST)
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            return None
        _SHAPE(content, "")
        return content
    except DocumentError as error:
        log.warning("%s is not used: it is damaged (%s)", store.locate(sidecar_of(name)), error)
        return None
