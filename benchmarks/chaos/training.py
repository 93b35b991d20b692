"""Trains a miniature run by processes that are killed, over a network that breaks, and compares it with an undisturbed
one."""
from __future__ import annotations

import hashlib
import json
import os
import random
from typing import Any, Dict, List, NamedTuple, Optional

from benchmarks.chaos.process import draw_doom, insist
from benchmarks.chaos.proxy import ChaosProxy
from benchmarks.chaos.tally import Tally
from benchmarks.chaos.transfers import read_tree
from obs_sync.mock import MockObs, mock_obs

BUCKET = "chaos"
WIDTH = 0.02
ITERATIONS = 6
SETTINGS = {
    "data_url": f"obs://{BUCKET}/pacs/", "train_url": f"obs://{BUCKET}/output/", "run_name": "run",
    "weights_path": "weights/bvlc_alexnet.npy", "target_domain": "cartoon", "width": WIDTH, "device": "cpu",
    "train_iterations": ITERATIONS, "test_print_interval": 2, "meta_batch_size": 6, "evaluation_batch": 14,
    "outer_lr": 1e-4, "inner_lr": 1e-4, "metric_lr": 1e-4, "intra_op_threads": 1, "inter_op_threads": 1,
    "transfer_workers": 4}
OUTPUT = "output/run/"
CARRIED = 14_000_000  # bytes of an undisturbed run


class Result(NamedTuple):
    """What must not depend on how often a run was interrupted."""

    state: str
    records: List[Dict[str, Any]]  # metrics.jsonl, without what is measured in seconds
    weights: str                   # SHA-256 of the last checkpoint's network


class Miniature(NamedTuple):
    """A small data set with weights, and the result of an undisturbed run on it."""

    files: Dict[str, bytes]
    undisturbed: Result


def prepare(directory: str, tally: Tally) -> Optional[Miniature]:
    """Draws the data set in an empty directory and trains on it once. On failure: None, and `tally.wrong` says why."""
    from masf_core.data import miniature

    source = os.path.join(directory, "pacs")
    miniature.write_miniature(source, images_per_class=3)
    os.mkdir(os.path.join(source, "weights"))
    miniature.write_alexnet_weights(os.path.join(source, "weights", "bvlc_alexnet.npy"), width=WIDTH)
    files = read_tree(source)
    with mock_obs(buckets=[BUCKET]) as obs, ChaosProxy(obs.port, "calm", lambda rng: None) as proxy:
        _fill(obs, files)
        if not insist(_arguments(os.path.join(directory, "cache")), _environ(obs, proxy), proxy, tally, []):
            return None
        return Miniature(files, result_of(obs))


def training(seed: int, directory: str, tally: Tally, miniature: Miniature, most_kills: int = 3) -> None:
    """Adds what came of one seed to the tally. The job is killed once at least; `directory` is an empty one."""
    rng = random.Random(f"training {seed}")
    about = f"training of seed {seed}"
    with mock_obs(buckets=[BUCKET]) as obs, ChaosProxy(obs.port, f"training {seed}") as proxy:
        _fill(obs, miniature.files)
        dooms = [draw_doom(rng, CARRIED, 1.0) for _ in range(rng.randint(1, most_kills))]

        def check() -> None:
            check_checkpoints(obs, about, tally)

        if insist(_arguments(os.path.join(directory, "cache")), _environ(obs, proxy), proxy, tally, dooms, check):
            found = result_of(obs)
            for name, value, expected in zip(Result._fields, found, miniature.undisturbed):
                if value != expected:
                    tally.wrong.append(f"{about}: {name} is {value}, and {expected} without any disturbance")
    tally.add_proxy(proxy)
    tally.runs += 1


def _fill(obs: MockObs, files: Dict[str, bytes]) -> None:
    for name, data in files.items():
        obs.put(BUCKET, "pacs/" + name, data)


def _environ(obs: MockObs, proxy: ChaosProxy) -> Dict[str, str]:
    return dict(obs.environment(), OBS_SERVER=f"http://{obs.host_name}:{proxy.port}", OMP_NUM_THREADS="1")


def _arguments(cache: str) -> List[str]:
    return ["run", f"--work_dir={cache}"] + [f"--{name}={value}" for name, value in SETTINGS.items()]


def check_checkpoints(obs: MockObs, about: str, tally: Tally) -> None:
    """Every checkpoint with a marker must be whole, at any moment: its files are compared with the marker's digests."""
    place = OUTPUT + "checkpoints/"
    for key in obs.keys(BUCKET, place):
        if "/" in key[len(place):] or not key.endswith(".json"):
            continue
        marker = json.loads(obs.get(BUCKET, key))
        for file in marker.get("files", ()):  # a pointer has none
            name = f"{place}{marker['name']}/{file['name']}"
            data = obs.get(BUCKET, name) if name in obs.keys(BUCKET, name) else None
            if data is None or len(data) != file["size"] or hashlib.sha256(data).hexdigest() != file["sha256"]:
                tally.wrong.append(f"{about}: {key} promises {file}, and {name} has "
                                   f"{'no object' if data is None else f'{len(data)} bytes'}")
            tally.compared += len(data or b"")


def result_of(obs: MockObs) -> Result:
    """What a run has left in the bucket, read without a request."""
    lines = obs.get(BUCKET, OUTPUT + "metrics.jsonl").decode("utf-8").splitlines()
    records = [{name: value for name, value in json.loads(line).items() if "second" not in name and name != "upload"}
               for line in lines]
    last = obs.keys(BUCKET, f"{OUTPUT}checkpoints/ckpt-{ITERATIONS:06d}")
    networks = [key for key in last if key.endswith("/network.npz")]
    network = hashlib.sha256(obs.get(BUCKET, networks[-1])).hexdigest() if networks else "absent"
    return Result(json.loads(obs.get(BUCKET, OUTPUT + "run.json"))["state"], records, network)
