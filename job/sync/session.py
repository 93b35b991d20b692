"""What the actions of `python -m job sync` share: the store that a command line means, its filters, its limits."""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
from typing import Any, Iterator, NamedTuple, Optional

from job.errors import ConfigError
from job.sync.places import find_places

log = logging.getLogger(__name__)


class Session(NamedTuple):
    """What an action works with."""

    store: Any  # ``Store``, open
    path: Optional[str]  # absolute, of the local folder; None if there is none
    filters: Any  # ``Filters`` of keys
    workers: int  # transfers at the same time


@contextlib.contextmanager
def open_session(args: argparse.Namespace) -> Iterator[Session]:
    """The session of a command line. At its end, a warning names each pattern that decided about no key.

    Raises:
        ConfigError: a place or a pattern is wrong. obs_sync.StoreError: see ``open_store``.
    """
    from obs_sync import ObjectNotFound, open_store
    from obs_sync.throttle import Throttle, ThrottledStore
    from obs_sync.transfer.filters import Filters, PatternError, Rule

    places = find_places(args.action, args.place0, getattr(args, "place1", None), getattr(args, "delete", False))
    try:
        filters = Filters([Rule(include, pattern) for include, pattern in getattr(args, "rules", ())])
    except PatternError as error:
        raise ConfigError(str(error)) from error
    workers, bandwidth = getattr(args, "workers", 8), getattr(args, "bandwidth", None)
    with open_store(places.url, os.environ, args.storage) as store:
        if bandwidth is not None:
            throttle = Throttle(1e6 * bandwidth)
            store, workers = ThrottledStore(store, throttle), throttle.workers(workers)
        try:
            yield Session(store, places.path, filters, workers)
        except ObjectNotFound as error:
            if error.where == store.url:
                _refuse_object(places.url, args.storage)
            raise
    for rule in filters.idle:
        log.warning("%s has no effect: it matches no key, or only keys that an earlier pattern matches", rule)


def _refuse_object(url: str, storage: str) -> None:
    """Say that ``url`` names an object, where only folders are expected. Raises ConfigError if it does."""
    from obs_sync import InvalidUrl, StoreError, is_remote, open_store, split_object_url

    try:
        folder, name = split_object_url(url.rstrip("/"))
    except InvalidUrl:  # a bucket
        return
    if is_remote(url):
        with contextlib.suppress(StoreError), open_store(folder, os.environ, storage) as store:
            if store.exists(name):
                raise ConfigError(f"{url} is an object, not a folder; to take this object alone, give {folder} "
                                  f"--include {name}")
