"""The report at the end of a run, with what needs its images and its best network: mistakes and features.

None of it is a reason for a run to fail, and a request to stop ends it.
"""
from __future__ import annotations

import logging
import math
from typing import Any, Callable, Dict, List, Mapping, Optional, Tuple

import numpy as np

from job.best_interval import BestInterval
from job.opened_run import Run
from job.printable import printable
from job.publication.run_record import now
from job.reports.image_part import NAME as IMAGE_PART
from job.reports.image_part import NO_IMAGES, WHAT, ImagePart, stored_part, to_text
from job.reports.page.embeddings import Places, Sample, places_of
from job.reports.page.mistakes import Shot, thumbnail
from job.reports.report import NAME, Report, as_finished, make_report
from masf_core.data.index import DatasetIndex
from masf_core.devices.device import Device
from masf_core.model import Model
from masf_core.records import selection
from masf_core.records.checkpoints import Progress
from obs_sync import Store, StoreError

log = logging.getLogger(__name__)

MOST_IMAGES = 500  # whose features are shown
ELSEWHERE = f"{WHAT}: an earlier attempt trained the best checkpoint."
COMPILES = "The features of the network are not shown: this device would have to compile another graph for them."
SEVERAL = "The features of the network are not shown: several ranks trained it."


def final_report(run: Run, model: Model, here: Device, index: DatasetIndex, images: Mapping[str, np.ndarray],
                 progress: Progress, best: BestInterval) -> Report:
    """The report of a run whose training is done. The network may have other values afterwards.

    Args:
        images: domain → uint8 [n, S, S, 3] BGR. best: what is known of the best interval.
    """
    def wanted() -> bool:
        return not run.console.stop.requested

    content = run.record.content
    chosen = selection.best(run.config.interval.selection, progress.history)
    part = NO_IMAGES
    if chosen is not None and best.iteration == chosen["iteration"]:
        part = image_part(model, here, index, images, run.config.data.target_domain, best, wanted)
    elif chosen is not None:
        stored = _attempted("mistakes and features that an earlier attempt stored",
                            lambda: stored_part(run.store, content, chosen["iteration"]), NO_IMAGES)
        part = stored if stored.iteration else ImagePart(notes=[ELSEWHERE])
    report = make_report(as_finished(content, now(), progress.iteration), progress.history, index.classes, part, wanted)
    if part.iteration:
        report.files[IMAGE_PART] = to_text(part, content["lineage"])
    return report


def has_report(store: Store) -> bool:
    """Whether the run has a report; False where its store does not answer.

    An attempt that trains nothing keeps this report, because the earlier attempt could show more in it.
    """
    try:
        return store.exists(NAME)
    except StoreError:
        return False


def image_part(model: Model, here: Device, index: DatasetIndex, images: Mapping[str, np.ndarray], target: str,
               best: BestInterval, wanted: Callable[[], bool]) -> ImagePart:
    """Mistakes and features of the best network, as far as they can be had."""
    shots = _attempted("the worst mistakes", lambda: shots_of(index, images, target, best), [])
    places, notes = _attempted("the features", lambda: features_of(
        model, here, index, images, target, best, wanted), (None, []))
    return ImagePart(best.iteration or 0, best.images, shots, places, notes)


def shots_of(index: DatasetIndex, images: Mapping[str, np.ndarray], target: str, best: BestInterval) -> List[Shot]:
    """The worst mistakes."""
    domain = index.domain(target)
    names = [printable(name) for name in index.classes]
    return [Shot(thumbnail(images[domain.name][each.row][..., ::-1]), names[each.true], names[each.predicted],
                 math.exp(-each.loss) if math.isfinite(each.loss) else 0.0, printable(domain.paths[each.row]))
            for each in best.mistakes]


def features_of(model: Model, here: Device, index: DatasetIndex, images: Mapping[str, np.ndarray], target: str,
                best: BestInterval, wanted: Callable[[], bool]) -> Tuple[Optional[Places], List[str]]:
    """(places, sentences) of the features of the best network on a sample of the target and of validation images."""
    if here.compiles:
        return None, [COMPILES]
    if model.ranks.size > 1:  # the others have left, and the session belongs to all of them
        return None, [SEVERAL]
    if not best.arrays:
        return None, []
    model.load(best.arrays)
    features, names, labels = [], [], []  # type: List[Any], List[str], List[Any]
    for name, rows in sample_rows(index, target, MOST_IMAGES).items():
        found = model.features(images[name], rows, wanted)
        if found is None:
            return None, []
        features.append(found)
        names += [name] * len(rows)
        labels.append(index.domain(name).labels[rows])
    return places_of(Sample(np.concatenate(features), names, np.concatenate(labels))), []


def sample_rows(index: DatasetIndex, target: str, most: int) -> Dict[str, np.ndarray]:
    """Domain → int64 rows, evenly spaced: of the whole target, and of the validation images of each source."""
    share = most // len(index.domains)
    found = {}
    for domain in index.domains:
        rows = domain.whole if domain is index.domain(target) else domain.validation
        places = np.linspace(0, len(rows) - 1, min(share, len(rows)))
        found[domain.name] = rows[np.unique(places.astype(np.int64))]
    return {name: rows for name, rows in found.items() if len(rows)}


def _attempted(what: str, make: Callable[[], Any], otherwise: Any) -> Any:
    try:
        return make()
    except Exception as error:  # the results of hours must not depend on a picture
        log.warning("%s are not in the report (%s)", what, error)
        log.debug("where it was raised:", exc_info=error)
        return otherwise
