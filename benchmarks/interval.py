"""Interval: what a checkpoint and its publication cost training.

Full-width AlexNet with its three Adams (1.2 GB of state) trains on the processor. This is the worst case: the
background work takes cores from training, while beside an accelerator the host's cores are idle. The job's own
publisher sends the checkpoint to a mocked OBS in a process of its own, over a link of 50 MB/s.

A round is an interval. A snapshot is taken and handed over; iterations go on until it is delivered, and then without
any background work until 60 s are full, but for at least 30 s. The interval loses the time for which the snapshot
blocks training, and the time by which iterations during the publication take longer than those before and after it.
Then the same work is done once more without training, part by part, to measure the cost of each.

Limits: the snapshot copies the state (memory bandwidth, and new pages); an upload takes 1.2 GB / 50 MB/s = 24.5 s; the
publication and the mock share the two cores with training.
"""
from __future__ import annotations

import os
import shutil
import tempfile
import threading
import time
from typing import List, NamedTuple

import numpy as np

from benchmarks import mocked
from benchmarks.measuring import Figure, machine, parser, report, resident_mb
from job.publication.publisher import Publisher
from job.publication.snapshots import Snapshot
from masf_core.data.episodes import Episode
from masf_core.devices import choice
from masf_core.memory import keep_freed_memory
from masf_core.method import meta_step
from masf_core.model import Model
from masf_core.network.backbone import make_backbone
from masf_core.network.kernels import processor_kernels
from masf_core.records import checkpoints
from obs_sync import open_store
from obs_sync.store import Store

INTERVAL = 60.0  # seconds: the shortest interval that the target covers
LINK = 50.0  # MB/s
BATCH = 6  # images of a domain: an iteration of a second or two
LONGEST_WAIT = 300.0  # seconds for one delivery


class Round(NamedTuple):
    """The figures of one interval."""

    blocked: float  # seconds that the snapshot took
    delivered: float  # seconds from the snapshot until the checkpoint was in the bucket
    beside: list  # seconds of each iteration during the publication
    quiet: list  # seconds of each iteration after it
    mock_cpu: float  # seconds
    resident: float  # MB at the end
    threads: int
    spooled: int  # files


def main() -> None:
    arguments = parser("benchmarks.interval", __doc__, rounds=4).parse_args()
    keep_freed_memory()  # as the job does
    directory = tempfile.mkdtemp(prefix="masf-interval-")
    try:
        with mocked.bucket_directory() as bucket, mocked.served(bucket, LINK) as mock:
            with open_store(f"obs://{mocked.BUCKET}/run/", mock.environ) as store, _model() as model:
                figures = measure(model, store, mock, directory, arguments.rounds)
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    report("interval", "Interval: checkpoint and publication in the background", figures, arguments.out, [
        "The mock's processor time is taken from the same cores; a real bucket's would not be.",
        "Memory is that of the whole process, TensorFlow's included."])


def _model():
    settings = meta_step.StepSettings(meta_batch_size=BATCH, source_domains=3)
    model = Model(make_backbone("alexnet", 7, kernels=processor_kernels()), settings, 32,
                  choice.make_device("cpu").session_config(), seed=0)
    model.initialise()
    return model


def measure(model: Model, store: Store, mock: mocked.Served, directory: str, rounds: int) -> List[Figure]:
    """The figures of all rounds, and of each part alone."""
    spool, logs = os.path.join(directory, "spool"), os.path.join(directory, "logs")
    os.makedirs(spool)
    os.makedirs(logs)
    episode = _episode()
    for _ in range(3):
        model.step(episode)
    before = _iterations(model, episode, seconds=INTERVAL / 3)
    publisher = Publisher(store, spool, logs, 2, lambda: "{}\n")
    try:
        found = []
        for number in range(rounds):
            found.append(_interval(model, episode, publisher, number, mock, spool))
            publisher.drain()
    finally:
        publisher.close()
    quiet = [before] + [item.quiet for item in found]
    around = [float(np.mean(quiet[number] + item.quiet)) for number, item in enumerate(found)]
    lost = [item.blocked + sum(item.beside) - len(item.beside) * usual for item, usual in zip(found, around)]
    figures = [
        Figure("share of training's time lost", [
            100 * seconds / max(INTERVAL, item.delivered) for seconds, item in zip(lost, found)], "%", ("<=", 2.0),
            "one checkpoint in 60 s, or as long as it takes to deliver"),
        Figure("lost to a checkpoint in all", lost, "s"),
        Figure("… of which the snapshot blocks", [item.blocked for item in found], "s", None, "a copy of 1.2 GB"),
        Figure("iteration beside a publication ÷ without", [
            float(np.mean(item.beside)) / usual for item, usual in zip(found, around)], ""),
        Figure("iteration without", [float(np.mean(item.quiet)) for item in found], "s"),
        Figure("from snapshot to delivered, beside training", [item.delivered for item in found], "s", None,
               "the link: 24.5 s"),
        Figure("the mock's processor time for a checkpoint", [item.mock_cpu for item in found], "s"),
        Figure("resident memory at an interval's end", [item.resident for item in found], "MB"),
        Figure("its growth from the second to the last interval", [
            found[-1].resident - found[min(1, len(found) - 1)].resident], "MB", ("<=", 50.0)),
        Figure("peak memory", [_peak_mb()], "MB", None, "twice the state, and TensorFlow's own"),
        Figure("threads more at the last interval's end than at the second's", [
            found[-1].threads - found[min(1, len(found) - 1)].threads], "", ("<=", 0)),
        Figure("files in the spool at an interval's end", [item.spooled for item in found], "", ("<=", 0)),
    ]
    return figures + _parts(model, store, mock, spool)


def _episode():
    random = np.random.RandomState(0)
    return Episode(images=random.randint(0, 256, (3, BATCH, 227, 227, 3)).astype(np.uint8),
                   labels=random.randint(0, 7, (3, BATCH)).astype(np.int32), order=("a", "b", "c"), step=0)


def _iterations(model, episode, seconds=0.0, until=None):
    """Seconds of each iteration. They go on for ``seconds``, or until ``until()`` is true."""
    taken, started = [], time.perf_counter()
    while not taken or (time.perf_counter() - started < seconds if until is None else not until()):
        begun = time.perf_counter()
        model.step(episode)
        taken.append(time.perf_counter() - begun)
    return taken


def _interval(model, episode, publisher, number, mock, spool):
    name, mock_before, started = f"ckpt-{number:06d}-bench", mock.cpu_seconds(), time.perf_counter()
    publisher.submit(_snapshot(model, name, number))
    blocked = time.perf_counter() - started

    def delivered():
        if time.perf_counter() - started > LONGEST_WAIT:
            raise RuntimeError(f"{name} was not delivered in {LONGEST_WAIT:.0f} s: {publisher.state()}")
        return publisher.state()["published"] == name

    beside = _iterations(model, episode, until=delivered)
    took = time.perf_counter() - started
    quiet = _iterations(model, episode, seconds=max(INTERVAL - took, INTERVAL / 2))
    return Round(blocked, took, beside, quiet, mock.cpu_seconds() - mock_before, resident_mb(),
                 threading.active_count(), len(os.listdir(spool)))


def _snapshot(model, name, number):
    return Snapshot(name=name, attempt=1, arrays=model.snapshot(), progress=_progress(number), best=True,
                    metadata={"iteration": number, "lineage": "benchmark"})


def _progress(number):
    return checkpoints.Progress(number, [], [], {})


def _parts(model, store, mock, spool):
    """Figures of each part alone."""
    from obs_sync import delete_checkpoint, publish_checkpoint

    arrays = model.snapshot()
    path = os.path.join(spool, "alone")
    timed = {}

    def take(name, action):
        wall, cpu, before = time.perf_counter(), time.process_time(), mock.cpu_seconds()
        result = action()
        timed[name] = (time.perf_counter() - wall, time.process_time() - cpu, mock.cpu_seconds() - before)
        return result

    digests = take("write", lambda: checkpoints.save(path, arrays, _progress(0)))
    take("upload", lambda: publish_checkpoint(store, path, "alone", {}, digests=digests))
    take("remove", lambda: shutil.rmtree(path))
    delete_checkpoint(store, "alone")
    size = sum(array.nbytes for array in arrays.values()) / 1e9
    write, upload, remove = timed["write"], timed["upload"], timed["remove"]
    return [
        Figure("size of a checkpoint", [size], "GB"),
        Figure("alone: writing the spool", [write[0]], "s", None, "the disk's fsync"),
        Figure("alone: its processor time", [write[1]], "s", None, "SHA-256 at 1.4 GB/s, copy, CRC-32"),
        Figure("alone: processor time of writing and uploading ÷ all that the cores have in 60 s", [
            100 * (write[1] + upload[1]) / (INTERVAL * machine()["cores"])], "%"),
        Figure("alone: uploading", [upload[0]], "s", None, f"the link: {1e3 * size / LINK:.1f} s"),
        Figure("alone: its processor time, here", [upload[1]], "s", None, "MD5 of the parts at 0.6 GB/s, sockets"),
        Figure("alone: its processor time, in the mock", [upload[2]], "s"),
        Figure("alone: removing it from the spool", [remove[1]], "s"),
    ]


def _peak_mb():
    import resource
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


if __name__ == "__main__":
    main()
