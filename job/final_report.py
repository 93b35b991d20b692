"""The report at the end of a run, with what needs its images and its best network: mistakes and features.

None of it is a reason for a run to fail, and a request to stop ends it.
"""
from __future__ import annotations

import logging
from typing import Any, Callable, Dict, List, Mapping, Tuple

import numpy as np

from job.best_interval import BestInterval
from job.opened_run import Run
from job.publication.run_record import now
from job.reports.page.embeddings import Sample
from job.reports.page.embeddings import plans as embedding_plans
from job.reports.page.mistakes import Shot, mistakes_html
from job.reports.page.plotting import Plan, can_draw
from job.reports.report import NAME, Extra, Report, as_finished, make_report
from masf_core.data.index import DatasetIndex
from masf_core.devices.device import Device
from masf_core.model import Model
from masf_core.records import selection
from masf_core.records.checkpoints import Progress
from obs_sync import Store, StoreError

log = logging.getLogger(__name__)

MOST_IMAGES = 500  # whose features are shown
ELSEWHERE = ("The worst mistakes and the features of the best network are not shown: an earlier attempt trained the "
             "best checkpoint.")
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

    chosen = selection.best(run.config.interval.selection, progress.history)
    extra = Extra()
    if chosen is not None and best.iteration != chosen["iteration"]:
        extra = Extra(notes=[ELSEWHERE])
    elif chosen is not None:
        target = run.config.data.target_domain
        mistakes = _attempted("the worst mistakes", lambda: shots_of(index, images, target, best), "")
        plans, notes = _attempted("the features", lambda: features_of(
            model, here, index, images, target, best, wanted), ([], []))
        extra = Extra(mistakes, plans, notes)
    finished = as_finished(run.record.content, now(), progress.iteration)
    return make_report(finished, progress.history, index.classes, extra, wanted)


def has_report(store: Store) -> bool:
    """Whether the run has a report; False where its store does not answer.

    An attempt that trains nothing keeps this report, because the earlier attempt could show more in it.
    """
    try:
        return store.exists(NAME)
    except StoreError:
        return False


def shots_of(index: DatasetIndex, images: Mapping[str, np.ndarray], target: str, best: BestInterval) -> str:
    """HTML of the worst mistakes; "" if there are none."""
    domain = index.domain(target)
    shots = [Shot(images[domain.name][each.row][..., ::-1], index.classes[each.true], index.classes[each.predicted],
                  each.loss, domain.paths[each.row]) for each in best.mistakes]
    if not shots:
        return ""
    return mistakes_html(shots, f"The {len(shots)} wrong predictions with the highest loss among the {best.images:,} "
                         f"images that were evaluated here at iteration {best.iteration}; in brackets, the probability "
                         "that the network gave to the true class.")


def features_of(model: Model, here: Device, index: DatasetIndex, images: Mapping[str, np.ndarray], target: str,
                best: BestInterval, wanted: Callable[[], bool]) -> Tuple[List[Plan], List[str]]:
    """(figures, sentences) of the features of the best network on a sample of the target and of validation images."""
    if here.compiles:
        return [], [COMPILES]
    if model.ranks.size > 1:  # the others have left, and the session belongs to all of them
        return [], [SEVERAL]
    if not best.arrays or not can_draw():
        return [], []
    model.load(best.arrays)
    features, names, labels = [], [], []  # type: List[Any], List[str], List[Any]
    for name, rows in sample_rows(index, target, MOST_IMAGES).items():
        found = model.features(images[name], rows, wanted)
        if found is None:
            return [], []
        features.append(found)
        names += [name] * len(rows)
        labels.append(index.domain(name).labels[rows])
    return embedding_plans(Sample(np.concatenate(features), names, np.concatenate(labels)), index.classes, wanted), []


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
