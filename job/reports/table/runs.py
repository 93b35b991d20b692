"""The results of runs, as the table needs them."""
from __future__ import annotations

import concurrent.futures
import json
from typing import Any, Callable, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from job.config.run_names import variant_in
from job.config.settings import settings
from job.publication.history import read_history
from job.publication.late_writes import newest_records
from job.publication.run_record import NAME, read_published
from masf_core.records import selection
from obs_sync import IntegrityError, ObjectNotFound, Store

READERS = 8  # runs that are read at the same time
OF_RUN = ("target_domain", "seed", "selection")  # settings that do not make a variant
DONE = "done"

OpenAt = Callable[[str], Store]


class Score(NamedTuple):
    """What a selection policy chose. target, validation: accuracies, per cent."""

    iteration: int
    target: float
    validation: float


class RunResult(NamedTuple):
    """A run.

    variant: as its name says, None if that is not a name of a sweep. settings: those that affect the result. state: of
    its run.json; only a run that is ``DONE`` has scores. told: what is to be said of a run that is not done.
    iteration, iterations: how far it is, of how many. scores: policy → what it chose.
    """

    url: str
    name: str
    variant: Optional[str]
    settings: Mapping[str, Any]
    target: str
    seed: int
    state: str
    told: str
    iteration: int
    iterations: int
    images: Mapping[str, int]
    scores: Mapping[str, Score]


class Unreadable(NamedTuple):
    """A run whose records cannot be read. told: why, with the place."""

    url: str
    told: str


class Found(NamedTuple):
    """What is below some URLs."""

    runs: List[RunResult]
    unreadable: List[Unreadable]


def find_runs(urls: Sequence[str], open_at: OpenAt) -> Found:
    """Read every run at or below these URLs, each once, in the order of the URLs and of the names.

    Args:
        urls: folders of runs, or folders above them. open_at: opens a store as a context manager.

    Raises:
        ObjectNotFound: there is no run at or below one of them. StoreError: the storage fails.
    """
    folders: Dict[str, None] = {}
    for url in urls:
        folders.update(dict.fromkeys(run_folders(url, open_at)))
    return read_runs(list(folders), open_at)


def run_folders(url: str, open_at: OpenAt) -> List[str]:
    """The URLs of the runs at or below ``url``: the folder itself if it is one.

    Raises:
        ObjectNotFound: there is none.
    """
    root = url.rstrip("/")
    with open_at(url) as store:
        if store.exists(NAME):
            return [root]
        found = sorted(info.key for info in store.list() if info.key.endswith("/" + NAME))
        if not found:
            raise ObjectNotFound(f"there is no run at or below this folder (no {NAME})", store.url,
                                 "Give the folder train_url/run_name of a run, or train_url itself")
    return [f"{root}/{key[:-len(NAME) - 1]}" for key in found]


def read_runs(urls: Sequence[str], open_at: OpenAt) -> Found:
    """Read the runs at these URLs, several at a time; the result is in the order of ``urls``."""
    def read(url: str) -> Any:
        with open_at(url) as store:
            return read_result(store, url)

    with concurrent.futures.ThreadPoolExecutor(READERS) as pool:
        results = list(pool.map(read, urls))
    return Found([each for each in results if isinstance(each, RunResult)],
                 [each for each in results if isinstance(each, Unreadable)])


def read_result(store: Store, url: str) -> Any:
    """The ``RunResult`` of the run in ``store``; ``Unreadable`` where its records are damaged; None without a run."""
    try:
        published = read_published(store)
        if published is None:
            return None
        if published["state"] != DONE:  # its intervals are not shown
            return _result(published, [], url)
        run, history = newest_records(store, published, read_history(store))
        return _result(run, history if run["state"] == DONE else [], url)
    except (IntegrityError, ObjectNotFound, DamagedRun) as error:
        return Unreadable(url, str(error))


class DamagedRun(Exception):
    """A run.json whose settings cannot be understood."""


def _result(run: Mapping[str, Any], history: Sequence[Mapping[str, Any]], url: str) -> RunResult:
    """history: empty of a run that is not done."""
    config = run["config"]
    values = {name: _plain(config.get(each.group, {}).get(name, each.default))
              for name, each in settings().items() if each.affects_result or name == "train_iterations"}
    target, seed, iterations = values["target_domain"], values["seed"], values["train_iterations"]
    if not isinstance(target, str) or not _is_whole(seed) or not _is_whole(iterations):
        raise DamagedRun("the settings target_domain, seed and train_iterations in its run.json are not those of a run")
    name = run.get("run_name") or url.rsplit("/", 1)[-1]
    data = run.get("data") or {}
    iteration = run.get("iteration", 0)
    state = run["state"]
    scores = {}
    if history:
        for policy in selection.POLICIES:
            best = selection.best(policy, history)
            scores[policy] = Score(best["iteration"], best["target_accuracy"], best["validation_accuracy"])
    elif state == DONE:
        state = "no interval"
    return RunResult(url, name, variant_in(name, target, seed),
                     {key: value for key, value in values.items() if key not in OF_RUN}, target, seed, state,
                     told_of(run, state), iteration, iterations, data.get("images", {}), scores)


def told_of(run: Mapping[str, Any], state: str) -> str:
    """Words about a run that is not done: how far it is, and how its last attempt ended."""
    if state == DONE:
        return ""
    far = f"iteration {run.get('iteration', 0)}"
    last = run["attempts"][-1] if run["attempts"] else {}
    reason = last.get("reason")
    if state == "running":
        return f"not finished: {far}; it runs, or was killed"
    code = f" with exit code {last['exit_code']}" if _is_whole(last.get("exit_code")) else ""
    return f"{state}{code} at {far}" + (f": {reason.splitlines()[0]}" if isinstance(reason, str) and reason else "")


def settings_key(values: Mapping[str, Any]) -> str:
    """The same text for the same settings."""
    return json.dumps(values, sort_keys=True)


def by_place(runs: Sequence[RunResult]) -> Dict[Tuple[str, int], List[RunResult]]:
    """(target, seed) → the runs there."""
    found: Dict[Tuple[str, int], List[RunResult]] = {}
    for run in runs:
        found.setdefault((run.target, run.seed), []).append(run)
    return found


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
