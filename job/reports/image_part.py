"""report.json: the part of a report that needs the images and the best network.

A run writes it beside its report, so that ``report`` can show the same on a machine that has neither.
"""
from __future__ import annotations

import logging
from typing import Any, Mapping, NamedTuple, Optional, Sequence

import numpy as np

from job.reports.page.embeddings import Places
from job.reports.page.mistakes import JPEG, Shot
from job.standard_output import json_text
from obs_sync import ObjectNotFound, Store
from obs_sync.json_document import (
    DocumentError, list_of, matching, members, number, one_of, optional, read_json, text, whole,
)
from obs_sync.store import read_at_most

log = logging.getLogger(__name__)

NAME = "report.json"
LARGEST = 4 << 20  # bytes that are read; a run writes less than half a megabyte
WHAT = "The worst mistakes and the features of the best network are not shown"
ABSENT = (f"{WHAT}: the run has stored none for its best checkpoint in {NAME}: an older version trained it, or the "
          "attempt that trained it was stopped.")
DAMAGED = f"{WHAT}: {NAME} of the run is damaged."
OTHER = f"{WHAT}: {NAME} of the run belongs to %s, not to its best checkpoint."

_SHAPE = members({
    "format": one_of(1), "lineage": text(), "iteration": whole(), "evaluated": whole(), "notes": list_of(text()),
    "mistakes": list_of(members({
        "true": text(), "predicted": text(), "probability": number(0, 1), "path": text(),
        "jpeg": matching("[A-Za-z0-9+/]*={0,2}", "base64")})),
    "features": optional(members({
        "variance": number(0, 1.001), "names": list_of(text()), "domains": list_of(whole()), "labels": list_of(whole()),
        "scores": list_of(list_of(number(-1e30, 1e30), least=2), least=1)})),
})


class ImagePart(NamedTuple):
    """What only a machine that has the images can compute.

    iteration: of the network, 0 if nothing is known. evaluated: images of the target among which the mistakes are.
    shots: the worst of them. places: of the features; None if they are not known. notes: sentences, for example why
    something is missing.
    """

    iteration: int = 0
    evaluated: int = 0
    shots: Sequence[Shot] = ()
    places: Optional[Places] = None
    notes: Sequence[str] = ()


NO_IMAGES = ImagePart()


def to_text(part: ImagePart, lineage: str) -> str:
    """The content of the file. lineage: of the run."""
    features = None
    if part.places is not None:
        names = sorted(set(part.places.domains))
        features = {"variance": part.places.variance, "names": names,
                    "domains": [names.index(each) for each in part.places.domains],
                    "labels": part.places.labels.tolist(), "scores": part.places.scores.tolist()}
    return json_text({
        "format": 1, "lineage": lineage, "iteration": part.iteration, "evaluated": part.evaluated,
        "notes": list(part.notes),
        "mistakes": [{"true": shot.true, "predicted": shot.predicted, "probability": shot.probability,
                      "path": shot.path, "jpeg": shot.picture[len(JPEG):]} for shot in part.shots],
        "features": features}, indent=None) + "\n"


def stored_part(store: Store, run: Mapping[str, Any], iteration: int) -> ImagePart:
    """What the run has stored for the network of this iteration; if nothing, only a note that says why.

    Args:
        run: content of run.json.

    Raises:
        StoreError: the store cannot be read.
    """
    try:
        content = read_json(read_at_most(store, NAME, LARGEST), _SHAPE, LARGEST)
        part = _part(content)
    except ObjectNotFound:
        return ImagePart(notes=[ABSENT])
    except DocumentError as error:
        log.warning("%s is damaged (%s): the report is written without it", store.locate(NAME), error)
        return ImagePart(notes=[DAMAGED])
    if content["lineage"] != run.get("lineage"):
        return ImagePart(notes=[OTHER % "another training"])
    return part if part.iteration == iteration else ImagePart(notes=[OTHER % f"iteration {part.iteration}"])


def _part(content: Mapping[str, Any]) -> ImagePart:
    """Raises DocumentError if lists that belong together have different lengths."""
    shots = [Shot(JPEG + each["jpeg"], each["true"], each["predicted"], float(each["probability"]), each["path"])
             for each in content["mistakes"]]
    return ImagePart(content["iteration"], content["evaluated"], shots, _places(content["features"]), content["notes"])


def _places(features: Optional[Mapping[str, Any]]) -> Optional[Places]:
    if features is None:
        return None
    scores, names = features["scores"], features["names"]
    if len({len(row) for row in scores}) != 1 or {len(features["domains"]), len(features["labels"])} != {len(scores)}:
        raise DocumentError("features: domains, labels and scores are not those of the same images")
    if max(features["domains"]) >= len(names):
        raise DocumentError(f"features.domains: expected numbers below {len(names)}")
    return Places(np.array(scores, np.float64), features["variance"], [names[each] for each in features["domains"]],
                  np.array(features["labels"]))
