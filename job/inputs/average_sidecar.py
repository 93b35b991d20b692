"""The file beside an averaged network that says what it is: NAME.json of NAME.npz.

With it, `evaluate`, `predict` and `export` know the settings and the classes of the network.
"""
from __future__ import annotations

from typing import Any, Dict, Optional

from job.publication.run_record import CONFIG, DATA
from obs_sync import IntegrityError, Store
from obs_sync.json_document import (
    DocumentError, list_of, members, one_of, optional, parse_json, sha256, text, whole,
)
from obs_sync.store import read_at_most

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

    Raises:
        IntegrityError: it is damaged. StoreError: storage.
    """
    if not name.endswith(ENDING) or not store.exists(sidecar_of(name)):
        return None
    try:
        content = parse_json(read_at_most(store, sidecar_of(name), LARGEST), LARGEST)
        if not content:
            raise DocumentError("it is empty")
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            return None
        _SHAPE(content, "")
        return content
    except DocumentError as error:
        raise IntegrityError(f"this file is damaged, so nobody can tell the settings and the classes of the {name} "
                             f"beside it: {error}", store.locate(sidecar_of(name)),
                             "Average the checkpoints again, or delete this file and give the settings with flags"
                             ) from None


def sidecar_hint(folder: str, name: str) -> str:
    """The end of a sentence that says which file belongs beside the file ``name`` if `average` made that.

    Args:
        folder: URL or path, with a slash at its end.
    """
    if not name.endswith(ENDING):
        return ""
    return f"; if average made it, put its {sidecar_of(name)} beside it, in {folder}"
