"""The whole ModelArts job on this machine, against a mocked ModelArts and a mocked OBS.

Only the servers at the other end are replaced: both mocks listen on 127.0.0.1. A bucket is filled with images and
weights. Then the job is submitted as `python -m job submit` does it, and the mocked ModelArts starts
``boot_modelarts.py`` in a container with the arguments that a v1 job gets.

    <root>/bucket/masf-dry-run/   the bucket's objects, as plain files
    <root>/source/                images and weights that are made for the bucket
    <root>/modelarts/             the containers of jobs and their logs
    <root>/cache/                 the job's working directory (/cache on ModelArts)

Every container has a disk of its own, and a new one for each job. Only the working directory is kept in ``cache``, so
that the next dry run need not download and decode the images again; where the platform makes faults on purpose, it is
on the container's disk, which may get lost.
"""
from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
from typing import Iterator, Optional

from job.config import loading
from job.config.settings import Config
from job.console import Console
from job.dry_run import hints
from job.dry_run.bucket import BUCKET, check_given, fill_data, fill_weights, make_root, other_root, say
from job.dry_run.submitted import attend, submit
from job.errors import ConfigError
from job.exits import DONE, INTERRUPTED, STOPPED, meaning_of
from job.modelarts.mocked import MockModelArts, mock_modelarts, platform_faults
from job.modelarts.sdk_service import connect
from job.publication.run_record import read_published
from job.reports.show import describe_run
from job.shipped import CONFIG_HOME
from job.standard_output import encodable
from obs_sync import open_store
from obs_sync.mock import FaultError, FaultPlan, Faults, RootInUse, describe_injected, mock_obs

DEFAULT_CONFIG = os.path.join(CONFIG_HOME, "configs", "dry_run.yaml")
RETRIES = 3  # of a job on a platform with faults


def dry_run(request: hints.Request, console: Console) -> int:
    """Fill the bucket, submit the job, follow it, show its results. Returns the exit code of the job.

    Raises:
        ConfigError: a setting is wrong, or another dry run uses the folder. FaultError: ``faults`` describes no fault.
        LocalStorageError: the root, the images or the weights cannot be used. ModelArtsError: the SDK is not installed.
    """
    root = os.path.abspath(request.root)
    flags = ["--config=" + (request.config_path or DEFAULT_CONFIG)] + ["--" + item for item in request.overrides]
    config, _ = loading.load_config(flags + ["--data_url=obs://x/y/", "--weights_path=none"])
    faults = Faults([] if request.faults is None else [request.faults], request.fault_seed)
    try:
        of_platform = platform_faults([] if request.platform_faults is None else [request.platform_faults],
                                      request.fault_seed)
    except FaultError as error:
        raise ConfigError(f"--platform_faults: {error}") from error
    check_given(request.pacs_root, request.weights, request.lane)
    make_root(root, request.lane)
    with serve_platform(root, request.lane) as platform:
        obs = platform.obs
        environ = platform.environment()
        service = connect(environ)  # first, as it says if the SDK is not installed
        say(f"mocked ModelArts at {platform.endpoint}, mocked OBS at {obs.endpoint} (bucket {BUCKET})")
        data_url = fill_data(root, request.pacs_root, environ, console)
        weights_url = fill_weights(root, request.weights, config.network, environ, console)
        run_name, train_url = name_of(config, data_url), f"obs://{BUCKET}/output/"
        work_dir = None if of_platform.rules else os.path.join(root, "cache")
        config = loading.replace_settings(config, data_url=data_url, weights_path=weights_url, train_url=train_url,
                                          run_name=run_name, work_dir=config.platform.work_dir or work_dir)
        with open_store(train_url + run_name, environ, backend="esdk") as store:
            before = read_published(store)
            if of_platform.rules:
                say(f"the mocked ModelArts now makes faults on purpose: {request.platform_faults} "
                    f"(seed {request.fault_seed})")
                platform.faults = of_platform
            job = submit(config, service, environ, RETRIES if of_platform.rules else 0, console)
            asked = sum(obs.counts.values())
            if faults.rules:
                say(f"the mocked OBS now makes faults on purpose: {request.faults} (seed {request.fault_seed})")
                obs.faults = faults
            started = time.monotonic()
            code = attend(service, job, patient=bool(of_platform.rules))
            obs.faults = FaultPlan()
            asked = sum(obs.counts.values()) - asked
            say(f"the job ended after {time.monotonic() - started:.0f} s with exit code {code} ({meaning_of(code)})")
            if code == DONE:
                print(encodable("\n" + describe_run(store)))
                run = os.path.join(hints.shorter(root), "bucket", BUCKET, "output", run_name)
                # A job that finds its run complete does not change the record.
                after = read_published(store) or {}
                tell = hints.after_nothing if before == after else hints.after_work
                domains = sorted((after.get("data") or {}).get("images") or {})
                print(tell(request, hints.as_trained(config, after), run, domains))
            elif code in (INTERRUPTED, STOPPED):
                print(hints.after_stop(request))
            if faults.rules or of_platform.rules:
                print()
            if faults.rules:
                say(f"{describe_injected(obs.injected)} in the job's {asked} requests")
            if of_platform.rules:
                say(f"of the mocked ModelArts: {describe_injected(platform.injected)}")
    return code


@contextlib.contextmanager
def serve_platform(root: str, lane: Optional[str]) -> Iterator[MockModelArts]:
    """The mocked ModelArts and OBS of this folder, while the context lasts.

    Raises ConfigError if another process serves the folder.
    """
    with contextlib.ExitStack() as leaving:
        try:
            obs = leaving.enter_context(mock_obs(root=os.path.join(root, "bucket"), buckets=[BUCKET]))
        except RootInUse as error:
            raise ConfigError(f"another dry run, or `obs_sync.mock serve`, uses {root}; wait until it ends, or choose "
                              f"another folder with {other_root(lane)}") from error
        yield leaving.enter_context(mock_modelarts(root=root, obs=obs))


def name_of(config: Config, data_url: str) -> str:
    """A run name for this data and configuration. Another configuration gets another name, so no run is refused."""
    relevant = json.dumps([loading.result_settings(config), data_url], sort_keys=True, default=str)
    digest = hashlib.sha256(relevant.encode()).hexdigest()[:6]
    return config.platform.run_name or f"{config.data.target_domain}-{digest}"
