"""The mocked platform in this process, for `python -m job submit --platform=local`: any configuration, on this machine.

It is the platform of the dry run, with the same folder: buckets in ``<root>/bucket/``, jobs in ``<root>/modelarts/``.
Local data and weights are stored in its bucket first. It ends with this process, so a job on it is always followed.
"""
from __future__ import annotations

import contextlib
import os
from dataclasses import replace
from typing import Iterator, List, Mapping, NamedTuple, Optional, Sequence

from job.config.settings import Config
from job.config.submit_options import SubmitOptions
from job.console import Console
from job.dry_run.bucket import BUCKET, fill_data, fill_weights, make_root, say
from job.dry_run.story import serve_platform
from job.dry_run.submitted import ENGINE, FLAVOR
from job.errors import ConfigError, NoSuchFolder
from job.modelarts.choices import choose_engine, choose_flavor
from job.modelarts.parameters import given_places, resolve_settings
from job.modelarts.sdk_service import connect
from job.modelarts.service import JobService
from obs_sync import parse_url

TRAIN_URL = f"obs://{BUCKET}/output/"


class LocalPlatform(NamedTuple):
    """config, options: with places in the platform's OBS. environ: variables that reach both mocks."""

    service: JobService
    config: Config
    options: SubmitOptions
    environ: Mapping[str, str]

    @property
    def results(self) -> List[str]:
        """Names of the folders, from the bucket on, below which the run is."""
        place = parse_url(self.config.platform.train_url or "")
        return [place.bucket] + place.prefix.split("/")[:-1] + [self.config.run_name]


@contextlib.contextmanager
def local_platform(words: Sequence[str], options: SubmitOptions, root: str,
                   console: Console) -> Iterator[LocalPlatform]:
    """The platform while the context lasts. Its OBS holds the data that the settings name.

    Args:
        words: settings of the command line. data_url and weights_path may be local; without a data_url a miniature is
            drawn; without a train_url the results go to the platform's own bucket. options: without a flavor, the job
            gets a node without Ascend cards. root: folder of the platform.

    Raises:
        ConfigError: a setting, the flavor or the image is wrong, or another process uses the folder. NoSuchFolder:
            there are no such data or weights. LocalStorageError: the folder, the images or the weights cannot be used.
    """
    root = os.path.abspath(root)
    data, train, weights = (given_places(words).get(name) for name in ("data_url", "train_url", "weights_path"))
    own = [] if train else [f"--train_url={TRAIN_URL}"]
    local_data = data is None or (data != "" and "://" not in data and os.path.isdir(data))
    local_weights = weights if weights and "://" not in weights and os.path.isfile(weights) else None
    draws_weights = weights is None  # as the dry run: the checks would refuse a run without any
    for name, place, is_local in (("data_url", data, local_data), ("weights_path", weights, bool(local_weights))):
        if place and not is_local:
            _refuse_missing(name, place, root)
    stand_ins = (["--data_url=obs://x-y/"] if local_data else []) + (
        ["--weights_path=none"] if local_weights or draws_weights else [])
    # A mistake is told before anything is made.
    network = resolve_settings(list(words) + own + stand_ins).network
    make_root(root, None)
    with serve_platform(root, None) as platform:
        environ = platform.environment()
        say(f"mocked ModelArts at {platform.endpoint}, mocked OBS at {platform.obs.endpoint}")
        service = connect(environ)
        if options.flavor is None:
            options = replace(options, flavor=FLAVOR, engine=options.engine or (None if options.image else ENGINE))
        flavor = choose_flavor(service, options)  # a wrong one is told before the bucket is filled
        if not options.image:
            choose_engine(service, options.engine, flavor)
        if local_data:
            own.append("--data_url=" + fill_data(root, data, environ, console))
        if local_weights or draws_weights:
            own.append("--weights_path=" + fill_weights(root, local_weights, network, environ, console))
        config = resolve_settings(list(words) + own)
        for bucket in _buckets([config.platform.train_url, options.code_url, options.log_url]):
            if bucket not in platform.obs.buckets():
                platform.obs.create_bucket(bucket)
        yield LocalPlatform(service, config, options, environ)


def _refuse_missing(name: str, place: str, root: str) -> None:
    """Raise NoSuchFolder for a local path that does not exist, unless it is the console's form of a place in a bucket.

    root: of the platform, whose buckets are folders.
    """
    if "://" in place or place == "none" or (name == "weights_path" and not place.startswith("/")):
        return
    bucket = place.strip("/").partition("/")[0]
    if place.startswith("/") and bucket and os.path.isdir(os.path.join(root, "bucket", bucket)):
        return
    what = "folder" if name == "data_url" else "file"
    if os.path.exists(place):
        raise ConfigError(f"--{name}={place} is not a {what}; expected a {what}, or a place in a bucket")
    raise NoSuchFolder(f"--{name}={place}: there is no local {what} {place}" + (
        f", and no bucket {bucket!r} in {os.path.join(root, 'bucket')}" if place.startswith("/") and bucket else ""))


def _buckets(places: Sequence[Optional[str]]) -> List[str]:
    """The buckets to which a job and its submission write."""
    return sorted({parse_url(place).bucket for place in places if place})
