"""The whole ModelArts job on this machine, against a mocked OBS.

Only the server at the other end is replaced: a mocked OBS listens on 127.0.0.1. A bucket is filled with images and
weights, and ``boot_modelarts.py`` runs as a process of its own with the arguments that a v1 job gets.

    <root>/bucket/masf-dry-run/   the bucket's objects, as plain files
    <root>/source/                images and weights that are made for the bucket
    <root>/cache/                 the job's working directory (/cache on ModelArts)
"""
from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from typing import Iterator, List, Mapping, Optional

from job.config import loading
from job.config.settings import Config, Network
from job.console import Console
from job.dry_run import hints
from job.errors import ConfigError
from job.exits import INTERRUPTED, MEANING, STOPPED
from job.inputs.fetch_weights import local_companions, local_file
from job.publication.run_record import read_published
from job.reports.show import describe_run
from job.shipped import CODE_FOLDER, CONFIG_HOME
from job.standard_output import encodable
from masf_core.data import miniature
from obs_sync import LocalStorageError, open_store, push
from obs_sync.mock import FaultPlan, Faults, MockObs, RootInUse, describe_injected, mock_obs

BUCKET = "masf-dry-run"
DEFAULT_CONFIG = os.path.join(CONFIG_HOME, "configs", "dry_run.yaml")


def dry_run(request: hints.Request, console: Console) -> int:
    """Fill the bucket, run the job, show its results. Returns the exit code of the job.

    Raises:
        ConfigError: a setting is wrong, or another dry run uses the folder. FaultError: ``faults`` describes no fault.
        LocalStorageError: the root, the images or the weights cannot be used.
    """
    root, pacs_root = os.path.abspath(request.root), request.pacs_root
    flags = ["--config=" + (request.config_path or DEFAULT_CONFIG)] + ["--" + item for item in request.overrides]
    config, _ = loading.load_config(flags + ["--data_url=obs://x/y/", "--weights_path=none"])
    faults = Faults([request.faults] if request.faults else [], request.fault_seed)
    make_root(root, request.lane)
    with serve_bucket(root, request.lane) as mock:
        environ = mock.environment()
        say(f"mocked OBS at {mock.endpoint} (bucket {BUCKET})")
        data_url = fill_data(root, pacs_root, environ, console)
        weights_url = fill_weights(root, request.weights, config.network, environ, console)
        run_name = name_of(config, data_url)
        train_url = f"obs://{BUCKET}/output/"
        command = [
            sys.executable, os.path.join(CODE_FOLDER, "boot_modelarts.py"), "--data_url=" + data_url,
            "--weights_path=" + weights_url, "--train_url=" + train_url, "--run_name=" + run_name,
            "--work_dir=" + os.path.join(root, "cache")] + flags
        say("starting the job as the platform would:\n  " + " ".join(shlex.quote(part) for part in command))
        with open_store(train_url + run_name, environ, backend="esdk") as store:
            before = read_published(store)
            asked = sum(mock.counts.values())
            if faults.rules:
                say(f"the mocked OBS now makes faults on purpose: {request.faults} (seed {request.fault_seed})")
                mock.faults = faults
            started = time.monotonic()
            code = wait_for(subprocess.Popen(command, env=environ))
            mock.faults = FaultPlan()
            asked = sum(mock.counts.values()) - asked
            say(f"the job ended after {time.monotonic() - started:.0f} s with exit code {code} "
                f"({MEANING.get(code, 'unexpected')})")
            if code == 0:
                print(encodable("\n" + describe_run(store)))
                run = os.path.join(hints.shorter(root), "bucket", BUCKET, "output", run_name)
                # A job that finds its run complete does not change the record.
                after = read_published(store) or {}
                tell = hints.after_nothing if before == after else hints.after_work
                print(tell(request, config, run, sorted((after.get("data") or {}).get("images") or {})))
            elif code in (INTERRUPTED, STOPPED):
                print(hints.after_stop(request))
            if faults.rules:
                print()
                say(f"{describe_injected(mock.injected)} in the job's {asked} requests")
    return code


def other_root(lane: Optional[str]) -> str:
    """How a person gives a dry run another folder: with make, or without."""
    return "RESULTS=DIR" if lane else "--root"


@contextlib.contextmanager
def serve_bucket(root: str, lane: Optional[str]) -> Iterator[MockObs]:
    """The mocked OBS of this folder, while the context lasts. Raises ConfigError if another one serves the folder."""
    mock = mock_obs(root=os.path.join(root, "bucket"), buckets=[BUCKET])
    try:
        mock.start()
    except RootInUse as error:
        raise ConfigError(f"another dry run, or `obs_sync.mock serve`, uses {root}; wait until it ends, or choose "
                          f"another folder with {other_root(lane)}") from error
    try:
        yield mock
    finally:
        mock.stop()


def make_root(root: str, lane: Optional[str]) -> None:
    """Make the folder, and check that it can be written. Raises LocalStorageError if not."""
    try:
        os.makedirs(root, exist_ok=True)
        with tempfile.TemporaryFile(dir=root):
            pass
    except OSError as error:
        raise LocalStorageError(f"cannot write there ({error.strerror})", root,
                                "Choose another folder with " + other_root(lane)) from error


def fill_data(root: str, pacs_root: Optional[str], environ: Mapping[str, str], console: Console) -> str:
    """Store images and lists in the bucket, unless they are there already. Returns the data_url."""
    if pacs_root is None:
        source = os.path.join(root, "source", "miniature-pacs")
        if not os.path.isdir(source):
            # Drawn under another name, so that an incomplete one is never used.
            shutil.rmtree(source + ".partial", ignore_errors=True)
            miniature.write_miniature(source + ".partial", on_progress=console.task("draw miniature PACS", "images"))
            os.replace(source + ".partial", source)
        prefix, folders = "miniature-pacs", [("", source)]
    else:
        pacs_root = os.path.abspath(pacs_root)
        if not os.path.isdir(pacs_root):
            raise LocalStorageError("PACS_ROOT is not a directory", pacs_root, "Give the folder that holds the domains")
        # Other data needs another prefix: the job would see the data of both.
        prefix = "pacs-" + hashlib.sha256(pacs_root.encode()).hexdigest()[:6]
        lists = next((path for path in list_places(pacs_root) if has_lists(path)), None)
        folders = [("images/", pacs_root)] + ([("kfold/", lists)] if lists and lists != pacs_root else [])
    url = f"obs://{BUCKET}/{prefix}/"
    for subfolder, source in folders:
        with open_store(url + subfolder, environ, backend="esdk") as store:
            push(store, source, on_progress=console.task("fill bucket", "B"))
    return url


def list_places(pacs_root: str) -> List[str]:
    """Folders that may hold the official list files of a PACS_ROOT, in the layouts that people have."""
    return [pacs_root, os.path.join(pacs_root, "kfold"), os.path.join(os.path.dirname(pacs_root), "kfold"),
            os.path.dirname(pacs_root)]


def has_lists(directory: str) -> bool:
    """Whether the folder holds list files of PACS."""
    return os.path.isdir(directory) and any(name.endswith("_train_kfold.txt") for name in os.listdir(directory))


def fill_weights(root: str, weights: Optional[str], network: Network, environ: Mapping[str, str],
                 console: Console) -> str:
    """Store the weights in the bucket. Returns their URL, or ``none`` for a network that has no random weights."""
    if weights is None:
        if network.backbone != "alexnet":
            say(f"{network.backbone} is trained from scratch (only alexnet gets random weights to begin with)")
            return "none"
        weights = os.path.join(root, "source", f"weights-{network.width:g}", "bvlc_alexnet.npy")
        if not os.path.exists(weights):
            os.makedirs(os.path.dirname(weights), exist_ok=True)
            miniature.write_alexnet_weights(weights, width=network.width)
    file = local_file(weights)
    if file is None:
        raise LocalStorageError("WEIGHTS is not a file", weights, "Give a file of weights")
    weights = file
    stat = os.stat(weights)
    version = hashlib.sha256(f"{os.path.abspath(weights)} {stat.st_size} {stat.st_mtime_ns}".encode())
    folder, name = f"obs://{BUCKET}/weights/{version.hexdigest()[:6]}/", os.path.basename(weights)
    with open_store(folder, environ, backend="esdk") as store:
        if not store.exists(name):
            progress, sent = console.task("fill bucket", "B"), [0]

            def on_bytes(count: int) -> None:
                sent[0] += count
                progress(sent[0], stat.st_size)

            for companion in local_companions(weights):
                store.upload(companion, os.path.basename(companion))
            store.upload(weights, name, on_bytes)
    return folder + name


def name_of(config: Config, data_url: str) -> str:
    """A run name for this data and configuration. Another configuration gets another name, so no run is refused."""
    relevant = json.dumps([loading.result_settings(config), data_url], sort_keys=True, default=str)
    digest = hashlib.sha256(relevant.encode()).hexdigest()[:6]
    return config.platform.run_name or f"{config.data.target_domain}-{digest}"


def wait_for(process: subprocess.Popen) -> int:
    """The exit code of the process. Ctrl-C reaches the process too, and this waits until it has stopped."""
    while True:
        try:
            code = process.wait()
            return 128 - code if code < 0 else code
        except KeyboardInterrupt:
            say("waiting for the job to stop")


def say(text: str) -> None:
    """Print one step of the dry run, marked so that it differs from the lines of the job."""
    print("== " + text, flush=True)
