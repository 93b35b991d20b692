"""The trained network that `evaluate` is to evaluate: of a run, in a checkpoint's folder, or a file of weights.

It is only looked for here, and nothing is written where it is. What a checkpoint says of itself counts: its iteration,
its record, and, where the run was started afresh since, its configuration.
"""
from __future__ import annotations

import logging
from typing import Any, Callable, Dict, List, Mapping, NamedTuple, Optional, Sequence

from job.config.loading import from_dict
from job.config.settings import Config
from job.errors import ConfigError, NoSuchWeights
from job.inputs.average_sidecar import read_sidecar
from job.inputs.weights import (
    NETWORK, Found, find_file, local_file, marker_beside, object_of, origin_of, sha256_of_network, stored_file,
)
from job.publication.late_writes import corrected, newest_checkpoint, read_progress
from job.publication.lineage import published_checkpoints
from job.publication.retention import BEST
from job.publication.run_record import CONFIG, read_run
from job.publication.run_record import NAME as RUN_RECORD
from masf_core.errors import WeightsError
from masf_core.records.checkpoints import PROGRESS_FILE
from masf_core.records.progress import LARGEST, Progress, parse_progress
from masf_core.words import some
from obs_sync import IntegrityError, Marker, Store, is_remote, list_markers, read_pointer
from obs_sync.json_document import DocumentError
from obs_sync.store import read_at_most

log = logging.getLogger(__name__)

LAST = "last"
EXPECTED = ("Expected the folder of a run (train_url/run_name/), of a checkpoint "
            "(train_url/run_name/checkpoints/ckpt-…/), a network.npz, or another file of weights")

OpenAt = Callable[[str], Any]  # opens the store at a URL or path as a context manager


class Trained(NamedTuple):
    """A trained network, and what is known of it.

    file: where its values are. iteration: at which it was saved, None where nobody tells. config: of the run, None
    likewise. data: as in run.json, as far as it is known: fingerprint, classes, images. record: of the run's own
    evaluation at this iteration, as in metrics.jsonl; None where there was none.
    """

    file: Found
    iteration: Optional[int] = None
    config: Optional[Config] = None
    data: Mapping[str, Any] = {}
    record: Optional[Mapping[str, Any]] = None

    @property
    def classes(self) -> Optional[List[str]]:
        """The names of the classes in the classifier's order; None where they are not known."""
        return self.data.get("classes")

    def sources(self) -> Sequence[str]:
        """The domains that it was trained on, as far as is known."""
        if self.record is not None:
            return list(self.record["validation"])
        target = self.config.data.target_domain if self.config is not None else None
        return [name for name in self.data.get("images", {}) if name != target]


def find_trained(place: str, checkpoint: Optional[str], open_at: OpenAt) -> Trained:
    """Find the network at a URL or local path.

    Args:
        checkpoint: of a run, ``best``, ``last`` or a name; None is ``best``.

    Raises:
        ConfigError: ``checkpoint`` is given and the place is no run. WeightsError: there is no such network.
        IntegrityError: what tells of it is damaged. StoreError: storage.
    """
    file = _file_at(place, open_at)
    folder = place.rstrip("/") + "/" if file is None else file.folder
    if file is None or file.key == NETWORK:
        with open_at(folder) as store:
            if file is None and store.exists(RUN_RECORD):
                return _of_run(folder, store, checkpoint or BEST)
            holds_checkpoint = store.exists(NETWORK) and store.exists(PROGRESS_FILE)
        if holds_checkpoint:
            _refuse_choice(checkpoint, place)
            run, name, _ = origin_of(folder, open_at)
            if run is None:
                return _alone(folder, open_at)
            with open_at(run) as store:
                return _of_run(run, store, name)
    if file is None:
        raise NoSuchWeights(f"there is no trained network at {place}: no {RUN_RECORD}, and no {NETWORK} with a "
                            f"{PROGRESS_FILE}. {EXPECTED}")
    _refuse_choice(checkpoint, place)
    return _averaged(file, open_at) or Trained(file)


def _file_at(place: str, open_at: OpenAt) -> Optional[Found]:
    """The file or object at ``place``, or the index of the TensorFlow checkpoint with this name; None otherwise."""
    if not is_remote(place):
        path = local_file(place)
        return None if path is None else find_file(path, open_at)
    named = object_of(place)
    if named is None:
        return None
    folder, name = named
    with open_at(folder) as store:
        key = stored_file(store, name)
    return None if key is None else Found(folder, key, place, None)


def _refuse_choice(checkpoint: Optional[str], place: str) -> None:
    if checkpoint is not None:
        raise ConfigError(f"--checkpoint={checkpoint} chooses a checkpoint of a run, but {place} is not the folder of "
                          "a run. Leave --checkpoint out, or give the folder of the run")


def _of_run(folder: str, store: Store, which: str) -> Trained:
    """The checkpoint ``which`` of the run in ``store``."""
    run = run_of_now(store, read_run(store))
    marker = _chosen(store, run["lineage"], which)
    progress = _progress_of(store, marker)
    file = checkpoint_of(folder, marker, "" if which == marker.name else f"{which} ").file
    trained = _described(file, progress)
    if progress.details.get("lineage") != run["lineage"]:
        log.warning("checkpoint %s is older than the last fresh start of the run: the settings that it was made with "
                    "count, not those in %s", marker.name, RUN_RECORD)
        return trained
    return trained._replace(config=_config_of(run["config"], file), data=run.get("data") or trained.data)


def checkpoint_of(folder: str, marker: Marker, which: str = "") -> Trained:
    """The checkpoint with this marker of the run in ``folder``, of which nothing else has been read.

    Args:
        which: a word before "checkpoint", for the log.
    """
    return Trained(Found(folder, f"checkpoints/{marker.name}/{NETWORK}",
                         f"the {which}checkpoint {marker.name} of the run {folder}", sha256_of_network(marker), folder,
                         marker.name), marker.metadata.get("iteration"))


def run_of_now(store: Store, run: Dict[str, Any]) -> Dict[str, Any]:
    """run.json, or what the newest checkpoint says instead if the run was started afresh after run.json was written."""
    newest = newest_checkpoint(store, run)
    if newest is None or newest.marker.metadata["lineage"] == run["lineage"]:
        return run
    log.warning("%s is older than checkpoint %s, which another start of the run has published; the checkpoint counts. "
                "The command that trained the run writes the file again", RUN_RECORD, newest.marker.name)
    return corrected(run, newest)


def _chosen(store: Store, lineage: str, which: str) -> Marker:
    """The marker of the checkpoint ``which``: best, last or a name.

    Raises:
        WeightsError: there is none, or it is not complete.
    """
    if which == LAST:
        usable = published_checkpoints(store, lineage).usable
        if not usable:
            raise WeightsError(f"the run {store.url} has no checkpoint yet; wait until it reaches the end of an "
                               "interval")
        return usable[-1]
    name: Optional[str] = which
    if which == BEST:
        name = read_pointer(store, BEST)
        if name is None:
            raise WeightsError(f"the run {store.url} has no best checkpoint yet; wait until it reaches the end of an "
                               "interval, or give --checkpoint=last")
    markers = {marker.name: marker for marker in list_markers(store)}
    if name in markers:
        return markers[name]
    there = f"It has {some(sorted(markers), 5)}" if markers else "It has none"
    raise NoSuchWeights(f"the run {store.url} has no whole checkpoint {name}: there is no marker of that name. {there}")


def _progress_of(store: Store, marker: Marker) -> Progress:
    try:
        return read_progress(store, marker)
    except (LookupError, ValueError) as error:
        raise IntegrityError(f"this checkpoint is damaged: {error}", store.locate(f"checkpoints/{marker.name}/"),
                             "Name another checkpoint with --checkpoint") from None


def _alone(folder: str, open_at: OpenAt) -> Trained:
    """A checkpoint whose folder was copied out of its run."""
    name = folder.rstrip("/").rpartition("/")[2]
    marker = marker_beside(folder, open_at)
    with open_at(folder) as store:
        try:
            progress = parse_progress(read_at_most(store, PROGRESS_FILE, LARGEST))
        except (DocumentError, ValueError) as error:
            raise IntegrityError(f"this checkpoint is damaged: {error}", store.locate(PROGRESS_FILE),
                                 "Take another checkpoint") from None
    return _described(Found(folder, NETWORK, f"the checkpoint {folder}", marker and sha256_of_network(marker), None,
                            name), progress)


def _averaged(file: Found, open_at: OpenAt) -> Optional[Trained]:
    """An average of checkpoints with its sidecar; None where the file has none."""
    with open_at(file.folder) as store:
        said = read_sidecar(store, file.key)
    if said is None:
        return None
    file = file._replace(told=f"the average of {len(said['checkpoints'])} checkpoints of the run {said['run']}",
                         sha256=said["sha256"])
    return Trained(file, None, _config_of(said.get("config"), file), said.get("data") or {})


def _described(file: Found, progress: Progress) -> Trained:
    """What a checkpoint says of itself."""
    record = progress.history[-1] if progress.evaluated() else None
    data: Dict[str, Any] = {}
    if isinstance(progress.details.get("data_fingerprint"), str):
        data["fingerprint"] = progress.details["data_fingerprint"]
    if progress.history:
        data["classes"] = list(progress.history[-1]["target_per_class"])
    return Trained(file, progress.iteration, _config_of(progress.details.get("config"), file), data, record)


def _config_of(groups: Any, file: Found) -> Optional[Config]:
    try:
        CONFIG(groups, "config")
    except DocumentError:
        log.warning("%s does not say which settings it was made with; those on the command line count", file.told)
        return None
    return from_dict(groups)
