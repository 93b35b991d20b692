"""The checkpoints of a run whose weights `average` takes the mean of. Nothing is fetched here."""
from __future__ import annotations

import logging
import posixpath
import re
from typing import List, NamedTuple, Optional, Sequence

from job.errors import ConfigError, NoSuchWeights
from job.inputs.fetch_trained import with_obs_hint
from job.inputs.trained import OpenAt, Trained, checkpoint_of, run_of_now
from job.publication.lineage import published_checkpoints
from job.publication.retention import is_kept
from job.publication.run_record import NAME as RUN_RECORD
from job.publication.run_record import read_run
from masf_core.errors import WeightsError
from masf_core.words import plural, some
from obs_sync import IntegrityError

log = logging.getLogger(__name__)

FEWEST = 2
SHOWN = 8  # iterations in a message
_NAME = re.compile(r"ckpt-(\d+)-")


class Choice(NamedTuple):
    """Which of the checkpoints to take: begin and end, the first and last iteration; last, the number of newest ones.

    None sets no bound.
    """

    begin: Optional[int] = None
    end: Optional[int] = None
    last: Optional[int] = None

    def flags(self) -> str:
        """As on the command line; "" for all."""
        given = (("from", self.begin), ("to", self.end), ("last", self.last))
        return " ".join(f"--{name}={value}" for name, value in given if value is not None)


class DamagedMarker(NamedTuple):
    """place: URL or path of the marker. iteration: of its checkpoint by its name, None where that does not tell."""

    place: str
    iteration: Optional[int]
    reason: str


class Checkpoints(NamedTuple):
    """The checkpoints of a run, one for each iteration, the oldest first, and the markers that cannot be used."""

    whole: List[Trained]
    damaged: List[DamagedMarker]


def checkpoints_of(place: str, open_at: OpenAt) -> Checkpoints:
    """The checkpoints of a run that ``keep_every`` keeps; of a run without that setting, all that there are.

    Args:
        place: URL or local path of the run. open_at: opens a store as a context manager.

    Raises:
        NoSuchWeights: there is no run. WeightsError: it has fewer than two. StoreError: storage.
    """
    damaged: List[DamagedMarker] = []

    def collect(key: str, reason: str) -> None:
        name = _NAME.match(posixpath.basename(key))
        damaged.append(DamagedMarker(store.locate(key), int(name.group(1)) if name else None, reason))

    folder = place.rstrip("/") + "/"
    with open_at(folder) as store:
        if not store.exists(RUN_RECORD):
            raise NoSuchWeights(with_obs_hint(f"there is no run at {place}: no {RUN_RECORD}. Expected the folder of a "
                                              "run (train_url/run_name/)", place))
        run = run_of_now(store, read_run(store))
        markers, unusable = published_checkpoints(store, run["lineage"], collect)
        for marker, reason in unusable:
            collect(f"checkpoints/{marker.name}.json", reason)
    # An iteration has two where a damaged checkpoint made the run train it again: the later one counts.
    kept = [marker for marker in markers if is_kept(marker)]
    newest = {marker.metadata["iteration"]: marker for marker in kept or markers}
    if len(newest) < FEWEST and not damaged:
        wait = "Wait for more of them, or train" if run["state"] == "running" else "Train"
        mend = f"{wait} with a smaller --keep_every" if kept else (
            "Train with --keep_every=N, which keeps the checkpoint of every N-th iteration")
        raise WeightsError(f"the run {place} has {plural(len(newest), 'checkpoint')} to average; expected at least "
                           f"{FEWEST}. {mend}")
    return Checkpoints([checkpoint_of(folder, marker) for marker in newest.values()], damaged)


def choose(checkpoints: Checkpoints, choice: Choice) -> List[Trained]:
    """The checkpoints that are chosen, at least two.

    Raises:
        ConfigError: ``choice`` chooses fewer. IntegrityError: it may choose one whose marker is damaged.
    """
    found, begin, end = checkpoints.whole, choice.begin or 0, choice.end
    chosen = [each for each in found if begin <= each.iteration and (end is None or each.iteration <= end)]
    if choice.last is not None:
        chosen = chosen[-choice.last:]
        begin = chosen[0].iteration if len(chosen) == choice.last else begin
    for marker in checkpoints.damaged:
        if marker.iteration is None or begin <= marker.iteration and (end is None or marker.iteration <= end):
            raise IntegrityError("this marker is damaged, so nobody can tell whether its checkpoint belongs to the "
                                 f"average: {marker.reason}", marker.place,
                                 "Delete this marker, or leave its iteration out with --from, --to or --last")
    if len(chosen) < FEWEST:
        raise ConfigError(f"{choice.flags()} chooses {plural(len(chosen), 'checkpoint')}; expected at least {FEWEST}. "
                          f"The run has those of the iterations {iterations_told(found)}")
    if choice.last is not None and len(chosen) < choice.last:
        log.warning("%s: there are only %d such checkpoints, of the iterations %s; all of them are taken",
                    choice.flags(), len(chosen), iterations_told(chosen))
    return chosen


def iterations_told(found: Sequence[Trained]) -> str:
    """The iterations of these checkpoints, in words."""
    return some([str(each.iteration) for each in found], SHOWN)
