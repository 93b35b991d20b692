"""The mean of a run's checkpoints as a network of its own: average, evaluate, deliver. It brings TensorFlow.

One checkpoint at a time is fetched, added and dropped. The mean is written to a temporary file, evaluated beside the
best and the last checkpoint of the run on the same images, and only then delivered. Nothing is written to the run.
"""
from __future__ import annotations

import contextlib
import logging
import os
from typing import Any, Dict, Iterator, List, Mapping, NamedTuple, Sequence, Tuple

import numpy as np

from job.config.loading import differences, to_dict
from job.config.settings import Config
from job.console import Console
from job.evaluation import ALL, Request, evaluate_networks
from job.inputs.average_sidecar import FORMAT, sidecar_of
from job.inputs.fetch_trained import Network, fetch_network, read_network
from job.inputs.trained import LAST, OpenAt, Trained, find_trained
from job.inputs.weights import Found
from job.publication.retention import BEST
from job.reports.averaged import AVERAGE, Averaged, Row, document
from job.reports.image_results import joined
from job.workspace import OTHER_WORK_DIR, Workspace, writing
from masf_core.data.naming import canonical
from masf_core.errors import WeightsError
from masf_core.memory import keep_freed_memory
from masf_core.network.architecture import STATISTICS
from masf_core.network.averaging import WeightMean
from masf_core.records.files import replace_bytes, sync
from masf_core.records.npz import Hashing, write_npz
from masf_core.words import typed
from obs_sync import IntegrityError, ObjectNotFound, StoreError, is_remote
from obs_sync.local.files import make_directory

log = logging.getLogger(__name__)

OTHER_OUT = "Choose another file with --out"


class Averaging(NamedTuple):
    """What to average.

    run: URL or path of the run. newest: its newest checkpoint that is not damaged. chosen: those to average, the
    oldest first. config: the settings that count. classes: names in the classifier's order. out: (folder, name) of the
    file to make.
    """

    run: str
    newest: Trained
    chosen: Sequence[Trained]
    config: Config
    classes: Tuple[str, ...]
    out: Tuple[str, str]

    @property
    def place(self) -> str:
        """URL or path of the file to make."""
        return joined(*self.out)


def average_run(request: Averaging, workspace: Workspace, console: Console, environ: Mapping[str, str],
                open_at: OpenAt) -> Averaged:
    """Average and evaluate. The file of the mean is then at ``temporary_path``.

    Args:
        environ: environment variables. open_at: opens a store as a context manager.

    Raises:
        IntegrityError: a checkpoint is damaged. WeightsError: it is of another network. LocalStorageError: the file
        cannot be written. Otherwise as ``evaluate_networks``.
    """
    keep_freed_memory()
    path = temporary_path(request, workspace)
    make_directory(os.path.dirname(path))
    write_network(request, workspace, {})  # a place where nothing can be written is told before the work
    mean = mean_of(request, workspace, console, open_at)
    sha256, has_statistics = write_network(request, workspace, mean), any(name.endswith(STATISTICS) for name in mean)
    rows: List[Tuple[str, Trained, int]] = []
    found = evaluate_networks(_requests(request, mean, sha256, rows, workspace, console, open_at), workspace, console,
                              environ, open_at)
    return Averaged(request.place, os.path.getsize(path), sha256, request.run,
                    [(each.file.checkpoint, each.iteration, each.file.sha256) for each in request.chosen],
                    canonical(request.config.data.target_domain), has_statistics,
                    [Row(which, trained.file.checkpoint, trained.iteration, found[number])
                     for which, trained, number in rows])


def mean_of(request: Averaging, workspace: Workspace, console: Console, open_at: OpenAt) -> Dict[str, np.ndarray]:
    """Variable name → float32 array of the mean of the chosen checkpoints.

    Raises:
        IntegrityError: a checkpoint is damaged, or has been deleted. WeightsError: it is of another network.
    """
    mean = WeightMean()
    for each in request.chosen:
        console.check_stop()
        mean.add(_values_of(each, request, workspace, console, open_at))
    return mean.take()


def _values_of(each: Trained, request: Averaging, workspace: Workspace, console: Console,
               open_at: OpenAt) -> Mapping[str, np.ndarray]:
    told = f"checkpoint {each.file.checkpoint} of iteration {each.iteration}"
    try:
        network = read_network(each, workspace, console, open_at)
        values = network.values(request.config, len(request.classes))
    except (IntegrityError, ObjectNotFound) as error:
        again = ("If the run is still training, give the command again, because a running job deletes checkpoints. "
                 "Otherwise leave") if isinstance(error, ObjectNotFound) else "Leave"
        raise IntegrityError(f"{told} cannot be averaged: {error.what}", error.where,
                             f"{again} it out with --from, --to or --last, or delete its marker "
                             f"checkpoints/{each.file.checkpoint}.json") from error
    except WeightsError as error:
        network = _other_network(request)
        if network:
            raise WeightsError(f"{told} is not of the network that is set: {network}. Leave these settings out; those "
                               "of the run count then") from error
        raise WeightsError(f"{told} cannot be averaged with the others: {error}") from error
    if is_remote(each.file.folder):  # not all of them on the disk at once
        with contextlib.suppress(OSError):
            os.remove(network.path)
    return values


def _other_network(request: Averaging) -> str:
    """The settings of the network that are not those of the run, in words."""
    if request.newest.config is None:
        return ""
    return ", ".join(f"{name}={typed(now)} (of the run: {typed(was)})" for name, was, now in differences(
        request.newest.config, request.config) if name in ("backbone", "width"))


def _requests(request: Averaging, mean: Dict[str, np.ndarray], sha256: str, rows: List[Tuple[str, Trained, int]],
              workspace: Workspace, console: Console, open_at: OpenAt) -> Iterator[Request]:
    """The mean, the best checkpoint and the last one, each when it is asked for.

    Adds to ``rows`` what they are, each with the number of its request: best and last may be the same checkpoint.
    """
    name, count = request.out[1], len(request.chosen)
    told, newest = f"the average of {count} checkpoints of the run {request.run}", request.newest
    trained = Trained(Found(request.place[:-len(name)], name, told, sha256), None, newest.config,
                      dict({"images": dict.fromkeys(newest.sources())}, **newest.data))
    rows.append((AVERAGE, trained, 0))
    yield Request(Network(trained, request.place, sha256, "", {}), request.config, mean, ALL, False)
    number = 0
    for which in (BEST, LAST):
        try:
            if number and find_trained(request.run, which, open_at).file.checkpoint == rows[-1][1].file.checkpoint:
                rows.append((which, rows[-1][1], number))
                return
            network = fetch_network(request.run, which, workspace, console, open_at)
            values = network.values(request.config, len(request.classes))
        except (IntegrityError, ObjectNotFound) as error:
            log.warning("the %s checkpoint is not evaluated: %s: %s", which, error.where, error.what)
            continue
        except WeightsError as error:
            log.warning("the %s checkpoint is not evaluated: %s", which, error)
            continue
        number += 1
        rows.append((which, network.trained, number))
        yield Request(network, request.config, values, ALL, False)


def temporary_path(request: Averaging, workspace: Workspace) -> str:
    """Where the file is until it is delivered: beside its place, or in ``workspace`` if that is in a bucket.

    A later command for the same place overwrites what a killed one has left there.
    """
    place = workspace.weights(request.place) if is_remote(request.place) else request.place
    return place + ".partial"


def write_network(request: Averaging, workspace: Workspace, values: Mapping[str, np.ndarray]) -> str:
    """Write ``values`` to ``temporary_path`` as the network.npz of a checkpoint has them. Returns the file's SHA-256.

    Raises:
        LocalStorageError: it cannot be written.
    """
    path = temporary_path(request, workspace)
    with writing(path, OTHER_WORK_DIR if is_remote(request.place) else OTHER_OUT), open(path, "wb") as stream:
        hashing = Hashing(stream)
        write_npz(hashing, values)
        sync(stream)
    return hashing.sha256()


def deliver(request: Averaging, workspace: Workspace, sidecar: str, open_at: OpenAt) -> None:
    """Make the file and its sidecar appear, the sidecar last.

    Args:
        sidecar: its content.

    Raises:
        StoreError: storage. Then neither of them is left, as far as it can still be deleted.
    """
    folder, name = request.out
    temporary = temporary_path(request, workspace)
    if is_remote(folder):
        with open_at(folder) as store:
            try:
                store.upload(temporary, name)
                store.write(sidecar_of(name), sidecar.encode("utf-8"))
            except BaseException:
                with contextlib.suppress(StoreError):
                    store.delete([name, sidecar_of(name)])
                raise
        return
    with writing(request.place, OTHER_OUT):
        os.replace(temporary, request.place)
        try:
            replace_bytes(joined(folder, sidecar_of(name)), sidecar.encode("utf-8"))
        except BaseException:
            os.remove(request.place)
            raise


def discard(request: Averaging, workspace: Workspace) -> None:
    """Delete the temporary file, if it is there."""
    with contextlib.suppress(OSError):
        os.remove(temporary_path(request, workspace))


def sidecar_content(request: Averaging, found: Averaged) -> Dict[str, Any]:
    """The JSON document of the sidecar: what was found, the settings of the run, and what its data were."""
    data = {name: request.newest.data[name] for name in ("fingerprint", "images") if name in request.newest.data}
    config = request.newest.config or request.config
    return dict(document(found), format=FORMAT, config=to_dict(config), data=dict(data, classes=list(request.classes)))
