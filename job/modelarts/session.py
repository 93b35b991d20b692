"""What the commands about jobs share: their flags, ModelArts, and the storage with the same access key."""

from __future__ import annotations

import argparse
import os
from typing import Mapping, NamedTuple

from job.modelarts.access import obs_environment, read_access
from job.modelarts.sdk_service import connect
from job.modelarts.service import JobService
from job.modelarts.submitted_run import OpenAt
from obs_sync import Store, open_store


class Session(NamedTuple):
    """service: ModelArts. open_at: opens a store in OBS."""

    service: JobService
    open_at: OpenAt


def add_region(parser: argparse.ArgumentParser) -> None:
    """The flag that every command has which asks ModelArts."""
    parser.add_argument("--region", default="", metavar="REGION",
                        help="such as cn-north-4; otherwise HUAWEICLOUD_SDK_REGION, or that of OBS_SERVER")


def add_job(parser: argparse.ArgumentParser) -> None:
    """The argument of a command about one job, and its region."""
    parser.add_argument("name", metavar="NAME", help="name or id of the job, as `python -m job jobs` shows them")
    add_region(parser)


def add_json(parser: argparse.ArgumentParser, what: str = "print one JSON document") -> None:
    """The flag for programs."""
    parser.add_argument("--json", action="store_true", help=what)


def open_session(region: str, environ: Mapping[str, str] = os.environ) -> Session:
    """ModelArts and OBS with the access key of ``environ``. Nothing is asked yet.

    Raises:
        ModelArtsError: there is no key, no region or no SDK. ConfigError: ModelArts has no such region.
    """
    service = connect(environ, region)
    return Session(service, opener(environ, service.region))


def opener(environ: Mapping[str, str], region: str) -> OpenAt:
    """Opens stores with the key for OBS, or with that for ModelArts if there is no other."""
    completed = obs_environment(environ, read_access(environ), region)

    def open_at(url: str) -> Store:
        return open_store(url, completed)

    return open_at
