"""What ``weights_path`` may name: a file of weights, one of our checkpoints, or a run (its best)."""

from __future__ import annotations

import os
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Tuple

from job.errors import NoSuchWeights
from job.publication.retention import BEST
from job.publication.run_record import LARGEST
from job.publication.run_record import NAME as RUN_RECORD
from masf_core.errors import WeightsError
from masf_core.network.formats.tensorflow_checkpoint import SUFFIX as INDEX
from obs_sync import IntegrityError, InvalidUrl, Marker, Store, is_remote, list_markers, read_pointer, split_object_url
from obs_sync.json_document import DocumentError, list_of, members, read_json, text
from obs_sync.local.files import digest_of
from obs_sync.store import read_at_most

_CLASSES = members({"data": members({"classes": list_of(text())})})  # all that is read of a run.json here
NETWORK = "network.npz"  # the file of θ in a checkpoint
EXPECTED = ("Expected a weights file, the folder of a checkpoint (train_url/run_name/checkpoints/ckpt-…/), or that of "
            "a run (train_url/run_name/)")


class Found(NamedTuple):
    """A file of weights in a store.

    folder: URL or path of the store where it was found. key: its key there. told: what it is, for the log. sha256: as
    in its marker, None where there is no marker. run, checkpoint: the run's folder and the checkpoint's name, where a
    job of this project wrote the file. classes: the class names in its run.json, in the classifier's order.
    """

    folder: str
    key: str
    told: str
    sha256: Optional[str]
    run: Optional[str] = None
    checkpoint: Optional[str] = None
    classes: Optional[List[str]] = None


def object_of(url: str) -> Optional[Tuple[str, str]]:
    """(URL of its folder, name) of the object that a URL can name; None of a folder and of a whole bucket."""
    try:
        return split_object_url(url)
    except InvalidUrl:
        return None


def stored_file(store: Store, key: str) -> Optional[str]:
    """The key of the object ``key``, or of the index of the TensorFlow checkpoint with this name; None where there is
    neither."""
    return next((each for each in (key, key + INDEX) if store.exists(each)), None)


def local_file(path: str) -> Optional[str]:
    """The file at ``path``, or the index of the TensorFlow checkpoint with this name; None where there is neither."""
    return next((place for place in (path, path + INDEX) if os.path.isfile(place)), None)


def local_place(path: str) -> Optional[str]:
    """As ``local_file``, where a folder may be at ``path`` as well."""
    return path if os.path.exists(path) else local_file(path)


def find_weights(path: str, open_at: Callable[[str], Any]) -> Found:
    """Find out what is stored at a URL or in a local folder.

    Args:
        open_at: opens a store as a context manager.

    Raises:
        WeightsError: there are no weights, or the run has no checkpoint yet. StoreError: storage.
    """
    if is_remote(path) and not path.endswith("/"):
        folder, name = split_object_url(path)
        with open_at(folder) as store:
            key = stored_file(store, name)
        if key is not None:
            return Found(folder, key, path + key[len(name):], None,
                         *(origin_of(folder, open_at) if key == NETWORK else ()))
    folder = path.rstrip("/") + "/"
    with open_at(folder) as store:
        if store.exists(RUN_RECORD):
            name = read_pointer(store, BEST)
            if name is None:
                raise WeightsError(f"weights_path: the run {folder} has no best checkpoint yet; wait until it reaches "
                                   "the end of an interval, or name another run")
            key = f"checkpoints/{name}/{NETWORK}"
            return Found(folder, key, f"the best checkpoint {name} of the run {folder}", _sha256(store, name),
                         folder, name, _classes(store))
        if store.exists(NETWORK):
            marker = marker_beside(folder, open_at)
            return Found(folder, NETWORK, f"the checkpoint {folder}", marker and sha256_of_network(marker),
                         *origin_of(folder, open_at))
        raise NoSuchWeights(f"weights_path: there is no object {path.rstrip('/')}, and below {folder} neither "
                            f"{NETWORK} nor {RUN_RECORD}. {EXPECTED}")


def record_of(found: Found, local: str, flag: str = "--weights_path") -> Dict[str, Any]:
    """The entry of run.json about initial weights. `given_values` has refused URLs that hold a secret.

    Args:
        flag: that chooses a checkpoint, for messages.

    Raises:
        IntegrityError: the SHA-256 of the file ``local`` is not that in the checkpoint's marker, or in the sidecar of
            an average.
    """
    sha256 = digest_of(local, "sha256")
    if found.sha256 not in (None, sha256):
        if found.checkpoint is None:
            raise IntegrityError("its SHA-256 is not the one in the .json beside it", found.folder + found.key,
                                 "This average is damaged; make it again with `python -m job average`")
        raise IntegrityError("its SHA-256 is not the one in the checkpoint's marker", found.folder + found.key,
                             f"This checkpoint is damaged; name another one with {flag}")
    return {"source": found.folder + found.key, "run": found.run, "checkpoint": found.checkpoint, "sha256": sha256,
            "classes": found.classes}


def _sha256(store: Any, name: str) -> Optional[str]:
    """The SHA-256 of the network in the marker of the checkpoint ``name``.

    Raises:
        WeightsError: there is no such marker, so the checkpoint is not complete.
    """
    for marker in list_markers(store):
        if marker.name == name:
            return sha256_of_network(marker)
    raise WeightsError(f"weights_path: {store.locate('checkpoints/best.json')} names {name} as the best checkpoint, "
                       "which has no marker, so it is not complete; name another checkpoint")


def marker_beside(folder: str, open_at: Callable[[str], Any]) -> Optional[Marker]:
    """The marker beside the folder of a checkpoint; None where the folder alone was copied."""
    parent, name = _parent(folder)
    if not name:
        return None
    with open_at(parent) as store:
        for marker in list_markers(store, prefix="") if store.exists(name + ".json") else ():
            if marker.name == name:
                return marker
    return None


def sha256_of_network(marker: Marker) -> Optional[str]:
    """The SHA-256 of the network of a checkpoint."""
    return next((file.sha256 for file in marker.files if file.name == NETWORK), None)


def find_file(path: str, open_at: Callable[[str], Any]) -> Found:
    """``Found`` for a local file, which may be the network of a checkpoint in its run's folder."""
    folder, name = os.path.split(os.path.abspath(path))
    folder += "/"
    return Found(folder, name, path, None, *(origin_of(folder, open_at) if name == NETWORK else ()))


def origin_of(folder: str, open_at: Callable[[str], Any]) -> Tuple[Optional[str], str, Optional[List[str]]]:
    """(run, checkpoint, classes) of a checkpoint's folder: run and classes only where its run.json is above."""
    parent, name = _parent(folder)
    above, checkpoints = _parent(parent)
    if checkpoints == "checkpoints" and name:
        with open_at(above) as store:
            if store.exists(RUN_RECORD):
                return above, name, _classes(store)
    return None, name, None


def _classes(store: Any) -> Optional[List[str]]:
    """The class names in a run's run.json; None where it has none, for example because another version wrote it."""
    try:
        return read_json(read_at_most(store, RUN_RECORD, LARGEST), _CLASSES, LARGEST)["data"]["classes"]
    except DocumentError:
        return None


def _parent(folder: str) -> Tuple[str, str]:
    head, _, name = folder.rstrip("/").rpartition("/")
    return (head + "/", name) if head and not head.endswith(":/") else (folder, "")
