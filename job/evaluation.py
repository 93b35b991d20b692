"""A trained network on the images of some domains, without writing to its run. It brings TensorFlow.

The data are fetched, indexed and split by the rules of the run, and their classes must be those of the network. Of a
domain that the network was not trained on, all images count; of a source domain, its validation images, as in the run.
"""
from __future__ import annotations

import dataclasses
import logging
from typing import Any, Dict, Iterable, List, Mapping, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from job.card_paths import ascend_settings, on_card, place_below
from job.config.loading import replace_settings
from job.config.settings import Config
from job.console import Console
from job.errors import ConfigError
from job.inputs.fetch import fetch_inputs
from job.inputs.fetch_trained import Network
from job.inputs.trained import OpenAt, Trained
from job.inputs.indexing import changes
from job.opened_run import Followed
from job.preparation import decode_images, device_of, evaluation_model, index_images
from job.ranks.group import ALONE
from job.reports.evaluated import VALIDATION, WHOLE, DomainResult, Evaluated
from job.reports.image_results import ImageResult
from job.start_times import StartTimes
from job.workspace import Workspace
from masf_core.data.index import DatasetIndex, DomainIndex
from masf_core.data.naming import canonical
from masf_core.data.offences import Offences
from masf_core.devices.device import Device
from masf_core.errors import DataError
from masf_core.evaluation import OnImages

log = logging.getLogger(__name__)

ALL = ("all",)


class Request(NamedTuple):
    """What to evaluate.

    values: of the network's variables, None where its classes are not known yet. domains: names, ``ALL``, or None for
    the target. with_images: the result of every image is wanted.
    """

    network: Network
    config: Config
    values: Optional[Dict[str, np.ndarray]]
    domains: Optional[Tuple[str, ...]]
    with_images: bool


def evaluate_network(request: Request, workspace: Workspace, console: Console, environ: Mapping[str, str],
                     open_at: OpenAt) -> Evaluated:
    """``evaluate_networks`` of one network; raises the same."""
    return evaluate_networks([request], workspace, console, environ, open_at)[0]


def evaluate_networks(requests: Iterable[Request], workspace: Workspace, console: Console, environ: Mapping[str, str],
                      open_at: OpenAt) -> List[Evaluated]:
    """Evaluate networks of one run, one after the other, on the same images.

    Args:
        requests: at least one. All have the settings, the domains and the source domains of the first. The next one is
            taken when the one before has been evaluated, so not all networks need be in memory at once. environ:
            environment variables. open_at: opens a store as a context manager.

    Raises:
        DataError: the data are unusable, or have other classes. WeightsError: a network does not fit.
        ConfigError: there is no such domain. StoreError: storage.
    """
    waiting = iter(requests)
    request: Optional[Request] = next(waiting)
    trained, config = request.network.trained, with_domains(request.config, request.domains)
    place = place_below(workspace.root, "evaluate", ALONE)
    # First: what is wrong with the device need not wait for the data.
    here = device_of(config, ascend_settings(config.ascend, place))
    inputs = fetch_inputs(config, workspace, console, environ, located=(None, None))
    run, pending = Followed(config, workspace, console, StartTimes()), Offences()
    index = index_images(run, inputs, pending, to_train=False)
    names = chosen(index, request.domains, config.data.target_domain)
    refuse_other_classes(trained, index)
    if request.values is None:  # a network that does not fit is told before images are decoded
        request = request._replace(values=request.network.values(config, len(index.classes)))
    # The fingerprint of a run that skips bad images is that of the images that can be decoded, in all its domains.
    every = config.data.bad_data == "skip"
    decoded, images = decode_images(run, index if every else only(index, names), pending)
    same = same_data(trained, decoded if every else index, open_at)
    parts = {name: VALIDATION if name in map(canonical, trained.sources()) else WHOLE for name in names}
    evaluated = []
    with on_card(here.name, place, environ):
        while request is not None:
            evaluated.append(_evaluate(request, config, here, decoded, images, parts, same, console))
            request = next(waiting, None)
    return evaluated


def _evaluate(request: Request, config: Config, here: Device, index: DatasetIndex, images: Mapping[str, np.ndarray],
              parts: Mapping[str, str], same: Optional[bool], console: Console) -> Evaluated:
    """Evaluate a network. parts: domain → the part of it that counts. same: see ``same_data``."""
    trained, classes = request.network.trained, index.classes
    results: List[DomainResult] = []
    of_images: List[ImageResult] = []
    with evaluation_model(config, here, len(classes), request.values) as model:
        for name, part in parts.items():
            domain = index.domain(name)
            found = model.evaluate(
                images[domain.name], domain.labels, domain.validation if part == VALIDATION else domain.whole,
                console.task("evaluate " + domain.name, "images", log_lines=False),
                collector(domain, classes, of_images) if request.with_images else None)
            recorded = recorded_result(trained, domain.name, part) if same else None
            results.append(DomainResult(domain.name, part, found.loss, found.accuracy, found.per_class().tolist(),
                                        found.confusion, recorded))
    return Evaluated(trained.file.told, request.network.source, request.network.sha256, trained.iteration,
                     here.describe(), classes, same, results, of_images)


def with_domains(config: Config, wanted: Optional[Sequence[str]]) -> Config:
    """``config`` whose setting ``domains``, if it names any, also names those that are to be evaluated."""
    used = config.data.domains
    if used is None or wanted in (None, ALL):
        return config
    return replace_settings(config, domains=used + tuple(name for name in wanted if name not in used))


def chosen(index: DatasetIndex, wanted: Optional[Sequence[str]], target: str) -> List[str]:
    """The names of the domains to evaluate, in the order in which they were given.

    Raises:
        ConfigError: the data have no such domain.
    """
    there = [domain.name for domain in index.domains]
    if wanted == ALL:
        return there
    names = [canonical(name) for name in (wanted or [target])]
    strange = [name for name in names if name not in there]
    if strange:
        given = "target_domain" if wanted is None else "--domains"
        raise ConfigError(f"{given}: {', '.join(strange)} is not among the domains found: {', '.join(there)}. Name "
                          "others with --domains, or other data with --data_url")
    return list(dict.fromkeys(names))


def only(index: DatasetIndex, names: Sequence[str]) -> DatasetIndex:
    """``index`` with these domains alone, so that no other is decoded."""
    return dataclasses.replace(index, domains=tuple(index.domain(name) for name in names))


def refuse_other_classes(trained: Trained, index: DatasetIndex) -> None:
    """Raise DataError where the classes of the data are not those of the network, in the classifier's order."""
    if trained.classes is None:
        log.warning("%s does not say the names of its classes. They are taken to be, in this order: %s",
                    trained.file.told, ", ".join(index.classes))
        return
    ours, theirs = [canonical(name) for name in trained.classes], list(index.classes)
    if ours == theirs:
        return
    told = [f"{what} {', '.join(names)}" for what, names in (
        ("the data lack", [name for name in ours if name not in theirs]),
        ("the network does not know", [name for name in theirs if name not in ours])) if names]
    raise DataError(
        f"the classes of the data are not those that the network was trained on: {'; '.join(told) or 'other order'}. "
        f"Expected {', '.join(ours)}; found {', '.join(theirs)} in {index.dataroot}. Rename the class folders, correct "
        "the lists, or give other data with --data_url")


def same_data(trained: Trained, index: DatasetIndex, open_at: OpenAt) -> Optional[bool]:
    """Whether the data are those that the run was trained on; None where that is not known. Warns if they are not."""
    before = trained.data.get("fingerprint")
    if before is None:
        return None
    if before == index.fingerprint:
        return True
    told = f"fingerprint {before[:12]} then, {index.fingerprint[:12]} now"
    if trained.file.run is not None and "images" in trained.data:
        with open_at(trained.file.run) as store:
            told = f"{changes(store, trained.data, index)} ({told})"
    log.warning("these are not the data that the network was trained with, so its numbers are not those of the run: %s",
                told)
    return False


def recorded_result(trained: Trained, domain: str, part: str) -> Optional[Tuple[float, float]]:
    """(accuracy, loss) of the run's own evaluation on the same images; None where there was none."""
    record: Mapping[str, Any] = trained.record or {}
    if part == WHOLE and record.get("target_domain") == domain:
        return record["target_accuracy"], record["target_loss"]
    if part == VALIDATION and domain in record.get("validation", {}):
        result = record["validation"][domain]
        return result["accuracy"], result["loss"]
    return None


def collector(domain: DomainIndex, classes: Sequence[str], into: List[ImageResult]) -> OnImages:
    """Adds the results of a domain's images to ``into``, in the order of its lists or folders."""
    def add(rows: np.ndarray, predictions: np.ndarray, logits: np.ndarray) -> None:
        scores = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
        for number, (row, predicted) in enumerate(zip(rows, predictions)):
            into.append(ImageResult(domain.paths[row], classes[domain.labels[row]], classes[predicted],
                                    float(scores[number, predicted] / scores[number].sum())))
    return add
